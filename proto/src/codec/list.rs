//! From one fragment list to the next: what an offer carries besides the manifest.
//!
//! Says only what the receiver cannot tell by itself. It looks nothing over: the digest of the list that comes out
//! is held against the manifest by whoever asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use skerry_core::bundle::EncodedFragment;
use skerry_core::bundle::v1::{FragmentList, FragmentRef};
use skerry_core::delta;
use skerry_core::id::Digest;

use super::{CodecError, decode_fragment, encode_fragment};
use crate::limits::MAX_INLINE_DECODED_BYTES;
use crate::v1::{FragmentData, ListDelta, ListEntry};

/// After so many fragments that found no room in an offer no more are tried: each costs a compression.
const MISFITS: usize = 8;

/// What leads from one list to another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// The change of the list.
    pub list: ListDelta,
    /// New fragments, as far as there was room.
    pub fragments: Vec<FragmentData>,
}

/// What came of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stepped {
    /// The new list, sorted by key.
    pub list: FragmentList,
    /// The fragments that came with it.
    pub fragments: Vec<(Digest, Arc<[u8]>)>,
}

/// Finds what leads from one version to the next. `base` is the digest of the list before, `None` for nothing;
/// fragments ride along in the order of the list, up to `room` bytes.
pub fn encode_list(
    base: Option<&Digest>,
    old: &[Arc<EncodedFragment>],
    new: &[Arc<EncodedFragment>],
    room: usize,
) -> Step {
    let difference = delta::diff(old, new);
    let removals = difference.removals.iter().map(|fragment| fragment.name.to_string()).collect();
    let base = base.map(|digest| digest.prefix().as_bytes().to_vec()).unwrap_or_default();
    let mut step = Step { list: ListDelta { base, upserts: Vec::new(), removals }, ..Step::default() };
    let mut bounds = Bounds { room, decoded: MAX_INLINE_DECODED_BYTES, misfits: MISFITS };
    for (fragment, predecessor) in &difference.upserts {
        let place = predecessor.and_then(|before| old.binary_search_by(|at| at.name.cmp(&before.name)).ok());
        let place = place.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or_default();
        let key = if place == 0 { fragment.name.to_string() } else { String::new() };
        let entry = match bounds.take(fragment, *predecessor) {
            Some(data) => {
                step.fragments.push(data);
                ListEntry { place, key, ..ListEntry::default() }
            }
            None => {
                let FragmentRef { id, length, .. } = fragment.to_ref();
                ListEntry { place, key, id, length }
            }
        };
        step.list.upserts.push(entry);
    }
    step
}

/// How much may ride along still.
struct Bounds {
    room: usize,
    decoded: usize,
    misfits: usize,
}

impl Bounds {
    fn take(
        &mut self,
        fragment: &EncodedFragment,
        predecessor: Option<&EncodedFragment>,
    ) -> Option<FragmentData> {
        if self.room == 0 || self.misfits == 0 || fragment.bytes.len() > self.decoded {
            return None;
        }
        let data = encode_fragment(fragment, predecessor);
        if data.data.len() > self.room {
            self.misfits -= 1;
            return None;
        }
        self.room -= data.data.len();
        self.decoded -= fragment.bytes.len();
        Some(data)
    }
}

/// Takes a step from the list `base`; `known` finds the bytes of a fragment that is here already.
///
/// # Errors
/// The step does not fit to the list, or its fragments are none: see [`CodecError`].
pub fn decode_list(
    delta: &ListDelta,
    fragments: &[FragmentData],
    base: &FragmentList,
    known: impl Fn(&Digest) -> Option<Arc<[u8]>>,
) -> Result<Stepped, CodecError> {
    let mut entries: BTreeMap<&str, FragmentRef> =
        base.fragments.iter().map(|entry| (entry.key.as_str(), entry.clone())).collect();
    for key in &delta.removals {
        entries.remove(key.as_str());
    }
    let mut data = fragments.iter();
    let mut arrived = Vec::new();
    let mut room = MAX_INLINE_DECODED_BYTES;
    for entry in &delta.upserts {
        let before = before(entry, base)?;
        let key = before.map_or(entry.key.as_str(), |before| before.key.as_str());
        let (id, length) = if entry.id.is_empty() {
            let data = data.next().ok_or_else(|| CodecError::MissingData { fragment: key.to_owned() })?;
            let predecessor =
                before.and_then(|before| Digest::from_slice(&before.id).ok()).and_then(|id| known(&id));
            let bytes: Arc<[u8]> = decode_fragment(key, data, predecessor.as_deref())?.into();
            let too_long = || CodecError::TooLong { fragment: key.to_owned() };
            room = room.checked_sub(bytes.len()).ok_or_else(too_long)?;
            let (id, length) = (Digest::of(&bytes), u32::try_from(bytes.len()).map_err(|_| too_long())?);
            arrived.push((id, bytes));
            (id.as_bytes().to_vec(), length)
        } else {
            (entry.id.clone(), entry.length)
        };
        entries.insert(key, FragmentRef { key: key.to_owned(), id, length });
    }
    Ok(Stepped { list: FragmentList { fragments: entries.into_values().collect() }, fragments: arrived })
}

/// Finds the entry that is replaced.
fn before<'a>(entry: &ListEntry, base: &'a FragmentList) -> Result<Option<&'a FragmentRef>, CodecError> {
    let Some(at) = entry.place.checked_sub(1) else { return Ok(None) };
    let found = usize::try_from(at).ok().and_then(|at| base.fragments.get(at));
    found.map(Some).ok_or(CodecError::NoSuchPlace { place: entry.place })
}
