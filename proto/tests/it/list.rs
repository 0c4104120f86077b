//! `encode_list` and `decode_list`: whatever fits into an offer, the other side has the same list.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use prost::Message as _;
use skerry_core::bundle::v1::FragmentList;
use skerry_core::bundle::{Contents, EncodedFragment, v1};
use skerry_core::id::Digest;
use skerry_proto::codec::list::Stepped;
use skerry_proto::codec::{CodecError, decode_list, encode_list};
use skerry_proto::v1::{FragmentData, ListDelta, ListEntry};

/// Services by name, each in one of some versions of some length.
fn contents() -> impl Strategy<Value = Contents> {
    proptest::collection::btree_map("[a-f]", (1_u32..4, 0_usize..60), 0..8).prop_map(|services| {
        let service = |(name, (index, routes)): (String, (u32, usize))| {
            let routes =
                (0..routes).map(|at| v1::Route { name: format!("{name}/{at}"), ..Default::default() });
            let tables = vec![v1::RouteTable { port: 80, routes: routes.collect(), ..Default::default() }];
            let service = v1::Service { namespace: "shop".into(), name, index, tables, ..Default::default() };
            Arc::new(EncodedFragment::service(service))
        };
        Contents::new(services.into_iter().map(service).collect())
    })
}

fn list(contents: &Contents) -> FragmentList {
    FragmentList::decode(&*contents.list).expect("a list is protobuf")
}

fn known(contents: &Contents) -> impl Fn(&Digest) -> Option<Arc<[u8]>> {
    let by_id: BTreeMap<Digest, Arc<[u8]>> =
        contents.fragments.iter().map(|fragment| (fragment.id, fragment.bytes.clone())).collect();
    move |id| by_id.get(id).cloned()
}

proptest! {
    #[test]
    fn the_other_side_has_the_same_list(old in contents(), new in contents(), room in 0_usize..600, knows in any::<bool>()) {
        let base = knows.then_some(&old);
        let (digest, fragments) = (base.map(|old| &old.digest), base.map_or(&[][..], |old| &old.fragments));

        let step = encode_list(digest, fragments, &new.fragments, room);
        let own = base.map(list).unwrap_or_default();
        let Stepped { list: made, fragments } = decode_list(&step.list, &step.fragments, &own, known(&old)).unwrap();

        prop_assert_eq!(made.encode_to_vec(), new.list.to_vec());
        prop_assert!(step.fragments.iter().map(|data| data.data.len()).sum::<usize>() <= room);
        prop_assert_eq!(fragments.len(), step.fragments.len());
        for (id, bytes) in fragments {
            prop_assert_eq!(Digest::of(&bytes), id);
            prop_assert!(new.fragments.iter().any(|fragment| fragment.id == id));
        }
    }

    #[test]
    fn whatever_comes_is_a_list_or_refused(place in 0_u32..4, key in "[a-c]", id in proptest::collection::vec(any::<u8>(), 0..3), data in proptest::collection::vec(any::<u8>(), 0..40), encoding in 0..4) {
        let delta = ListDelta { upserts: vec![ListEntry { place, key, id, length: 1 }], ..ListDelta::default() };
        let _either = decode_list(&delta, &[FragmentData { encoding, data }], &FragmentList::default(), |_| None);
    }
}

#[test]
fn entries_that_lead_nowhere_are_named() {
    let entry = |place| ListDelta {
        upserts: vec![ListEntry { place, key: "service/shop/a".to_owned(), ..ListEntry::default() }],
        ..ListDelta::default()
    };
    let refused = |delta: &ListDelta| {
        decode_list(delta, &[], &FragmentList::default(), |_| None).unwrap_err().to_string()
    };
    assert_eq!(refused(&entry(7)), "the list to start from has no entry 7");
    assert_eq!(refused(&entry(0)), "fragment service/shop/a: it is neither named nor sent");
}

/// Invariant 9: an offer of a few bytes cannot ask for memory without end.
#[test]
fn invariant_9_what_an_offer_decodes_to_is_bounded() {
    let large = EncodedFragment::of_bytes(skerry_core::bundle::FragmentKey::Settings, vec![0; 1 << 20]);
    let data = skerry_proto::codec::encode_fragment(&large, None);
    let entries = (0..17).map(|at| ListEntry { key: format!("service/shop/{at}"), ..ListEntry::default() });
    let delta = ListDelta { upserts: entries.collect(), ..ListDelta::default() };
    let error = decode_list(&delta, &vec![data; 17], &FragmentList::default(), |_| None).unwrap_err();
    assert!(matches!(error, CodecError::TooLong { .. }), "{error}");
}
