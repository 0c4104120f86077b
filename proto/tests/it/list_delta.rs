//! A change of a fragment list makes the same list on the other side.

use std::collections::BTreeMap;

use proptest::prelude::*;
use prost::Message as _;
use skerry_core::bundle::v1::{FragmentList, FragmentRef};
use skerry_core::delta::{diff, patch};
use skerry_core::id::Digest;
use skerry_proto::list_delta::{from_wire, to_wire};
use skerry_proto::v1::ListDelta;

fn lists() -> impl Strategy<Value = FragmentList> {
    let entries = proptest::collection::btree_map("service/[a-c]/[a-f]", any::<u8>(), 0..12);
    entries.prop_map(|entries: BTreeMap<String, u8>| FragmentList {
        fragments: entries
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
    fn the_other_side_makes_the_same_list(base in lists(), next in lists()) {
        let digest = Digest::of(&base.encode_to_vec());
        let bytes = to_wire(Some(&digest), diff(&base, &next)).encode_to_vec();

        let (named, change) = from_wire(ListDelta::decode(&*bytes).unwrap()).unwrap();

        prop_assert_eq!(named, Some(digest));
        prop_assert_eq!(patch(&base, &change), next);
    }
}

#[test]
fn a_base_is_nothing_or_a_digest() {
    assert_eq!(from_wire(ListDelta::default()).unwrap().0, None);
    assert!(from_wire(ListDelta { base: vec![1; 31], ..ListDelta::default() }).is_err());
}
