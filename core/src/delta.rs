//! Differences between fragment lists: what goes over the link instead of a list.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::v1::{FragmentList, FragmentRef};

/// How to make one list of another.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListChange {
    /// New and changed entries, by key.
    pub upserts: Vec<FragmentRef>,
    /// Keys of entries that are gone.
    pub removals: Vec<String>,
}

/// Finds what changed from one list to the next.
pub fn diff(base: &FragmentList, next: &FragmentList) -> ListChange {
    let old: BTreeMap<&str, &FragmentRef> =
        base.fragments.iter().map(|entry| (entry.key.as_str(), entry)).collect();
    let keys: BTreeSet<&str> = next.fragments.iter().map(|entry| entry.key.as_str()).collect();
    let is_new = |entry: &&FragmentRef| old.get(entry.key.as_str()).is_none_or(|before| *before != *entry);
    ListChange {
        upserts: next.fragments.iter().filter(is_new).cloned().collect(),
        removals: old.keys().filter(|key| !keys.contains(*key)).map(|key| (*key).to_owned()).collect(),
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
