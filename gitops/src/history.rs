//! The commits, trees and blobs of a repository, read-only: a mirror's, or a clone that a person works in.
//!
//! Must not write, fetch or check out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Oid, Repository};
use skerry_core::id::Revision;

use crate::limits::FILE_BYTES;
use crate::oid::{BlobId, CommitId};
use crate::read_error::ReadError;

/// An opened repository. One thread at a time; open another for another thread.
pub struct History {
    pub(crate) repo: Repository,
}

/// The content of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// The bytes, at most [`FILE_BYTES`].
    Bytes(Vec<u8>),
    /// The file is larger than that and was not loaded.
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
}

/// A name that a person typed, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The commit.
    pub commit: CommitId,
    /// The commit under the name of the branch or tag that led to it.
    pub revision: Revision,
}

impl History {
    /// Opens the repository that `path` is, or is inside of.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let repo = Repository::discover(path).map_err(|error| match error.code() {
            ErrorCode::NotFound => ReadError::NotARepository { path: path.to_owned() },
            ErrorCode::Owner => ReadError::ForeignOwner { path: path.to_owned() },
            _ => ReadError::corrupt(&error),
        })?;
        Ok(Self { repo })
    }

    /// Returns the folder inside the repository that `path` names on disk, `""` for its top or for a bare one.
    pub fn prefix_of(&self, path: &Path) -> String {
        let inside = || {
            let top = self.repo.workdir()?.canonicalize().ok()?;
            let path = path.canonicalize().ok()?;
            Some(path.strip_prefix(top).ok()?.to_str()?.to_owned())
        };
        inside().unwrap_or_default()
    }

    /// Finds the commit that a branch, a tag, a (short) hash or an expression such as `HEAD~2` stands for.
    pub fn resolve(&self, name: &str) -> Result<Resolved, ReadError> {
        let found = self.repo.revparse_ext(name).and_then(|(object, reference)| {
            let commit = object.peel_to_commit()?;
            // `HEAD` stands for the branch that it points at.
            let reference = reference.and_then(|reference| reference.resolve().ok());
            let label = reference.and_then(|reference| reference.shorthand().ok().map(str::to_owned));
            Ok((commit.id(), label.unwrap_or_else(|| "commit".to_owned())))
        });
        match found {
            Ok((oid, label)) => {
                let commit = CommitId::from_git(oid);
                Ok(Resolved { commit, revision: Revision::commit(&label, &commit.to_string()) })
            }
            Err(_) => Err(ReadError::RevisionNotFound {
                revision: name.to_owned(),
                repository: self.path(),
                branches: self.branches(),
            }),
        }
    }

    /// Returns the first parent of a commit; `None` for the first commit, and where a shallow clone was cut.
    pub(crate) fn first_parent(&self, commit: CommitId) -> Result<Option<CommitId>, ReadError> {
        let commit = self.repo.find_commit(commit.to_git()).map_err(|error| ReadError::corrupt(&error))?;
        let parent = commit.parent_id(0).ok().filter(|parent| self.repo.find_commit(*parent).is_ok());
        Ok(parent.map(CommitId::from_git))
    }

    /// Says whether a commit is there.
    pub fn contains(&self, commit: CommitId) -> bool {
        self.repo.find_commit(commit.to_git()).is_ok()
    }

    /// Says whether `ancestor` is in the history of `commit` (or is it); `false` when either is gone.
    pub fn is_ancestor(&self, ancestor: CommitId, commit: CommitId) -> Result<bool, ReadError> {
        if ancestor == commit {
            return Ok(true);
        }
        // libgit2 says it in other words where the commit is gone and not the ancestor.
        if !self.contains(ancestor) || !self.contains(commit) {
            return Ok(false);
        }
        let answer = self.repo.graph_descendant_of(commit.to_git(), ancestor.to_git());
        answer.map_err(|error| ReadError::corrupt(&error))
    }

    /// Counts the commits up to this one, itself among them: of two commits the descendant has the higher number.
    ///
    /// # Errors
    /// [`ReadError::Uncountable`] where a shallow clone was cut.
    pub fn commits_up_to(&self, commit: CommitId) -> Result<u64, ReadError> {
        if !self.shallow_commits()?.is_empty() {
            return Err(ReadError::Uncountable);
        }
        let corrupt = |error: git2::Error| ReadError::corrupt(&error);
        let mut walk = self.repo.revwalk().map_err(corrupt)?;
        walk.push(commit.to_git()).map_err(corrupt)?;
        walk.try_fold(0, |count, found| found.map(|_| count + 1)).map_err(corrupt)
    }

    /// Loads a file, unless it is over [`FILE_BYTES`].
    pub fn read_blob(&self, blob: BlobId) -> Result<Blob, ReadError> {
        let odb = self.repo.odb().map_err(|error| ReadError::corrupt(&error))?;
        let (size, _) = odb.read_header(blob.to_git()).map_err(|error| ReadError::corrupt(&error))?;
        if size > FILE_BYTES {
            return Ok(Blob::TooLarge { size });
        }
        let object = odb.read(blob.to_git()).map_err(|error| ReadError::corrupt(&error))?;
        Ok(Blob::Bytes(object.data().to_vec()))
    }

    /// Returns the commits at which a shallow clone was cut; empty for a full clone.
    pub(crate) fn shallow_commits(&self) -> Result<BTreeSet<Oid>, ReadError> {
        let file = self.repo.commondir().join("shallow");
        match std::fs::read_to_string(&file) {
            Ok(text) => Ok(text.lines().filter_map(|line| line.trim().parse().ok()).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(ReadError::io(&file, &error)),
        }
    }

    fn path(&self) -> PathBuf {
        self.repo.workdir().unwrap_or_else(|| self.repo.path()).to_owned()
    }

    fn branches(&self) -> Vec<String> {
        let Ok(branches) = self.repo.branches(None) else { return Vec::new() };
        let names: BTreeSet<String> = branches
            .flatten()
            .filter_map(|(branch, _)| branch.name().ok().flatten().map(str::to_owned))
            .collect();
        names.into_iter().collect()
    }
}
