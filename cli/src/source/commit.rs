//! Looks up the text behind a location, and the commit that a line comes from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use skerry_core::diagnostic::Location;
use skerry_gitops::blame::{LineCommit, line_before, line_commit};
use skerry_gitops::history::{Blob, History};
use skerry_gitops::limits::FILE_BYTES;
use skerry_gitops::oid::{BlobId, CommitId};

use super::{Origin, Stand};

/// Reads files of a source by location.
pub struct Lookup {
    way: Way,
}

enum Way {
    /// The tree is that of the commit that a work tree was made from.
    Folder {
        root: PathBuf,
        head: Option<Tree>,
    },
    Commit(Tree),
    Nowhere,
}

/// The files of a commit.
struct Tree {
    history: History,
    commit: CommitId,
    blobs: BTreeMap<String, BlobId>,
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
            Way::Commit(tree) => tree.provenance(tree.commit, location),
            Way::Folder { head: Some(head), .. } => self.in_head(head, location),
        }
    }

    /// Finds the commit that last changed a line of what a file was at an earlier commit.
    pub fn provenance_at(&self, commit: CommitId, location: &Location) -> Provenance {
        match &self.way {
            Way::Commit(tree) | Way::Folder { head: Some(tree), .. } => tree.provenance(commit, location),
            Way::Nowhere | Way::Folder { head: None, .. } => Provenance::Unknown,
        }
    }

    /// A line of a work tree is of a commit if HEAD has it, wherever in the file.
    fn in_head(&self, head: &Tree, location: &Location) -> Provenance {
        let texts = self.text(&location.file).zip(head.bytes(&location.file));
        let line = texts.and_then(|(now, before)| line_before(&before, now.as_bytes(), location.line.max(1)));
        match line {
            Some(line) => head.provenance(head.commit, &Location { line, ..location.clone() }),
            None => Provenance::NotCommitted,
        }
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

    fn provenance(&self, commit: CommitId, location: &Location) -> Provenance {
        let found = line_commit(&self.history, commit, &location.file, location.line.max(1));
        found.ok().flatten().map_or(Provenance::Unknown, Provenance::Commit)
    }
}

fn open(origin: &Origin) -> Option<Way> {
    match origin {
        Origin::Folder { root, stand, .. } => {
            let head = (*stand != Stand::Alone).then(|| Tree::open(root, "HEAD")).flatten();
            Some(Way::Folder { root: root.clone(), head })
        }
        Origin::Commit { repository, revision } => Some(Way::Commit(Tree::open(repository, revision)?)),
    }
}
