//! Reads a plain folder: no Git, no history, one look.
//!
//! Must not leave the folder: links are passed over and named, except one to a file in a hidden folder beside it, which
//! is how Kubernetes mounts a `ConfigMap` (`policy.yaml -> ..data/policy.yaml`).

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::catalog::Batch;
use super::file::SourceFile;
use crate::limits::{FILE_BYTES, FILES, TREE_ENTRIES};
use crate::oid::BlobId;
use crate::read_error::ReadError;
use crate::tree::{EntryKind, Ignored, is_hidden, is_policy_file, shown};

/// The policy files of a folder, and how many entries among them stand for what was passed over.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) files: Batch,
    pub(super) ignored: usize,
}

/// Reads every policy file below the folder `path` of `top`, by the same rules as those of a commit: no hidden names,
/// three endings, named from `top`. What cannot be read below it becomes a diagnostic and hurts nothing else.
pub(super) fn read(top: &Path, path: &str) -> Result<Folder, ReadError> {
    let root = if path.is_empty() { top.to_owned() } else { top.join(path) };
    let top = match root.canonicalize() {
        Ok(top) if top.is_dir() => top,
        _ => return Err(ReadError::FolderNotFound { path: root }),
    };
    fs::read_dir(&top).map_err(|error| ReadError::io(&top, &error))?;
    let mut folder = Folder::default();
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut pending = vec![(top.clone(), prefix)];
    let mut seen = 0;
    while let Some((path, prefix)) = pending.pop() {
        let entries = match list(&path) {
            Ok(entries) => entries,
            Err(error) => {
                folder.pass_over(&prefix, SourceFile::unreadable(&prefix, &error));
                continue;
            }
        };
        seen += entries.len();
        for entry in entries {
            match classify(&top, &entry) {
                Found::Folder(name) => pending.push((entry.path(), format!("{prefix}{name}/"))),
                Found::File(name) => folder.take(&entry.path(), format!("{prefix}{name}")),
                Found::Ignored(name, why) => {
                    let name = format!("{prefix}{name}");
                    folder.pass_over(&name, SourceFile::passed_over(&name, why));
                }
                Found::Nothing => {}
            }
        }
        check(seen, "tree entries", TREE_ENTRIES)?;
        check(folder.files.len(), "policy files", FILES)?;
    }
    Ok(folder)
}

/// Lists a folder, as far as the bound of all entries goes.
fn list(path: &Path) -> io::Result<Vec<fs::DirEntry>> {
    fs::read_dir(path)?.take(TREE_ENTRIES + 1).collect()
}

impl Folder {
    fn take(&mut self, path: &Path, name: String) {
        let file = read_file(path, &name).unwrap_or_else(|error| SourceFile::unreadable(&name, &error));
        self.files.insert(name, Some(file));
    }

    fn pass_over(&mut self, name: &str, file: SourceFile) {
        self.files.insert(name.to_owned(), Some(file));
        self.ignored += 1;
    }
}

fn check(count: usize, what: &'static str, limit: usize) -> Result<(), ReadError> {
    if count > limit { Err(ReadError::TooMany { what, limit }) } else { Ok(()) }
}

enum Found {
    Folder(String),
    File(String),
    /// A link that is not followed, or a name that is not UTF-8.
    Ignored(String, Ignored),
    Nothing,
}

fn classify(top: &Path, entry: &fs::DirEntry) -> Found {
    let name = entry.file_name();
    if is_hidden(name.as_encoded_bytes()) {
        return Found::Nothing;
    }
    // Gone since the folder was listed.
    let Ok(kind) = entry.file_type() else { return Found::Nothing };
    let kind = match kind {
        kind if kind.is_dir() => EntryKind::Folder,
        kind if kind.is_symlink() && !is_mounted_file(top, &entry.path()) => EntryKind::SymbolicLink,
        kind if kind.is_file() || kind.is_symlink() => EntryKind::File,
        _ => EntryKind::Special,
    };
    if let Some(ignored) = Ignored::of(name.as_encoded_bytes(), kind) {
        return Found::Ignored(shown(name.as_encoded_bytes()), ignored);
    }
    match (kind, name.into_string()) {
        (EntryKind::Folder, Ok(name)) => Found::Folder(name),
        (EntryKind::File, Ok(name)) if is_policy_file(&name) => Found::File(name),
        _ => Found::Nothing,
    }
}

/// Says whether a link leads to a file of this folder that is hidden and so not read otherwise.
fn is_mounted_file(top: &Path, link: &Path) -> bool {
    let Ok(target) = link.canonicalize() else { return false };
    let inside = target.strip_prefix(top).map(PathBuf::from).unwrap_or_default();
    target.is_file() && inside.components().any(|part| is_hidden(part.as_os_str().as_encoded_bytes()))
}

fn read_file(path: &Path, name: &str) -> io::Result<SourceFile> {
    let file = fs::File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    let bound = u64::try_from(FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_BYTES {
        let size = usize::try_from(size).unwrap_or(usize::MAX).max(bytes.len());
        return Ok(SourceFile::over_budget(name, None, size));
    }
    Ok(SourceFile::read(name, Some(BlobId::of(&bytes)), &bytes))
}
