//! Acceptance: the table of cases.

use std::sync::Arc;

use skerry_core::accept::{Floor, Refusal, Terms, Verdict, accept, check_removals, farthest_epoch};
use skerry_core::bundle::Bundle;
use skerry_core::bundle::v1::{FragmentList, FragmentRef, Manifest, Service, Settings};
use skerry_core::id::{Digest, NamespacedName, Timestamp};
use skerry_core::ledger::encode;

use crate::builder::site;

fn manifest(change: impl Fn(&mut Manifest)) -> Vec<u8> {
    let mut manifest = Manifest {
        site: "oslo".to_owned(),
        epoch: 1,
        generation: 5,
        schema: 1,
        list: vec![7; 32],
        ..Manifest::default()
    };
    change(&mut manifest);
    encode(&manifest).0
}

fn decide(bytes: &[u8], floor: Option<Floor>) -> Result<Verdict, Refusal> {
    accept(bytes, &Terms { site: &site("oslo"), floor, now: Timestamp(1000) })
}

fn floor(epoch: u64, generation: u64) -> Option<Floor> {
    Some(Floor { epoch, generation, manifest: Digest::of(b"something else") })
}

#[test]
fn a_manifest_that_is_newer_is_accepted() {
    for floor in [None, floor(1, 4), floor(0, 99)] {
        assert!(matches!(decide(&manifest(|_| ()), floor), Ok(Verdict::Newer(_))), "{floor:?}");
    }
}

#[test]
fn the_manifest_that_runs_is_the_same() {
    let bytes = manifest(|_| ());
    let running = Floor { epoch: 1, generation: 5, manifest: Digest::of(&bytes) };
    assert_eq!(decide(&bytes, Some(running)), Ok(Verdict::Same));
}

#[test]
fn invariant_4_nothing_below_the_floor_for_another_site_or_unreadable_is_accepted() {
    let refused = |change: fn(&mut Manifest), floor| decide(&manifest(change), floor).unwrap_err();
    assert!(matches!(
        refused(|_| (), floor(1, 6)),
        Refusal::Rollback { generation: 5, floor_generation: 6, .. }
    ));
    assert!(matches!(refused(|_| (), floor(2, 1)), Refusal::Rollback { epoch: 1, floor_epoch: 2, .. }));
    assert_eq!(refused(|_| (), floor(1, 5)), Refusal::Equivocation(5));
    assert!(matches!(refused(|m| m.site = "bergen".to_owned(), None), Refusal::OtherSite { .. }));
    assert_eq!(refused(|m| m.schema = 2, None), Refusal::UnknownSchema(2));
    assert_eq!(refused(|m| m.schema = 0, None), Refusal::UnknownSchema(0));
    assert_eq!(refused(|m| m.accept_until_ms = 999, None), Refusal::Expired(999));
    assert!(matches!(refused(|m| m.site.clear(), None), Refusal::OtherSite { .. }));
    assert!(matches!(decide(&[], None), Err(Refusal::OtherSite { .. })), "an empty manifest is for nobody");
    assert!(matches!(decide(&[0xff; 20], None), Err(Refusal::Malformed(_))));
    assert!(matches!(decide(&[0; 5000], None), Err(Refusal::Malformed(_))));
}

/// The highest of all generations is one like another, since a later epoch is above it; an epoch that nothing could follow is
/// refused.
#[test]
fn the_highest_numbers_close_no_way() {
    let highest = manifest(|manifest| manifest.generation = u64::MAX);
    assert!(matches!(decide(&highest, floor(1, 5)), Ok(Verdict::Newer(_))));
    let above = |epoch| decide(&manifest(|manifest| manifest.epoch = epoch), floor(1, u64::MAX));
    assert!(matches!(above(1), Err(Refusal::Rollback { .. })));
    assert!(matches!(above(2), Ok(Verdict::Newer(_))));
    // The time is one second here: nobody has set the clock yet.
    let farthest = farthest_epoch(Timestamp(1000));
    assert!((2_390_000_000..2_410_000_000).contains(&farthest), "in 2046: {farthest}");
    assert!(matches!(above(farthest), Ok(Verdict::Newer(_))));
    assert_eq!(above(farthest + 1), Err(Refusal::FarEpoch(farthest + 1)));
    assert_eq!(above(u64::MAX), Err(Refusal::FarEpoch(u64::MAX)));
    assert!(farthest_epoch(Timestamp(u64::MAX)) > farthest, "no sum overflows");
}

fn bundle(services: usize, epoch: u64, removals: u32, percent: u32) -> Bundle {
    let names = (0..services).map(|at| NamespacedName::new("shop", format!("s{at:03}")));
    Bundle {
        manifest: Manifest { epoch, removals, ..Manifest::default() },
        digest: Digest::of(b"running"),
        list: FragmentList::default(),
        settings: Settings { max_removal_percent: percent, ..Settings::default() },
        services: names.map(|name| (name, Arc::new(Service::default()))).collect(),
    }
}

fn list(services: std::ops::Range<usize>) -> FragmentList {
    let keys = services.map(|at| format!("service/shop/s{at:03}"));
    FragmentList { fragments: keys.map(|key| FragmentRef { key, ..FragmentRef::default() }).collect() }
}

/// Services running, those of the offer, its epoch and count, the limit at the site; the running manifest is 1/10.
#[test]
fn invariant_6_a_site_refuses_mass_removal_that_is_not_declared() {
    let table = [
        ("nothing goes", 100, 0..100, (1, 10), 0, true),
        ("half", 100, 50..100, (1, 10), 0, true),
        ("more than half", 100, 51..100, (1, 10), 0, false),
        ("more than half, declared", 100, 51..100, (1, 61), 0, true),
        ("more than half, not all of it declared", 100, 51..100, (1, 60), 0, false),
        ("a stricter limit", 100, 10..100, (1, 10), 5, false),
        ("a lost store: another epoch", 100, 90..100, (2, 0), 0, false),
        ("a lost store, confirmed", 100, 90..100, (2, 10_000), 0, true),
        ("few", 7, 4..7, (1, 10), 0, true),
        ("the last one", 1, 0..0, (1, 10), 100, false),
        ("the last one, declared", 1, 0..0, (1, 11), 100, true),
        ("none ran", 0, 0..0, (2, 0), 0, true),
        ("all are others", 6, 6..100, (1, 10), 0, false),
    ];
    for (case, running, offered, (epoch, removals), percent, expected) in table {
        let next = Manifest { epoch, removals, ..Manifest::default() };
        let verdict = check_removals(&bundle(running, 1, 10, percent), &next, &list(offered));
        assert_eq!(verdict.is_ok(), expected, "{case}: {verdict:?}");
    }
    let refusal = check_removals(&bundle(9, 1, 0, 0), &Manifest::default(), &list(0..0)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "9 of 9 services would go, 0 of them on purpose, and this site lets 50 % go undeclared; if it is meant, run \
         `skerry source confirm` with the revision (shop/s000, shop/s001, shop/s002, shop/s003, shop/s004, …)"
    );
}
