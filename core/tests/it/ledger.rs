//! The ledger: numbers rise with changes and stay without; deltas between lists round-trip.

use prost::Message as _;
use skerry_core::bundle::v1::{FragmentList, FragmentRef};
use skerry_core::delta::{diff, patch};
use skerry_core::id::{Generation, Revision, Timestamp};
use skerry_core::ledger::{Ledger, Terms, encode};

use crate::builder::{contents, index, objects, service_yaml, site, site_yaml, upsert};

fn revision(digit: &str) -> Revision {
    Revision::commit("main", &digit.repeat(40))
}

#[test]
fn a_site_keeps_its_row_until_its_contents_change_whatever_the_revision() {
    let mut index = index(&(site_yaml("s1", "tier: retail") + &site_yaml("s2", "") + &service_yaml("cart")));
    let mut ledger = Ledger::default();
    let first = ledger.publish(&index.compile(), |_| None, &revision("1"), Timestamp(10));
    assert_eq!((first.generation, first.rows.len()), (Generation(1), 2));

    let local = service_yaml("till").replace("shop}", "shop, annotations: {skerry.dev/sites: tier=retail}}");
    upsert(&mut index, &local, 0);
    let second = ledger.publish(&index.compile(), |_| None, &revision("2"), Timestamp(20));
    assert_eq!(second.rows.keys().map(ToString::to_string).collect::<Vec<_>>(), ["s1"]);
    assert_eq!(ledger.row(&site("s2")).unwrap().revision, revision("1"));

    let third = ledger.publish(&index.compile(), |_| None, &revision("3"), Timestamp(30));
    assert_eq!((third.generation, third.rows.len()), (Generation(2), 0));
}

#[test]
fn a_restored_ledger_issues_the_same_manifests() {
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart")));
    let mut ledger = Ledger::default();
    ledger.publish(&index.compile(), |_| None, &revision("1"), Timestamp(10));
    let row = ledger.row(&site("s1")).unwrap().clone();
    let mut restored = Ledger::restore(ledger.generation(), [(site("s1"), row)]);
    assert!(restored.publish(&index.compile(), |_| None, &revision("2"), Timestamp(99)).rows.is_empty());
    let manifest =
        |ledger: &Ledger| encode(&ledger.row(&site("s1")).unwrap().manifest(&site("s1"), Terms::default())).1;
    assert_eq!(manifest(&ledger), manifest(&restored));
}

#[test]
fn a_site_that_leaves_the_world_keeps_its_row_and_removals_are_counted() {
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart") + &service_yaml("till")));
    let mut ledger = Ledger::default();
    let before = index.compile();
    ledger.publish(&before, |_| None, &revision("1"), Timestamp(1));
    let old = FragmentList::decode(&*contents(&before, "s1").list).unwrap();
    index.apply(skerry_core::index::Change::Delete(objects(&service_yaml("till")).remove(0).key));
    let shrunk = ledger.publish(&index.compile(), |_| Some(old.clone()), &revision("2"), Timestamp(2));
    assert_eq!(shrunk.rows[&site("s1")].removals, 1);
    index.apply(skerry_core::index::Change::Delete(objects(&site_yaml("s1", "")).remove(0).key));
    assert!(ledger.publish(&index.compile(), |_| None, &revision("3"), Timestamp(3)).rows.is_empty());
    assert!(ledger.row(&site("s1")).is_some());
}

fn list() -> impl proptest::strategy::Strategy<Value = FragmentList> {
    use proptest::prelude::*;
    proptest::collection::btree_map("[a-f]", 0_u8..4, 0..6).prop_map(|entries| FragmentList {
        fragments: entries
            .into_iter()
            .map(|(key, value)| FragmentRef { key, id: vec![value; 32], length: value.into() })
            .collect(),
    })
}

proptest::proptest! {
    #[test]
    fn a_change_between_two_lists_makes_the_second_of_the_first(base in list(), next in list()) {
        let change = diff(&base, &next);
        proptest::prop_assert_eq!(patch(&base, &change), next.clone());
        proptest::prop_assert_eq!(diff(&next, &next), skerry_core::delta::ListChange::default());
    }
}
