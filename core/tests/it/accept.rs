//! Acceptance: the table of cases.

use skerry_core::accept::{Floor, Refusal, Terms, Verdict, accept};
use skerry_core::bundle::v1::Manifest;
use skerry_core::id::{Digest, Timestamp};
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
    assert!(matches!(decide(&[0xff; 20], None), Err(Refusal::Malformed(_))));
    assert!(matches!(decide(&[0; 5000], None), Err(Refusal::Malformed(_))));
}
