//! Which policy files differ between two commits, found by comparing trees: cost is that of what changed.
//!
//! Must not read file contents. Names that begin with a dot are not looked at (`.github`, `.pre-commit-config.yaml`:
//! settings of tools, often in dialects of YAML). Symbolic links and submodules are not followed: a link could point
//! anywhere, and a submodule is another repository. Those that may stand for policies are named.

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
    /// The ending of a policy file in other letters: `.YAML`.
    Capitals,
    /// A pipe, socket or device with the name of a policy file.
    NoFile,
}

/// What an entry of a folder is, as far as it matters for whether passing it over hides policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    Folder,
    File,
    SymbolicLink,
    Submodule,
    /// A pipe, a socket, a device.
    Special,
}

impl Ignored {
    /// Says whether an entry is passed over although policies may be behind it: a policy file or folder with a name
    /// that is not UTF-8, a submodule, a link that is named as a policy file or may be a folder (no `.` in its name), a
    /// file with the ending in capitals, and what is no file.
    pub(crate) fn of(name: &[u8], kind: EntryKind) -> Option<Self> {
        let is_policy = ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()));
        let is_utf8 = std::str::from_utf8(name).is_ok();
        match kind {
            EntryKind::Submodule => Some(Self::Submodule),
            EntryKind::SymbolicLink if is_policy || !name.contains(&b'.') => Some(Self::SymbolicLink),
            EntryKind::Folder if !is_utf8 => Some(Self::UnreadableName),
            EntryKind::File if !is_utf8 && is_policy => Some(Self::UnreadableName),
            EntryKind::File if !is_policy && is_policy_in_capitals(name) => Some(Self::Capitals),
            EntryKind::Special if is_policy => Some(Self::NoFile),
            EntryKind::SymbolicLink | EntryKind::Folder | EntryKind::File | EntryKind::Special => None,
        }
    }

    /// Says what is not read, and what would help.
    pub(crate) fn explain(self) -> (&'static str, &'static str) {
        match self {
            Self::SymbolicLink => (
                "a symbolic link is not followed; nothing is read through it",
                "commit the file itself; what lies below the policy path is read where it is, without a link",
            ),
            Self::Submodule => (
                "a submodule is another repository; nothing of it is read",
                "copy its policies into this repository, or keep it out of the policy path",
            ),
            Self::UnreadableName => (
                "the name is not UTF-8, so nothing is read from here",
                "rename it; bytes that are not ASCII are shown as \\xNN",
            ),
            Self::Capitals => (
                "the ending is not in lower case, so nothing is read from here",
                "rename it: policy files end in `.yaml`, `.yml` or `.json`",
            ),
            Self::NoFile => (
                "it is no file but a pipe, a socket or a device; nothing of it is read",
                "put a file in its place, or keep it out of the policy path",
            ),
        }
    }
}

fn is_policy_in_capitals(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending.as_bytes()))
}

/// Writes a name for people: as it is, or with its bytes escaped where it is not UTF-8. Two names are never written alike.
pub(crate) fn shown(name: &[u8]) -> String {
    std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned)
}

/// The difference between two commits, below a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TreeChanges {
    /// Policy files (`*.yaml`, `*.yml`, `*.json`), in the order of their paths.
    pub files: Vec<FileChange>,
    /// Entries that are passed over although policies may be behind them and were not before (`Some`), or no longer
    /// are (`None`), by path.
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
            if seen > TREE_ENTRIES || changes.files.len() + changes.ignored.len() > FILES {
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
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

const ENDINGS: [&str; 3] = [".yaml", ".yml", ".json"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Folder(Oid),
    File(Oid),
    Ignored(Ignored),
}

fn entries_of(tree: &Tree<'_>) -> BTreeMap<String, Entry> {
    tree.iter()
        .filter(|entry| !is_hidden(entry.name_bytes()))
        .filter_map(|entry| {
            let kind = match (entry.kind(), entry.filemode()) {
                (Some(ObjectType::Tree), _) => EntryKind::Folder,
                (_, 0o120_000) => EntryKind::SymbolicLink,
                (Some(ObjectType::Blob), _) => EntryKind::File,
                _ => EntryKind::Submodule,
            };
            let name = entry.name_bytes();
            if let Some(ignored) = Ignored::of(name, kind) {
                return Some((shown(name), Entry::Ignored(ignored)));
            }
            let name = std::str::from_utf8(name).ok()?.to_owned();
            match kind {
                EntryKind::Folder => Some((name, Entry::Folder(entry.id()))),
                EntryKind::File => Some((name, Entry::File(entry.id()))),
                EntryKind::SymbolicLink | EntryKind::Submodule | EntryKind::Special => None,
            }
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
