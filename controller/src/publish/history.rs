//! Contents that sites may still have: what deltas start from.
//!
//! Keeps the fragments of the last publications and nothing else of them; a site that was away for
//! longer gets the whole list, and asks only for the fragments that it lacks.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_core::id::{Digest, DigestPrefix};

/// How many publications back a delta reaches.
const PUBLICATIONS: usize = 16;

/// How many bytes the history may keep alive: 64 MiB. 16 publications of 500 classes with 250 services
/// each take 16 MiB of pointers, which leaves 48 MiB for the fragments that they point to: 3 MiB of
/// changed policy for each publication. Beyond that it reaches less far back.
const MAX_BYTES: usize = 64 << 20;

/// What a version takes for each fragment that it names.
const POINTER_BYTES: usize = size_of::<Arc<EncodedFragment>>();

/// The fragments of a list that was published, sorted by their key's text.
pub type Version = Arc<[Arc<EncodedFragment>]>;

/// The versions of the last publications.
#[derive(Debug)]
pub struct History {
    room: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    versions: BTreeMap<Digest, Version>,
    /// Which publication brought which version, oldest first.
    publications: VecDeque<Vec<Digest>>,
    /// How many versions name each fragment: its bytes count once.
    uses: HashMap<Digest, u32>,
    bytes: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::with_room(MAX_BYTES)
    }
}

impl History {
    /// Makes a history that keeps so many bytes.
    pub fn with_room(bytes: usize) -> Self {
        Self { room: bytes, inner: Mutex::default() }
    }

    /// Keeps what a publication replaces.
    pub fn keep(&self, replaced: impl IntoIterator<Item = Arc<Contents>>) {
        let mut inner = self.inner.lock();
        let mut publication = Vec::new();
        for contents in replaced {
            if inner.versions.contains_key(&contents.digest) {
                continue;
            }
            contents.fragments.iter().for_each(|fragment| inner.count(fragment));
            inner.versions.insert(contents.digest, contents.fragments.as_slice().into());
            publication.push(contents.digest);
        }
        if !publication.is_empty() {
            inner.publications.push_back(publication);
        }
        while inner.publications.len() > PUBLICATIONS || inner.bytes > self.room {
            inner.forget_oldest();
        }
    }

    /// Finds a version.
    pub fn get(&self, list: &Digest) -> Option<Version> {
        self.inner.lock().versions.get(list).cloned()
    }

    /// Finds the digest of a version.
    pub fn find(&self, prefix: DigestPrefix) -> Option<Digest> {
        starting_with(&self.inner.lock().versions, prefix)
    }
}

/// Finds the first key that starts with a prefix.
pub fn starting_with<V>(map: &BTreeMap<Digest, V>, prefix: DigestPrefix) -> Option<Digest> {
    let (digest, _) = map.range(prefix.lowest()..).next()?;
    (digest.prefix() == prefix).then_some(*digest)
}

impl Inner {
    fn count(&mut self, fragment: &EncodedFragment) {
        let uses = self.uses.entry(fragment.id).or_default();
        self.bytes += POINTER_BYTES + if *uses == 0 { fragment.bytes.len() } else { 0 };
        *uses += 1;
    }

    fn discount(&mut self, fragment: &EncodedFragment) {
        let Some(uses) = self.uses.get_mut(&fragment.id) else { return };
        *uses -= 1;
        self.bytes -= POINTER_BYTES;
        if *uses == 0 {
            self.bytes -= fragment.bytes.len();
            self.uses.remove(&fragment.id);
        }
    }

    fn forget_oldest(&mut self) {
        for digest in self.publications.pop_front().unwrap_or_default() {
            let version = self.versions.remove(&digest);
            version.iter().flat_map(|version| version.iter()).for_each(|fragment| self.discount(fragment));
        }
    }
}
