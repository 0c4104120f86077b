//! Fetching: from an offer to a whole, checked candidate. Pure: bytes come in, wants go out.
//!
//! The list and each fragment are checked the moment they are whole. What is there survives a link that breaks in the
//! middle of another; with what goes to the store meanwhile it survives a restart of the agent as well.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use skerry_core::accept::Refusal;
use skerry_core::bundle::v1;
use skerry_core::id::Digest;
use skerry_core::verify::verify_list;
use skerry_proto::codec::list::Stepped;
use skerry_proto::codec::{Assembly, CodecError, decode_list};
use skerry_proto::v1::{Chunk, ListDelta, Need, Offer};

use crate::clock::Now;
use crate::store::Slot;

/// How many fragments are asked for at once: at first, and at most. A link that breaks costs the names of those that
/// did not come, so it begins with a few (2 KiB) and doubles as long as they come; with 300 B each the most are 150 KiB,
/// a round trip of 0.7 s on a link of 2 Mbit/s, and a `Need` of 20 KiB.
const WANTS_AT_ONCE: (usize, usize) = (64, 512);

/// What arrived is handed to the store in batches of at least so many bytes, so that the memory it takes is bounded
/// and a restarted agent goes on where this one ended: at most so much is lost with a power cut, and a bundle of 1 MiB
/// costs 16 writes.
const BATCH_BYTES: usize = 64 << 10;

/// How long nothing may come of what was asked for. A chunk of 16 KiB takes 55 s at 2.4 kbit/s.
const STALL: Duration = Duration::from_secs(120);

/// What counts as something: the rest of a fragment, or so many bytes. That is 68 bit/s, a tenth of the slowest link that there
/// is; who sends less holds the site up on purpose.
const LEAST_BYTES: usize = 1 << 10;

/// A fragment with its id.
pub(crate) type Fragment = (Digest, Arc<[u8]>);

/// The beginning of what is coming in: the id of a list or fragment, and bytes of its encoded form.
pub(crate) type Part = (Digest, Vec<u8>);

/// What is here already.
pub(crate) struct Stock<'a> {
    /// Finds the bytes of a fragment.
    pub(crate) known: &'a dyn Fn(&Digest) -> Option<Arc<[u8]>>,
    /// What was coming in when a fetch ended, of whichever offer.
    pub(crate) part: Option<Part>,
}

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

/// What a chunk has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Nothing to be done for it.
    Part,
    /// The list is whole: hand it to `handle_list`.
    List(Vec<u8>),
}

/// A candidate whose parts are coming in.
#[derive(Debug)]
pub(crate) struct Fetch {
    manifest: v1::Manifest,
    /// Its list is empty until it is here.
    slot: Slot,
    /// Fragments; before them, the list alone.
    missing: BTreeMap<Digest, Assembly>,
    /// Asked for on the link as it is now.
    asked: BTreeSet<Digest>,
    /// How many are asked for next.
    at_once: usize,
    /// Nothing has come of that yet.
    is_fresh: bool,
    /// When something must have come of that.
    due: Option<Now>,
    /// How many bytes came since that was set.
    came: usize,
    /// The one that is coming in, and how many bytes of it were handed to the store.
    coming: Option<(Digest, usize)>,
    arrived: Vec<Fragment>,
    arrived_bytes: usize,
}

impl Fetch {
    /// Begins with an accepted offer. `bases` are the slots whose lists it may build on.
    pub(crate) fn begin(
        offer: &Offer,
        manifest: &v1::Manifest,
        bases: &[&Slot],
        stock: &Stock<'_>,
    ) -> Result<Self, FetchError> {
        let mut fetch = Self::of(offer.manifest.clone(), manifest.clone(), stock);
        let Some(delta) = &offer.list else { return Ok(fetch) };
        let Stepped { list, fragments } = take_step(delta, offer, bases, stock)?;
        let taken = fetch.handle_list(list.encode_to_vec(), fragments, stock);
        taken.map_err(|error| match error {
            // What it builds on, or what it sent, may be at fault: from nothing it is another matter.
            FetchError::Refused(Refusal::WrongList) if !delta.base.is_empty() => FetchError::WrongStep,
            error => error,
        })?;
        Ok(fetch)
    }

    /// Goes on with one that an agent before this one had begun.
    pub(crate) fn resume(slot: Slot, stock: &Stock<'_>) -> Result<Self, FetchError> {
        let manifest = v1::Manifest::decode(slot.manifest.as_slice());
        let manifest = manifest.map_err(|error| Refusal::Malformed(error.to_string()))?;
        let mut fetch = Self::of(slot.manifest, manifest, stock);
        if !slot.list.is_empty() {
            fetch.handle_list(slot.list, Vec::new(), stock)?;
        }
        Ok(fetch)
    }

    /// Begins with nothing but a manifest: the list is missing.
    fn of(bytes: Vec<u8>, manifest: v1::Manifest, stock: &Stock<'_>) -> Self {
        let mut fetch = Self {
            slot: Slot { manifest: bytes, list: Vec::new() },
            missing: BTreeMap::new(),
            asked: BTreeSet::new(),
            at_once: WANTS_AT_ONCE.0,
            is_fresh: false,
            due: None,
            came: 0,
            coming: None,
            arrived: Vec::new(),
            arrived_bytes: 0,
            manifest,
        };
        if let Ok(list) = Digest::from_slice(&fetch.manifest.list) {
            let part = fetch.take_part(&list, stock);
            fetch.missing.insert(list, Assembly::resume_list(list, part));
        }
        fetch
    }

    /// What is in the store of something that was coming in.
    fn take_part(&mut self, id: &Digest, stock: &Stock<'_>) -> Vec<u8> {
        let part = stock.part.as_ref().filter(|part| part.0 == *id).map(|part| part.1.clone());
        if let Some(part) = &part {
            self.coming = Some((*id, part.len()));
        }
        part.unwrap_or_default()
    }

    /// Takes the list, and fragments that came with it: what is not here is missing.
    pub(crate) fn handle_list(
        &mut self,
        list: Vec<u8>,
        fragments: Vec<Fragment>,
        stock: &Stock<'_>,
    ) -> Result<(), FetchError> {
        let names = verify_list(&self.manifest, &list)?;
        let mut arrived: BTreeMap<Digest, Arc<[u8]>> = fragments.into_iter().collect();
        let ids: BTreeSet<Digest> =
            names.fragments.iter().filter_map(|entry| Digest::from_slice(&entry.id).ok()).collect();
        arrived.retain(|id, _| ids.contains(id));
        (self.slot.list, self.missing, self.coming) = (list, BTreeMap::new(), None);
        for id in ids {
            if !arrived.contains_key(&id) && (stock.known)(&id).is_none() {
                let part = self.take_part(&id, stock);
                self.missing.insert(id, Assembly::resume(id, part));
            }
        }
        self.arrived_bytes = arrived.values().map(|bytes| bytes.len()).sum();
        self.arrived = arrived.into_iter().collect();
        Ok(())
    }

    /// The digest of the manifest that it is for.
    pub(crate) fn digest(&self) -> Digest {
        self.slot.digest()
    }

    /// The manifest that it is for.
    pub(crate) fn manifest(&self) -> &v1::Manifest {
        &self.manifest
    }

    /// Manifest and list, as far as they are here, to be kept.
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Returns the fragment list, once it is here.
    pub(crate) fn list(&self) -> Option<v1::FragmentList> {
        let is_here = !self.slot.list.is_empty();
        is_here.then(|| v1::FragmentList::decode(self.slot.list.as_slice()).expect("the list was verified"))
    }

    /// Returns what to ask for next, if nothing that was asked for is still to come.
    pub(crate) fn poll_need(&mut self, now: Now) -> Option<Need> {
        if !self.asked.is_empty() || self.missing.is_empty() {
            return None;
        }
        let next: Vec<&Assembly> = self.missing.values().take(self.at_once).collect();
        let fragments = next.iter().map(|assembly| assembly.want()).collect();
        self.asked = self.missing.keys().take(self.at_once).copied().collect();
        (self.due, self.came, self.is_fresh) = (Some(now + STALL), 0, true);
        Some(Need { fragments })
    }

    /// The same offer came again, as with each pull: what has not come of what was asked for must be asked for again,
    /// unless that was asked for since.
    pub(crate) fn handle_offer(&mut self) {
        if !self.is_fresh {
            self.asked.clear();
            self.due = None;
        }
    }

    /// The link broke: what was asked for will not come, what is there stays.
    pub(crate) fn handle_link_down(&mut self) {
        self.asked.clear();
        (self.due, self.is_fresh, self.at_once) = (None, false, WANTS_AT_ONCE.0);
    }

    /// What came is damaged, and is asked for again some time later: the rest of what was asked for is not waited for.
    pub(crate) fn handle_damage(&mut self) {
        self.due = None;
    }

    /// Returns when the link has failed that carries nothing of what was asked for.
    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        self.due
    }

    /// Takes a chunk. What nobody asked for is passed over; what turns out wrong is asked for again from its start.
    pub(crate) fn handle_chunk(&mut self, now: Now, chunk: &Chunk) -> Result<Taken, CodecError> {
        let Ok(id) = Digest::from_slice(&chunk.id) else { return Ok(Taken::Part) };
        let Some(assembly) = self.missing.get_mut(&id) else { return Ok(Taken::Part) };
        self.is_fresh = false;
        let accepted = assembly.accept(chunk).inspect_err(|_| self.coming = None)?;
        self.came += chunk.data.len();
        if accepted.is_some() || self.came >= LEAST_BYTES {
            (self.due, self.came) = (self.due.map(|_| now + STALL), 0);
        }
        let Some(bytes) = accepted else {
            self.coming = self.coming.filter(|coming| coming.0 == id).or(Some((id, 0)));
            return Ok(Taken::Part);
        };
        self.missing.remove(&id);
        self.asked.remove(&id);
        self.coming = None;
        if self.asked.is_empty() {
            (self.due, self.at_once) = (None, WANTS_AT_ONCE.1.min(self.at_once * 2));
        }
        if self.slot.list.is_empty() {
            return Ok(Taken::List(bytes));
        }
        self.arrived_bytes += bytes.len();
        self.arrived.push((id, bytes.into()));
        Ok(Taken::Part)
    }

    /// Returns what is to be staged, once there is enough of it: whole fragments, and a part that is coming in.
    pub(crate) fn poll_batch(&mut self) -> Option<(Vec<Fragment>, Option<Part>)> {
        if self.missing.is_empty() {
            return None;
        }
        let part = self.part(BATCH_BYTES);
        if part.is_none() && self.arrived_bytes < BATCH_BYTES {
            return None;
        }
        self.arrived_bytes = 0;
        Some((std::mem::take(&mut self.arrived), part))
    }

    /// Returns all that is not staged, if there is any: the link broke, or the agent ends.
    pub(crate) fn flush(&mut self) -> Option<(Vec<Fragment>, Option<Part>)> {
        let part = self.part(1);
        if self.arrived.is_empty() && part.is_none() {
            return None;
        }
        self.arrived_bytes = 0;
        Some((std::mem::take(&mut self.arrived), part))
    }

    /// The part that is coming in, if there is at least so much more of it than was handed out.
    fn part(&mut self, more: usize) -> Option<Part> {
        let (id, kept) = self.coming.as_mut()?;
        let encoded = self.missing.get(id)?.encoded();
        (encoded.len() >= *kept + more).then(|| {
            *kept = encoded.len();
            (*id, encoded.to_vec())
        })
    }

    /// How many parts are missing: fragments, or the list.
    pub(crate) fn missing(&self) -> usize {
        self.missing.len()
    }

    /// Says whether everything is here.
    pub(crate) fn is_complete(&self) -> bool {
        self.missing.is_empty() && !self.slot.list.is_empty()
    }

    /// Returns the candidate and those of its fragments that were not staged.
    pub(crate) fn into_parts(self) -> (Slot, Vec<Fragment>) {
        (self.slot, self.arrived)
    }
}

/// Takes the step that an offer describes, from a list that is here.
fn take_step(
    delta: &ListDelta,
    offer: &Offer,
    bases: &[&Slot],
    stock: &Stock<'_>,
) -> Result<Stepped, FetchError> {
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
    Ok(decode_list(delta, &offer.fragments, &base, stock.known)?)
}

#[cfg(test)]
mod tests;
