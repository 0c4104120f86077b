//! The ledger: numbers rise with changes and stay without; deltas between lists round-trip.

use std::collections::BTreeSet;

use prost::Message as _;
use skerry_core::bundle::v1::{FragmentList, FragmentRef};
use skerry_core::delta::{diff, patch};
use skerry_core::id::{Generation, Revision, Timestamp};
use skerry_core::ledger::{Declared, Ledger, Terms, encode};

use crate::builder::{contents, index, objects, service_yaml, site, site_yaml, upsert};

/// No removal is declared.
pub(crate) const NONE: Declared<'static> = Declared::Named(&BTreeSet::new());

fn revision(digit: &str) -> Revision {
    Revision::commit("main", &digit.repeat(40))
}

#[test]
fn a_site_keeps_its_row_until_its_contents_change_whatever_the_revision() {
    let mut index = index(&(site_yaml("s1", "tier: retail") + &site_yaml("s2", "") + &service_yaml("cart")));
    let mut ledger = Ledger::default();
    let first = ledger.publish(&index.compile(), |_| None, NONE, &revision("1"), Timestamp(10));
    assert_eq!((first.generation, first.rows.len()), (Generation(1), 2));

    let local = service_yaml("till").replace("shop}", "shop, annotations: {skerry.dev/sites: tier=retail}}");
    upsert(&mut index, &local, 0);
    let second = ledger.publish(&index.compile(), |_| None, NONE, &revision("2"), Timestamp(20));
    assert_eq!(second.rows.keys().map(ToString::to_string).collect::<Vec<_>>(), ["s1"]);
    assert_eq!(ledger.row(&site("s2")).unwrap().revision, revision("1"));

    let third = ledger.publish(&index.compile(), |_| None, NONE, &revision("3"), Timestamp(30));
    assert_eq!((third.generation, third.rows.len()), (Generation(2), 0));
}

#[test]
fn a_restored_ledger_issues_the_same_manifests() {
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart")));
    let mut ledger = Ledger::default();
    ledger.publish(&index.compile(), |_| None, NONE, &revision("1"), Timestamp(10));
    let row = ledger.row(&site("s1")).unwrap().clone();
    let mut restored = Ledger::restore(ledger.generation(), [(site("s1"), row)]);
    assert!(
        restored.publish(&index.compile(), |_| None, NONE, &revision("2"), Timestamp(99)).rows.is_empty()
    );
    let manifest =
        |ledger: &Ledger| encode(&ledger.row(&site("s1")).unwrap().manifest(&site("s1"), Terms::default())).1;
    assert_eq!(manifest(&ledger), manifest(&restored));
}

#[test]
fn a_site_that_leaves_the_world_keeps_its_row_and_removals_are_counted() {
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart") + &service_yaml("till")));
    let mut ledger = Ledger::default();
    let before = index.compile();
    ledger.publish(&before, |_| None, NONE, &revision("1"), Timestamp(1));
    let old = FragmentList::decode(&*contents(&before, "s1").list).unwrap();
    index.apply(skerry_core::index::Change::Delete(objects(&service_yaml("till")).remove(0).key));
    let keys = BTreeSet::from(["service/shop/till".to_owned()]);
    let named = Declared::Named(&keys);
    let shrunk = ledger.publish(&index.compile(), |_| Some(old.clone()), named, &revision("2"), Timestamp(2));
    assert_eq!(shrunk.rows[&site("s1")].removals, 1);
    index.apply(skerry_core::index::Change::Delete(objects(&site_yaml("s1", "")).remove(0).key));
    assert!(ledger.publish(&index.compile(), |_| None, NONE, &revision("3"), Timestamp(3)).rows.is_empty());
    assert!(ledger.row(&site("s1")).is_some());
}

/// Removals add up, so that a site which slept through several publications knows what went on purpose.
#[test]
fn invariant_6_only_what_was_removed_by_name_or_confirmed_is_declared() {
    let (cart, till) = (service_yaml("cart"), service_yaml("till"));
    let both = index(&(site_yaml("s1", "") + &cart + &till)).compile();
    let one = index(&(site_yaml("s1", "") + &cart)).compile();
    let list = |compiled| FragmentList::decode(&*contents(compiled, "s1").list).unwrap();
    let keys = BTreeSet::from(["service/shop/till".to_owned()]);
    let known = |_: &_| Some(list(&both));
    let table =
        [(Declared::Named(&keys), 1), (NONE, 0), (Declared::Confirmed, 1), (Declared::Everywhere, 10_000)];
    for (declared, expected) in table {
        let mut ledger = Ledger::default();
        ledger.publish(&both, |_| None, NONE, &revision("1"), Timestamp(1));
        ledger.publish(&one, known, declared, &revision("2"), Timestamp(2));
        assert_eq!(ledger.row(&site("s1")).unwrap().removals, expected, "{declared:?}");
        ledger.publish(&both, |_| None, NONE, &revision("3"), Timestamp(3));
        ledger.publish(&one, known, declared, &revision("4"), Timestamp(4));
        assert_eq!(ledger.row(&site("s1")).unwrap().removals, 2 * expected, "{declared:?}");
    }
    let mut restored = Ledger::default();
    restored.publish(&both, |_| None, NONE, &revision("1"), Timestamp(1));
    restored.publish(&one, |_| None, Declared::Named(&keys), &revision("2"), Timestamp(2));
    assert_eq!(
        restored.row(&site("s1")).unwrap().removals,
        0,
        "of a list that is not known nothing is declared"
    );
    assert!(restored.publish(&one, |_| None, NONE, &revision("2"), Timestamp(3)).rows.is_empty());
    let again = restored.publish(&one, |_| None, Declared::Everywhere, &revision("2"), Timestamp(3));
    assert_eq!(again.rows.len(), 1, "a confirmation reaches sites that refused what is in force");
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
