//! The files that holds are of, kept apart from the mirror: a mirror can be lost, and a commit that no branch leads to
//! any more does not come back with the next fetch.
//!
//! Bounded by what a source may have: a file for each object that is held. Must not decide what is held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use git2::{ObjectType, Oid};

use super::hold::Hold;
use crate::history::{Blob, History};
use crate::oid::BlobId;

/// Contents of files, by their ids in Git. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptFiles(BTreeMap<BlobId, Arc<[u8]>>);

impl KeptFiles {
    /// Takes files as they were stored. One that is not what its id says is left out: it is as good as lost.
    pub fn restore(files: impl IntoIterator<Item = (BlobId, Vec<u8>)>) -> Self {
        let is_whole = |(blob, bytes): &(BlobId, Vec<u8>)| {
            Oid::hash_object(ObjectType::Blob, bytes).is_ok_and(|id| BlobId::from_git(id) == *blob)
        };
        Self(files.into_iter().filter(is_whole).map(|(blob, bytes)| (blob, bytes.into())).collect())
    }

    /// Keeps the files of these holds and no others; reads those that are new. Returns how many of them cannot be
    /// read; each is tried again at the next call.
    pub fn keep<'a>(&mut self, holds: impl IntoIterator<Item = &'a Hold>, history: &History) -> usize {
        let needed: BTreeSet<BlobId> = holds.into_iter().map(|hold| hold.blob).collect();
        let read = needed.iter().filter_map(|blob| Some((*blob, self.read(*blob, history)?)));
        let kept: BTreeMap<_, _> = read.collect();
        self.0 = kept;
        needed.len() - self.0.len()
    }

    /// Lists the files.
    pub fn iter(&self) -> impl Iterator<Item = (BlobId, &[u8])> {
        self.0.iter().map(|(blob, bytes)| (*blob, &**bytes))
    }

    /// Says whether a file is there.
    pub fn contains(&self, blob: BlobId) -> bool {
        self.0.contains_key(&blob)
    }

    /// Finds a file, here or in the history.
    pub(super) fn read(&self, blob: BlobId, history: &History) -> Option<Arc<[u8]>> {
        let from_history = || match history.read_blob(blob) {
            Ok(Blob::Bytes(bytes)) => Some(bytes.into()),
            Ok(Blob::TooLarge { .. }) | Err(_) => None,
        };
        self.0.get(&blob).cloned().or_else(from_history)
    }
}
