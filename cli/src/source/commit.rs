//! Looks up the text behind a location, and the commit that a line comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skerry_core::diagnostic::Location;
use skerry_gitops::blame::{LineCommit, line_commit};
use skerry_gitops::history::{Blob, History};
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::oid::{BlobId, CommitId};

use super::Origin;

/// Reads files of a source by location.
pub struct Lookup {
    way: Way,
}

enum Way {
    Folder { root: PathBuf, head: Option<Head> },
    Commit(Tree),
    Nowhere,
}

/// The files of a commit.
struct Tree {
    history: History,
    commit: CommitId,
    blobs: BTreeMap<String, BlobId>,
}

/// The commit that a work tree was made from.
struct Head {
    tree: Tree,
    /// Where the folder is in the repository: empty, or ending in `/`.
    prefix: String,
}

/// Where a line comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// A commit.
    Commit(LineCommit),
    /// The work tree: not committed yet, or other than what is committed.
    NotCommitted,
    /// The source has no history.
    Unknown,
}

impl Lookup {
    /// Opens what is needed. A repository that cannot be read any more leaves nothing to look up.
    pub fn open(origin: &Origin) -> Self {
        Self { way: open(origin).unwrap_or(Way::Nowhere) }
    }

    /// Reads a file, unless it is too large or gone.
    pub fn text(&self, file: &str) -> Option<String> {
        match &self.way {
            Way::Nowhere => None,
            Way::Folder { root, .. } => {
                let path = root.join(file);
                let size = fs_err::metadata(&path).ok()?.len();
                (size <= FILE_BYTES as u64).then(|| fs_err::read_to_string(&path).ok()).flatten()
            }
            Way::Commit(tree) => String::from_utf8(tree.bytes(file)?).ok(),
        }
    }

    /// Finds the commit that last changed a line.
    pub fn provenance(&self, location: &Location) -> Provenance {
        match &self.way {
            Way::Nowhere | Way::Folder { head: None, .. } => Provenance::Unknown,
            Way::Commit(tree) => tree.provenance(&location.file, location.line),
            Way::Folder { head: Some(head), .. } => self.in_head(head, location),
        }
    }

    /// A line of a work tree is of a commit if the whole file is.
    fn in_head(&self, head: &Head, location: &Location) -> Provenance {
        let path = format!("{}{}", head.prefix, location.file);
        let now = self.text(&location.file).map(String::into_bytes);
        if now.is_none() || head.tree.bytes(&path) != now {
            return Provenance::NotCommitted;
        }
        head.tree.provenance(&path, location.line)
    }
}

impl Tree {
    fn open(repository: &Path, revision: &str) -> Option<Self> {
        let history = History::open(repository).ok()?;
        let commit = history.resolve(revision).ok()?.commit;
        let files = history.changed_files(None, commit, "").ok()?.files;
        let blobs = files.into_iter().filter_map(|file| Some((file.path, file.blob?))).collect();
        Some(Self { history, commit, blobs })
    }

    fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        match self.history.read_blob(*self.blobs.get(path)?).ok()? {
            Blob::Bytes(bytes) => Some(bytes),
            Blob::TooLarge { .. } => None,
        }
    }

    fn provenance(&self, path: &str, line: u32) -> Provenance {
        let found = line_commit(&self.history, self.commit, path, line.max(1));
        found.ok().flatten().map_or(Provenance::Unknown, Provenance::Commit)
    }
}

fn open(origin: &Origin) -> Option<Way> {
    match origin {
        Origin::Folder { root, work_tree, .. } => {
            let head = work_tree.as_ref().and_then(|(clone, path)| {
                let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
                let prefix = parts.map(|part| format!("{part}/")).collect();
                Some(Head { tree: Tree::open(clone, "HEAD")?, prefix })
            });
            Some(Way::Folder { root: root.clone(), head })
        }
        Origin::Commit { repository, revision } => Some(Way::Commit(Tree::open(repository, revision)?)),
    }
}
