//! What an offer carries besides the manifest: the change of the list, and fragments as far as they fit.
//!
//! Equal for all sites that go from one list to another, so it is computed once for each pair.

use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_core::delta::{self, ListChange};
use skerry_core::id::Digest;
use skerry_proto::codec::encode_fragment;
use skerry_proto::limits::MAX_INLINE_BYTES;
use skerry_proto::list_delta;
use skerry_proto::v1::{FragmentData, ListDelta};

use super::cache::Cache;
use super::history::Version;

/// How many bytes of deltas are remembered: 32 MiB. One is at most a list and 16 KiB of fragments, and
/// a list of 200 services has 13 KiB, so that is all pairs of 500 classes with two versions before.
const MAX_BYTES: usize = 32 << 20;

/// What a delta takes besides its bytes: the pair, its place in the map, and two vectors.
const OVERHEAD_BYTES: usize = 256;

/// What a site has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Base {
    /// No list: everything is new to it.
    Nothing,
    /// A list that the core does not know any more: it may have any of the fragments.
    Unknown,
    /// This list.
    Known(Digest),
}

/// What leads from a base to contents.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// The change of the list.
    pub list: ListDelta,
    /// New fragments, as far as they fit into an offer.
    pub fragments: Vec<FragmentData>,
}

/// The deltas that were asked for since the last publication.
#[derive(Debug)]
pub struct Deltas(Cache<(Base, Digest), Arc<Delta>>);

impl Default for Deltas {
    fn default() -> Self {
        Self(Cache::with_room(MAX_BYTES))
    }
}

impl Deltas {
    /// Returns a delta; `find` finds the version of a list.
    pub fn get(
        &self,
        base: Base,
        target: &Contents,
        find: impl Fn(&Digest) -> Option<Version>,
    ) -> Arc<Delta> {
        self.0.get((base, target.digest), |_| Arc::new(compute(base, target, find)), |delta| delta.size())
    }

    /// Forgets all of them: what was published before is not asked for any more.
    pub fn clear(&self) {
        self.0.clear();
    }
}

impl Delta {
    /// About the bytes in memory: strings and vectors are most of it, and are as long as on the wire.
    fn size(&self) -> usize {
        let fragments: usize = self.fragments.iter().map(|data| data.data.len() + OVERHEAD_BYTES).sum();
        OVERHEAD_BYTES + self.list.encoded_len() + fragments
    }
}

fn compute(base: Base, target: &Contents, find: impl Fn(&Digest) -> Option<Version>) -> Delta {
    match base {
        Base::Nothing => between(None, &[], target, MAX_INLINE_BYTES),
        Base::Unknown => between(None, &[], target, 0),
        Base::Known(list) if list == target.digest => {
            Delta { list: list_delta::to_wire(Some(&list), ListChange::default()), fragments: Vec::new() }
        }
        Base::Known(list) => match find(&list) {
            Some(version) => between(Some(&list), &version, target, MAX_INLINE_BYTES),
            None => between(None, &[], target, 0),
        },
    }
}

/// Compares two versions and encodes what is new, in the order of the list, as far as `room` allows.
fn between(base: Option<&Digest>, old: &[Arc<EncodedFragment>], target: &Contents, mut room: usize) -> Delta {
    let difference = delta::diff(old, &target.fragments);
    let mut fragments = Vec::new();
    for (fragment, predecessor) in &difference.upserts {
        if room > 0 {
            let data = encode_fragment(fragment, *predecessor);
            if data.data.len() <= room {
                room -= data.data.len();
                fragments.push(data);
            }
        }
    }
    Delta { list: list_delta::to_wire(base, difference.to_list_change()), fragments }
}
