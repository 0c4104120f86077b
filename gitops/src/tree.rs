//! Which policy files differ between two commits, found by comparing trees: cost is that of what changed.
//!
//! Must not read file contents. Names that begin with a dot are not looked at (`.github`, `.pre-commit-config.yaml`:
//! settings of tools, often in dialects of YAML). Symbolic links and submodules are passed over and counted: a link could point
//! anywhere, and a submodule is another repository.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Tree};

use crate::history::History;
use crate::limits::{FILES, TREE_ENTRIES};
use crate::oid::{BlobId, CommitId};
use crate::read_error::ReadError;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It has other content.
    Modified,
    /// It is gone.
    Removed,
}

/// A policy file that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Its path from the top of the repository, with `/`.
    pub path: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// Its content, unless it is gone.
    pub blob: Option<BlobId>,
}

/// Why an entry of a tree is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ignored {
    /// A symbolic link, whatever it points at.
    SymbolicLink,
    /// A submodule.
    Submodule,
    /// A name that is not UTF-8, which no message could print.
    UnreadableName,
}

/// The difference between two commits, below a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeChanges {
    /// Policy files (`*.yaml`, `*.yml`, `*.json`), in the order of their paths.
    pub files: Vec<FileChange>,
    /// Entries that are passed over and were not before (`Some`), or no longer are (`None`), by path.
    pub ignored: BTreeMap<String, Option<Ignored>>,
}

impl History {
    /// Compares `to` with `from` (nothing, if `None`) below `path`; an empty path is the whole tree.
    ///
    /// # Errors
    /// [`ReadError::PathNotFound`] when `to` has no such folder; a `from` without it counts as empty.
    pub fn changed_files(
        &self,
        from: Option<CommitId>,
        to: CommitId,
        path: &str,
    ) -> Result<TreeChanges, ReadError> {
        let path = normalize(path);
        let new = self.folder(to, &path)?.ok_or_else(|| self.path_not_found(to, &path))?;
        let old = from.map(|from| self.folder(from, &path)).transpose()?.flatten();
        self.compare(old, Some(new), &path)
    }

    /// Compares two folders by their tree ids. `path` is where they are.
    pub(crate) fn compare(
        &self,
        old: Option<Oid>,
        new: Option<Oid>,
        path: &str,
    ) -> Result<TreeChanges, ReadError> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let mut changes = TreeChanges::default();
        let mut pending = vec![(prefix, old, new)];
        let mut seen = 0;
        while let Some((prefix, old, new)) = pending.pop() {
            if old == new {
                continue;
            }
            for (name, (old, new)) in paired(&self.entries(old)?, &self.entries(new)?) {
                seen += 1;
                let path = format!("{prefix}{name}");
                let folders = (folder_id(old), folder_id(new));
                if old != new && folders != (None, None) {
                    pending.push((format!("{path}/"), folders.0, folders.1));
                }
                changes.note(path, old, new);
            }
            if seen > TREE_ENTRIES || changes.files.len() > FILES {
                return Err(too_many(seen));
            }
        }
        changes.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// Returns the tree id of a folder of a commit, if the commit has it.
    pub(crate) fn folder(&self, commit: CommitId, path: &str) -> Result<Option<Oid>, ReadError> {
        let corrupt = |error: git2::Error| ReadError::corrupt(&error);
        let tree =
            self.repo.find_commit(commit.to_git()).and_then(|commit| commit.tree()).map_err(corrupt)?;
        if path.is_empty() {
            return Ok(Some(tree.id()));
        }
        if path.split('/').any(|part| part == "..") {
            return Ok(None);
        }
        match tree.get_path(std::path::Path::new(path)) {
            Ok(entry) => Ok((entry.kind() == Some(ObjectType::Tree)).then(|| entry.id())),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(corrupt(error)),
        }
    }

    fn path_not_found(&self, commit: CommitId, path: &str) -> ReadError {
        let top = self.folder(commit, "").and_then(|tree| self.entries(tree)).unwrap_or_default();
        let folders = top.into_iter().filter(|(_, entry)| matches!(entry, Entry::Folder(_)));
        let folders = folders.map(|(name, _)| name).collect();
        ReadError::PathNotFound { path: path.to_owned(), commit: commit.short(), folders }
    }

    fn entries(&self, tree: Option<Oid>) -> Result<BTreeMap<String, Entry>, ReadError> {
        let Some(tree) = tree else { return Ok(BTreeMap::new()) };
        let tree = self.repo.find_tree(tree).map_err(|error| ReadError::corrupt(&error))?;
        Ok(entries_of(&tree))
    }
}

/// Writes a path the one way: no leading, trailing or doubled slashes, no `.`. (`..` is left in and found nowhere.)
pub(crate) fn normalize(path: &str) -> String {
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

/// Says whether a name is hidden, as `ls` has it.
pub(crate) fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}

/// Says whether a file's name is that of a policy file.
pub(crate) fn is_policy_file(name: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Folder(Oid),
    File(Oid),
    Ignored(Ignored),
}

fn entries_of(tree: &Tree<'_>) -> BTreeMap<String, Entry> {
    tree.iter()
        .filter(|entry| !is_hidden(entry.name_bytes()))
        .map(|entry| {
            let Ok(name) = std::str::from_utf8(entry.name_bytes()) else {
                let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                return (name, Entry::Ignored(Ignored::UnreadableName));
            };
            let value = match (entry.kind(), entry.filemode()) {
                (Some(ObjectType::Tree), _) => Entry::Folder(entry.id()),
                (_, 0o120_000) => Entry::Ignored(Ignored::SymbolicLink),
                (Some(ObjectType::Blob), _) => Entry::File(entry.id()),
                _ => Entry::Ignored(Ignored::Submodule),
            };
            (name.to_owned(), value)
        })
        .collect()
}

type Pair = (Option<Entry>, Option<Entry>);

fn paired(old: &BTreeMap<String, Entry>, new: &BTreeMap<String, Entry>) -> BTreeMap<String, Pair> {
    let mut pairs: BTreeMap<String, Pair> =
        new.iter().map(|(name, entry)| (name.clone(), (None, Some(*entry)))).collect();
    for (name, entry) in old {
        pairs.entry(name.clone()).or_default().0 = Some(*entry);
    }
    pairs
}

fn folder_id(entry: Option<Entry>) -> Option<Oid> {
    match entry {
        Some(Entry::Folder(tree)) => Some(tree),
        _ => None,
    }
}

fn too_many(entries: usize) -> ReadError {
    match entries > TREE_ENTRIES {
        true => ReadError::TooMany { what: "tree entries", limit: TREE_ENTRIES },
        false => ReadError::TooMany { what: "policy files", limit: FILES },
    }
}

impl TreeChanges {
    fn note(&mut self, path: String, old: Option<Entry>, new: Option<Entry>) {
        if old == new {
            return;
        }
        let file = |entry| match entry {
            Some(Entry::File(blob)) if is_policy_file(&path) => Some(BlobId::from_git(blob)),
            _ => None,
        };
        let kind = match (file(old), file(new)) {
            (None, None) => None,
            (None, Some(_)) => Some(ChangeKind::Added),
            (Some(_), None) => Some(ChangeKind::Removed),
            (Some(old), Some(new)) => (old != new).then_some(ChangeKind::Modified),
        };
        let blob = file(new);
        match new {
            Some(Entry::Ignored(why)) => drop(self.ignored.insert(path.clone(), Some(why))),
            _ if matches!(old, Some(Entry::Ignored(_))) => drop(self.ignored.insert(path.clone(), None)),
            _ => {}
        }
        self.files.extend(kind.map(|kind| FileChange { path, kind, blob }));
    }
}
