//! The ledger: numbers rise with changes and stay without; deltas between lists round-trip.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::v1::{self, FragmentList, SignatureCheck};
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_core::delta::diff;
use skerry_core::id::{Generation, Revision, Timestamp};
use skerry_core::ledger::{Declared, Ledger, Origin, Terms, encode};
use skerry_core::provenance::Provenance;

use crate::builder::{index, objects, service_yaml, site, site_yaml, upsert};

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
    assert_eq!((first.generation, first.changed), (Generation(1), 2));

    let local = service_yaml("till").replace("shop}", "shop, annotations: {skerry.dev/sites: tier=retail}}");
    upsert(&mut index, &local, 0);
    let second = ledger.publish(&index.compile(), |_| None, NONE, &revision("2"), Timestamp(20));
    assert_eq!(ledger.changed(&second).map(|(site, _)| site.to_string()).collect::<Vec<_>>(), ["s1"]);
    assert_eq!(ledger.row(&site("s2")).unwrap().revision, revision("1"));

    let third = ledger.publish(&index.compile(), |_| None, NONE, &revision("3"), Timestamp(30));
    assert_eq!((third.generation, third.changed), (Generation(2), 0));
}

/// The manifest of a site has the signer of the revision that it names: who signs what changes nothing for the site does
/// not give it another.
#[test]
fn who_vouches_for_a_revision_goes_with_it() {
    let mut index = index(&(site_yaml("s1", "tier: retail") + &site_yaml("s2", "") + &service_yaml("cart")));
    let mut ledger = Ledger::default();
    let ada = Provenance::Verified { signer: "ada@example.org".to_owned() };
    let (first, second) = (revision("1"), revision("2"));
    let origin = Origin { revision: &first, provenance: &ada };
    ledger.publish(&index.compile(), |_| None, NONE, origin, Timestamp(10));
    let local = service_yaml("till").replace("shop}", "shop, annotations: {skerry.dev/sites: tier=retail}}");
    upsert(&mut index, &local, 0);
    let origin = Origin { revision: &second, provenance: &Provenance::Untrusted };
    ledger.publish(&index.compile(), |_| None, NONE, origin, Timestamp(20));

    let manifest = |name| ledger.row(&site(name)).unwrap().manifest(&site(name), Terms::default());
    let found = ["s1", "s2"].map(|name| {
        let manifest = manifest(name);
        (manifest.signature(), manifest.signer, manifest.revision)
    });
    let ada = "ada@example.org".to_owned();
    assert_eq!(
        found,
        [
            (SignatureCheck::Untrusted, String::new(), second.to_string()),
            (SignatureCheck::Verified, ada, first.to_string()),
        ]
    );
}

/// A manifest of a source that asks for no signatures has the bytes that it had before there were any.
#[test]
fn a_revision_that_nobody_looked_at_adds_nothing_to_a_manifest() {
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart")));
    let mut ledger = Ledger::default();
    ledger.publish(&index.compile(), |_| None, NONE, &revision("1"), Timestamp(10));
    let (bytes, _) = encode(&ledger.row(&site("s1")).unwrap().manifest(&site("s1"), Terms::default()));
    // The tag of field 9 is the last that such a manifest can have.
    let manifest = v1::Manifest::decode(&*bytes).unwrap();
    assert_eq!((manifest.signature, manifest.signer.as_str()), (0, ""));
    assert_eq!(v1::Manifest { signature: 1, ..manifest }.encode_to_vec().len(), bytes.len() + 2);
}

#[test]
fn every_provenance_is_on_the_wire_what_it_is() {
    let ada = Provenance::Verified { signer: "ada@example.org".to_owned() };
    for provenance in [Provenance::Unchecked, ada, Provenance::Unsigned, Provenance::Untrusted] {
        let (check, signer) = (provenance.check(), provenance.signer().to_owned());
        assert_eq!(Provenance::from_wire(check, signer), provenance);
    }
    assert_eq!(SignatureCheck::try_from(99).unwrap_or_default(), SignatureCheck::None, "of a newer version");
}

#[test]
fn a_restored_ledger_issues_the_same_manifests() {
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart")));
    let mut ledger = Ledger::default();
    ledger.publish(&index.compile(), |_| None, NONE, &revision("1"), Timestamp(10));
    let row = ledger.row(&site("s1")).unwrap().clone();
    let mut restored = Ledger::restore(ledger.generation(), [(site("s1"), row)]);
    assert!(restored.publish(&index.compile(), |_| None, NONE, &revision("2"), Timestamp(99)).changed == 0);
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
    let old = before.contents(&site("s1")).unwrap();
    index.apply(skerry_core::index::Change::Delete(objects(&service_yaml("till")).remove(0).key));
    let keys = BTreeSet::from(["service/shop/till".to_owned()]);
    let named = Declared::Named(&keys);
    let shrunk =
        ledger.publish(&index.compile(), |_| Some(Arc::clone(old)), named, &revision("2"), Timestamp(2));
    assert_eq!((shrunk.changed, ledger.row(&site("s1")).unwrap().removals), (1, 1));
    index.apply(skerry_core::index::Change::Delete(objects(&site_yaml("s1", "")).remove(0).key));
    assert!(ledger.publish(&index.compile(), |_| None, NONE, &revision("3"), Timestamp(3)).changed == 0);
    assert!(ledger.row(&site("s1")).is_some() && ledger.rows().get(&site("s1")).is_none());
}

/// Removals add up, so that a site which slept through several publications knows what went on purpose.
#[test]
fn invariant_6_only_what_was_removed_by_name_or_confirmed_is_declared() {
    let (cart, till) = (service_yaml("cart"), service_yaml("till"));
    let (s1, till_key) = (site("s1"), objects(&till).remove(0).key);
    let keys = BTreeSet::from(["service/shop/till".to_owned()]);
    let table =
        [(Declared::Named(&keys), 1), (NONE, 0), (Declared::Confirmed, 1), (Declared::Everywhere, 10_000)];
    for (declared, expected) in table {
        let mut index = index(&(site_yaml("s1", "") + &cart + &till));
        let mut ledger = Ledger::default();
        for times in 1..=2 {
            let both = index.compile();
            ledger.publish(&both, |_| None, NONE, &revision("1"), Timestamp(1));
            index.apply(skerry_core::index::Change::Delete(till_key.clone()));
            let known = |_: &_| both.contents(&s1).cloned();
            ledger.publish(&index.compile(), known, declared, &revision("2"), Timestamp(2));
            assert_eq!(ledger.row(&s1).unwrap().removals, times * expected, "{declared:?}");
            upsert(&mut index, &till, 0);
        }
    }
    let mut index = index(&(site_yaml("s1", "") + &cart + &till));
    let mut ledger = Ledger::default();
    ledger.publish(&index.compile(), |_| None, NONE, &revision("1"), Timestamp(1));
    index.apply(skerry_core::index::Change::Delete(till_key));
    ledger.publish(&index.compile(), |_| None, Declared::Named(&keys), &revision("2"), Timestamp(2));
    assert_eq!(ledger.row(&s1).unwrap().removals, 0, "of a list that is not known nothing is declared");
    assert_eq!(ledger.publish(&index.compile(), |_| None, NONE, &revision("2"), Timestamp(3)).changed, 0);
    let everywhere = Declared::Everywhere;
    let again = ledger.publish(&index.compile(), |_| None, everywhere, &revision("2"), Timestamp(3));
    assert_eq!(again.changed, 1, "a confirmation reaches sites that refused what is in force");
}

fn fragments() -> impl proptest::strategy::Strategy<Value = Contents> {
    use proptest::prelude::*;
    proptest::collection::btree_map("[a-f-]", 1_u32..4, 0..6).prop_map(|services| {
        let fragment = |(name, index)| {
            let namespace = format!("{name}x");
            Arc::new(EncodedFragment::service(v1::Service {
                namespace,
                name,
                index,
                ..v1::Service::default()
            }))
        };
        Contents::new(services.into_iter().map(fragment).collect())
    })
}

proptest::proptest! {
    #[test]
    fn a_change_between_two_lists_makes_the_second_of_the_first(base in fragments(), next in fragments()) {
        let list = |contents: &Contents| FragmentList::decode(&*contents.list).unwrap();
        let change = diff(&base.fragments, &next.fragments);
        let mut made: BTreeMap<_, _> = base.fragments.iter().map(|fragment| (&fragment.name, &**fragment)).collect();
        made.retain(|name, _| change.removals.iter().all(|gone| gone.name != **name));
        for (new, before) in &change.upserts {
            proptest::prop_assert_eq!(made.insert(&new.name, *new), *before);
        }
        proptest::prop_assert!(made.into_values().eq(next.fragments.iter().map(|fragment| &**fragment)));
        proptest::prop_assert_eq!(diff(&next.fragments, &next.fragments), skerry_core::delta::Difference::default());
        proptest::prop_assert_eq!(list(&next).encode_to_vec(), &*next.list, "entries one after the other are the list");
    }
}
