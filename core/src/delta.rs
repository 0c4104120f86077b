//! Differences between fragment lists: what goes over the link instead of a list.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::EncodedFragment;
use crate::bundle::v1::{FragmentList, FragmentRef};

/// How to make one list of another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListChange {
    /// New and changed entries, by key.
    pub upserts: Vec<FragmentRef>,
    /// Keys of entries that are gone.
    pub removals: Vec<String>,
}

/// What changed from one list of fragments to the next, in the order of the lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference<'a> {
    /// New and changed fragments, each with the one that it replaces.
    pub upserts: Vec<(&'a EncodedFragment, Option<&'a EncodedFragment>)>,
    /// Fragments that are gone.
    pub removals: Vec<&'a EncodedFragment>,
}

impl Difference<'_> {
    /// Returns the change of the list alone.
    pub fn to_list_change(&self) -> ListChange {
        ListChange {
            upserts: self.upserts.iter().map(|(fragment, _)| fragment.to_ref()).collect(),
            removals: self.removals.iter().map(|fragment| fragment.name.to_string()).collect(),
        }
    }
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

/// Applies a change. The result is sorted by key; its digest tells whether it is the one that was meant.
pub fn patch(base: &FragmentList, change: &ListChange) -> FragmentList {
    let mut entries: BTreeMap<&str, &FragmentRef> =
        base.fragments.iter().map(|entry| (entry.key.as_str(), entry)).collect();
    for key in &change.removals {
        entries.remove(key.as_str());
    }
    entries.extend(change.upserts.iter().map(|entry| (entry.key.as_str(), entry)));
    FragmentList { fragments: entries.into_values().cloned().collect() }
}
