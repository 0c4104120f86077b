//! Differences between fragment lists: what goes over the link instead of a list.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::bundle::EncodedFragment;

/// What changed from one list of fragments to the next, in the order of the lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference<'a> {
    /// New and changed fragments, each with the one that it replaces.
    pub upserts: Vec<(&'a EncodedFragment, Option<&'a EncodedFragment>)>,
    /// Fragments that are gone.
    pub removals: Vec<&'a EncodedFragment>,
}

/// Finds what changed from one list of fragments to the next; both are sorted, as `Contents` has them.
pub fn diff<'a>(old: &'a [Arc<EncodedFragment>], new: &'a [Arc<EncodedFragment>]) -> Difference<'a> {
    let mut found = Difference::default();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => return found,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.name.cmp(&new.name),
        };
        let before = if order.is_le() { old.next() } else { None };
        let after = if order.is_ge() { new.next() } else { None };
        match (before, after) {
            (Some(before), None) => found.removals.push(before),
            (before, Some(after)) if before.is_none_or(|before| before.id != after.id) => {
                found.upserts.push((after, before.map(|before| &**before)));
            }
            _ => {}
        }
    }
}
