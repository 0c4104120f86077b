//! An agent that starts again: it serves what ran, and goes on with what was tried.

use super::*;

/// Invariant 5: the last good bundle is served before any link is there.
#[test]
fn a_restarted_agent_serves_what_ran() {
    let mut bench = Bench::new();
    bench.boot(&["a"]).handle(publish(1).offer());
    let before = bench.served("a");
    bench.boot(&["a"]);
    assert_eq!(bench.served("a"), before);
}

/// Killed in the middle of a trial: the candidate is published again at once, so that no proxy is
/// moved back and forth, and it is committed when all have had the time to refuse it.
#[test]
fn a_trial_goes_on_after_a_restart() {
    let mut bench = Bench::left(&publish(1), &publish(2));
    let mut site = bench.boot(&["a"]);
    assert_eq!(bench.generation(), 1);
    while bench.generation() == 1 {
        assert!(site.poll_timeout().is_some());
        site.handle_timeout();
    }
    assert_eq!(bench.generation(), 2);
}

#[test]
fn a_candidate_that_ends_the_agent_again_and_again_is_dropped() {
    let mut bench = Bench::left(&publish(1), &publish(2));
    for _ in 0..2 {
        bench.boot(&["a"]);
    }
    let mut site = bench.boot(&["a"]);
    assert!(site.candidate.is_none());
    site.handle(publish(2).offer());
    assert_eq!(
        bench.answers(),
        [(publish(2).digest(), "the agent ended 3 times while it tried it".to_owned())]
    );
    assert_eq!(bench.generation(), 1);
}

/// Invariant 4: never half a bundle, also when the disk lost a part of it.
#[test]
fn a_damaged_current_bundle_gives_way_to_the_one_before() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    let first = bench.served("a");
    let broken = Slot { list: publish(1).slot().list, ..publish(2).slot() };
    bench.store.put_candidate(&broken, &[]).unwrap();
    bench.store.commit(&crate::store::Floors::default(), Vec::new()).unwrap();
    drop(site);

    bench.boot(&["a"]);
    assert_eq!(bench.served("a"), first);
    assert!(
        bench.events()[1].starts_with("RolledBack: the bundle that ran is damaged"),
        "{:?}",
        bench.events()
    );
}
