//! Contents that sites may still have: what deltas start from.
//!
//! Keeps the fragments of the last publications and nothing else of them; a site that was away for
//! longer gets the whole list, and asks only for the fragments that it lacks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_core::id::Digest;

/// How many publications back a delta reaches.
const PUBLICATIONS: usize = 16;

/// How many fragments all versions may name together: 8 bytes each, 16 MiB. That is 16 publications
/// of 500 classes with 250 services each.
const MAX_NAMED: usize = 2 << 20;

/// The fragments of a list that was published, sorted by their key's text.
pub type Version = Arc<[Arc<EncodedFragment>]>;

/// The versions of the last publications.
#[derive(Debug, Default)]
pub struct History(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    versions: BTreeMap<Digest, Version>,
    /// Which publication brought which version, oldest first.
    publications: VecDeque<Vec<Digest>>,
    named: usize,
}

impl History {
    /// Keeps what a publication replaces.
    pub fn keep(&self, replaced: impl IntoIterator<Item = Arc<Contents>>) {
        let mut inner = self.0.lock();
        let mut publication = Vec::new();
        for contents in replaced {
            if inner.versions.contains_key(&contents.digest) {
                continue;
            }
            inner.named += contents.fragments.len();
            inner.versions.insert(contents.digest, contents.fragments.as_slice().into());
            publication.push(contents.digest);
        }
        if !publication.is_empty() {
            inner.publications.push_back(publication);
        }
        while inner.publications.len() > PUBLICATIONS || inner.named > MAX_NAMED {
            inner.forget_oldest();
        }
    }

    /// Finds a version.
    pub fn get(&self, list: &Digest) -> Option<Version> {
        self.0.lock().versions.get(list).cloned()
    }
}

impl Inner {
    fn forget_oldest(&mut self) {
        for digest in self.publications.pop_front().unwrap_or_default() {
            let version = self.versions.remove(&digest);
            self.named -= version.map_or(0, |version| version.len());
        }
    }
}
