//! Changes of fragment lists between core and wire.

use skerry_core::delta::ListChange;
use skerry_core::id::{Digest, InvalidId};

use crate::v1;

/// Turns a change into its wire form; `base` is the digest of the list that it starts from, `None`
/// for a list that is made of nothing.
pub fn to_wire(base: Option<&Digest>, change: ListChange) -> v1::ListDelta {
    let base = base.map(|digest| digest.as_bytes().to_vec()).unwrap_or_default();
    v1::ListDelta { base, upserts: change.upserts, removals: change.removals }
}

/// Turns the wire form into a change and the digest of the list that it starts from.
///
/// # Errors
/// The base is neither empty nor a digest.
pub fn from_wire(delta: v1::ListDelta) -> Result<(Option<Digest>, ListChange), InvalidId> {
    let base = if delta.base.is_empty() { None } else { Some(Digest::from_slice(&delta.base)?) };
    Ok((base, ListChange { upserts: delta.upserts, removals: delta.removals }))
}
