//! Fetching: from an offer to a whole, checked candidate. Pure: bytes come in, wants go out.
//!
//! Each fragment is checked the moment it is whole; what is there survives a link that breaks in
//! the middle of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message as _;
use skerry_core::accept::Refusal;
use skerry_core::bundle::v1;
use skerry_core::id::Digest;
use skerry_core::verify::verify_list;
use skerry_proto::codec::list::Stepped;
use skerry_proto::codec::{Assembly, CodecError, decode_list};
use skerry_proto::v1::{Chunk, ListDelta, Need, Offer};

use crate::store::Slot;

/// How many fragments are asked for at once: enough to keep a slow link busy, and a `Need` of 20 KiB.
const WANTS_AT_ONCE: usize = 512;

/// Fragments that arrived are handed to the store in batches of at least so many bytes, so that the
/// memory they take is bounded and a restarted agent goes on where this one ended.
const BATCH_BYTES: usize = 256 << 10;

/// A fragment with its id.
pub(crate) type Fragment = (Digest, Arc<[u8]>);

/// An offer that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// It starts from a list that is not here: the core must be told what is.
    #[error("the offer builds on fragment list {0}, which is not here")]
    UnknownBase(String),
    /// It leads to another list than the manifest names: as above.
    #[error("the offer does not lead to the list that its manifest names")]
    WrongStep,
    /// The manifest or list is not acceptable.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A fragment is not what it claims to be.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// A candidate whose fragments are coming in.
#[derive(Debug)]
pub(crate) struct Fetch {
    slot: Slot,
    missing: BTreeMap<Digest, Assembly>,
    /// Asked for on the link as it is now.
    asked: BTreeSet<Digest>,
    arrived: Vec<Fragment>,
    arrived_bytes: usize,
}

impl Fetch {
    /// Begins with an accepted offer. `bases` are the slots whose lists it may build on; `known`
    /// finds the bytes of a fragment that is here.
    pub(crate) fn begin(
        offer: &Offer,
        manifest: &v1::Manifest,
        bases: &[&Slot],
        known: impl Fn(&Digest) -> Option<Arc<[u8]>>,
    ) -> Result<Self, FetchError> {
        let Stepped { list, fragments } = take_step(offer, bases, &known)?;
        let list = list.encode_to_vec();
        let names = verify_list(manifest, &list).map_err(|refusal| match refusal {
            // What it builds on, or what it sent, may be at fault: from nothing it is another matter.
            Refusal::WrongList if is_relative(offer) => FetchError::WrongStep,
            refusal => FetchError::Refused(refusal),
        })?;
        let mut arrived: BTreeMap<Digest, Arc<[u8]>> = fragments.into_iter().collect();
        let ids: BTreeSet<Digest> =
            names.fragments.iter().filter_map(|entry| Digest::from_slice(&entry.id).ok()).collect();
        arrived.retain(|id, _| ids.contains(id));
        let is_missing = |id: &Digest| !arrived.contains_key(id) && known(id).is_none();
        let missing = ids.iter().copied().filter(is_missing).map(|id| (id, Assembly::resume(id, Vec::new())));
        Ok(Self {
            slot: Slot { manifest: offer.manifest.clone(), list },
            missing: missing.collect(),
            asked: BTreeSet::new(),
            arrived_bytes: arrived.values().map(|bytes| bytes.len()).sum(),
            arrived: arrived.into_iter().collect(),
        })
    }

    /// The digest of the manifest that it is for.
    pub(crate) fn digest(&self) -> Digest {
        self.slot.digest()
    }

    /// Returns the fragment list.
    pub(crate) fn list(&self) -> v1::FragmentList {
        v1::FragmentList::decode(self.slot.list.as_slice()).expect("the list was verified")
    }

    /// Returns what to ask for next, if nothing that was asked for is still to come.
    pub(crate) fn poll_need(&mut self) -> Option<Need> {
        if !self.asked.is_empty() || self.missing.is_empty() {
            return None;
        }
        let next: Vec<&Assembly> = self.missing.values().take(WANTS_AT_ONCE).collect();
        let fragments = next.iter().map(|assembly| assembly.want()).collect();
        self.asked = self.missing.keys().take(WANTS_AT_ONCE).copied().collect();
        Some(Need { fragments })
    }

    /// The link broke: what was asked for will not come, what is there stays.
    pub(crate) fn handle_link_down(&mut self) {
        self.asked.clear();
    }

    /// Takes a chunk. A fragment that nobody asked for is passed over; one that turns out wrong
    /// is asked for again from its start.
    pub(crate) fn handle_chunk(&mut self, chunk: &Chunk) -> Result<(), CodecError> {
        let Ok(id) = Digest::from_slice(&chunk.id) else { return Ok(()) };
        let Some(assembly) = self.missing.get_mut(&id) else { return Ok(()) };
        let Some(bytes) = assembly.accept(chunk)? else { return Ok(()) };
        self.missing.remove(&id);
        self.asked.remove(&id);
        self.arrived_bytes += bytes.len();
        self.arrived.push((id, bytes.into()));
        Ok(())
    }

    /// Returns a batch of fragments to be staged, once there are enough of them.
    pub(crate) fn poll_batch(&mut self) -> Option<Vec<Fragment>> {
        if self.missing.is_empty() || self.arrived_bytes < BATCH_BYTES {
            return None;
        }
        self.arrived_bytes = 0;
        Some(std::mem::take(&mut self.arrived))
    }

    /// Says whether every fragment is here.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Returns the candidate and those of its fragments that were not staged.
    pub(crate) fn into_parts(self) -> (Slot, Vec<Fragment>) {
        (self.slot, self.arrived)
    }
}

/// Says whether an offer builds on something that is here.
fn is_relative(offer: &Offer) -> bool {
    offer.list.as_ref().is_some_and(|list| !list.base.is_empty())
}

fn take_step(
    offer: &Offer,
    bases: &[&Slot],
    known: impl Fn(&Digest) -> Option<Arc<[u8]>>,
) -> Result<Stepped, FetchError> {
    let nothing = ListDelta::default();
    let delta = offer.list.as_ref().unwrap_or(&nothing);
    let base = if delta.base.is_empty() {
        v1::FragmentList::default()
    } else {
        let unknown =
            || FetchError::UnknownBase(delta.base.iter().map(|byte| format!("{byte:02x}")).collect());
        let slot = bases
            .iter()
            .find(|slot| slot.list_digest().prefix().as_bytes()[..] == delta.base[..])
            .ok_or_else(unknown)?;
        v1::FragmentList::decode(slot.list.as_slice()).map_err(|_| unknown())?
    };
    Ok(decode_list(delta, &offer.fragments, &base, known)?)
}

#[cfg(test)]
mod tests;
