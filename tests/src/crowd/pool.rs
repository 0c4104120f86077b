//! What simulated agents have in common in memory: fragment lists and fragments, by digest.
//!
//! Whether an agent has something is its own affair; here is only what it looks like.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use skerry_core::bundle::v1::FragmentList;
use skerry_core::id::Digest;

/// Lists and fragments that were checked.
#[derive(Debug, Default)]
pub(super) struct Pool {
    lists: Shelf<FragmentList>,
    fragments: Shelf<[u8]>,
}

impl Pool {
    /// Returns the one copy of a checked list.
    pub(super) fn list(&self, digest: Digest, list: FragmentList) -> Arc<FragmentList> {
        self.lists.put(digest, Arc::new(list))
    }

    /// Finds a fragment that any agent has checked.
    pub(super) fn fragment(&self, id: &Digest) -> Option<Arc<[u8]>> {
        self.fragments.get(id)
    }

    /// Keeps a checked fragment.
    pub(super) fn keep(&self, id: Digest, bytes: Vec<u8>) {
        self.fragments.put(id, bytes.into());
    }
}

#[derive(Debug)]
struct Shelf<T: ?Sized>(Mutex<BTreeMap<Digest, Arc<T>>>);

impl<T: ?Sized> Default for Shelf<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: ?Sized> Shelf<T> {
    fn get(&self, digest: &Digest) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    fn put(&self, digest: Digest, value: Arc<T>) -> Arc<T> {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shelf.entry(digest).or_insert(value))
    }
}
