//! A change of a fragment list is the same on the other side.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message as _;
use skerry_core::bundle::v1::FragmentRef;
use skerry_core::delta::ListChange;
use skerry_core::id::Digest;
use skerry_proto::list_delta::{from_wire, to_wire};
use skerry_proto::v1::ListDelta;

fn changes() -> impl Strategy<Value = ListChange> {
    let entries = proptest::collection::btree_map("service/[a-c]/[a-f]", any::<u8>(), 0..12);
    let removals = proptest::collection::vec("service/[a-c]/[a-f]", 0..4);
    (entries, removals).prop_map(|(entries, removals): (BTreeMap<String, u8>, _)| ListChange {
        removals,
        upserts: entries
            .into_iter()
            .map(|(key, content)| FragmentRef {
                key,
                id: Digest::of(&[content]).as_bytes().to_vec(),
                length: content.into(),
            })
            .collect(),
    })
}

proptest! {
    #[test]
    fn the_other_side_has_the_same_change(base in any::<[u8; 8]>(), change in changes()) {
        let digest = Digest::of(&base);
        let bytes = to_wire(Some(&digest), change.clone()).encode_to_vec();
        let read = from_wire(ListDelta::decode(&*bytes).unwrap()).unwrap();
        prop_assert_eq!(read, (Some(digest), change));
    }
}

#[test]
fn a_base_is_nothing_or_a_digest() {
    assert_eq!(from_wire(ListDelta::default()).unwrap().0, None);
    assert!(from_wire(ListDelta { base: vec![1; 31], ..ListDelta::default() }).is_err());
}
