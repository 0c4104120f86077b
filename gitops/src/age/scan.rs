//! One walk's reading: which objects each commit touches, each blob and each document read at most once.
//!
//! Must not remember ages.

use std::collections::{BTreeSet, HashSet};

use git2::Oid;
use skerry_core::id::ObjectKey;

use super::FirstSeen;
use super::identity;
use crate::history::{Blob, History};
use crate::oid::{BlobId, CommitId};
use crate::read_error::ReadError;
use crate::tree::TreeChanges;

/// The state of a walk. Its memory is 52 bytes for each blob and document that the history ever had.
pub(super) struct Scan<'h> {
    history: &'h History,
    path: &'h str,
    blobs: HashSet<BlobId>,
    documents: HashSet<blake3::Hash>,
}

impl<'h> Scan<'h> {
    pub(super) fn new(history: &'h History, path: &'h str) -> Self {
        Self { history, path, blobs: HashSet::new(), documents: HashSet::new() }
    }

    /// Lists the objects in documents that no commit before had, by comparing a commit with its first parent.
    pub(super) fn introduced_by(&mut self, oid: Oid) -> Result<(FirstSeen, BTreeSet<ObjectKey>), ReadError> {
        let commit = self.history.repo.find_commit(oid).map_err(|error| ReadError::corrupt(&error))?;
        let first = FirstSeen { commit: CommitId::from_git(oid), seconds: commit.time().seconds() };
        let old = match commit.parent_id(0) {
            Ok(parent) => self.history.folder(CommitId::from_git(parent), self.path)?,
            Err(_) => None,
        };
        let new = self.history.folder(first.commit, self.path)?;
        let changes = match self.history.compare(old, new, self.path) {
            // A commit of the past that was too large must not stop every later one.
            Err(ReadError::TooMany { .. }) => TreeChanges::default(),
            other => other?,
        };
        let mut keys = BTreeSet::new();
        for change in changes.files {
            if let Some(blob) = change.blob.filter(|blob| self.blobs.insert(*blob)) {
                keys.extend(self.read(&change.path, blob)?);
            }
        }
        Ok((first, keys))
    }

    fn read(&mut self, path: &str, blob: BlobId) -> Result<BTreeSet<ObjectKey>, ReadError> {
        let Blob::Bytes(bytes) = self.history.read_blob(blob)? else { return Ok(BTreeSet::new()) };
        let documents = identity::documents(&bytes);
        let new = documents.into_iter().filter(|document| self.documents.insert(blake3::hash(document)));
        Ok(new.flat_map(|document| identity::objects(path, document)).collect())
    }
}
