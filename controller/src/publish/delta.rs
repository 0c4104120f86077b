//! What an offer carries besides the manifest: the change of the list, and fragments as far as they fit.
//!
//! Equal for all sites that go from one list to another, so it is computed once for each pair.

use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::Contents;
use skerry_core::id::Digest;
use skerry_proto::codec::encode_list;
use skerry_proto::codec::list::Step;
use skerry_proto::limits::MAX_INLINE_BYTES;
use skerry_proto::v1::ListDelta;

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

/// Whether fragments ride in an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Inline {
    /// As far as they fit.
    Fragments,
    /// None: the site has named what it lacks.
    Nothing,
}

/// The deltas that were asked for since the last publication.
#[derive(Debug)]
pub struct Deltas(Cache<(Base, Digest, Inline), Arc<Step>>);

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
        inline: Inline,
        find: impl Fn(&Digest) -> Option<Version>,
    ) -> Arc<Step> {
        let key = (base, target.digest, inline);
        self.0.get(key, |_| Arc::new(compute(base, target, inline, find)), |step| size(step))
    }

    /// Forgets all of them: what was published before is not asked for any more.
    pub fn clear(&self) {
        self.0.clear();
    }
}

/// About the bytes in memory: strings and vectors are most of it, and are as long as on the wire.
fn size(step: &Step) -> usize {
    let fragments: usize = step.fragments.iter().map(|data| data.data.len() + OVERHEAD_BYTES).sum();
    OVERHEAD_BYTES + step.list.encoded_len() + fragments
}

fn compute(base: Base, target: &Contents, inline: Inline, find: impl Fn(&Digest) -> Option<Version>) -> Step {
    let room = if inline == Inline::Fragments { MAX_INLINE_BYTES } else { 0 };
    let new = target.fragments.as_slice();
    match base {
        Base::Nothing => encode_list(None, &[], new, room),
        Base::Known(list) if list == target.digest => {
            let base = list.prefix().as_bytes().to_vec();
            Step { list: ListDelta { base, ..ListDelta::default() }, ..Step::default() }
        }
        Base::Known(list) => match find(&list) {
            Some(version) => encode_list(Some(&list), &version, new, room),
            None => encode_list(None, &[], new, 0),
        },
        Base::Unknown => encode_list(None, &[], new, 0),
    }
}
