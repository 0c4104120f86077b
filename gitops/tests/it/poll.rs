//! When to look again.

use std::time::Duration;

use skerry_gitops::poll::next_poll;

#[test]
fn the_wait_is_the_interval_or_a_bounded_backoff() {
    // (interval s, failures, jitter, wait ms)
    let table = [
        (60, 0, 0.0, 54_000),
        (60, 0, 0.5, 60_000),
        (60, 0, 1.0, 66_000),
        (60, 0, 7.0, 66_000),
        (60, 0, f64::NAN, 60_000),
        (0, 0, 0.5, 1_000),
        (60, 1, 1.0, 5_000),
        (60, 1, 0.0, 4_000),
        (60, 2, 1.0, 10_000),
        (60, 3, 1.0, 20_000),
        (60, 7, 1.0, 300_000),
        (60, 4_000_000_000, 1.0, 300_000),
        (60, u32::MAX, 0.0, 240_000),
        (3_600, 20, 1.0, 3_600_000),
        (2, 1, 1.0, 2_000),
    ];
    for (interval, failures, jitter, wait) in table {
        let computed = next_poll(Duration::from_secs(interval), failures, jitter);
        assert_eq!(
            computed,
            Duration::from_millis(wait),
            "{interval} s, {failures} failures, jitter {jitter}"
        );
    }
}

#[test]
fn failures_never_make_it_sooner_and_never_overflow() {
    let mut before = Duration::ZERO;
    for failures in 1..200 {
        let wait = next_poll(Duration::from_secs(30), failures, 1.0);
        assert!(wait >= before && wait <= Duration::from_secs(300), "{failures}: {wait:?}");
        before = wait;
    }
    assert!(next_poll(Duration::from_secs(u64::MAX / 4), 3, 1.0) > Duration::ZERO);
}

/// Invariant 9: every wait has jitter, also the shortest and the longest, so that many cores do not ask one host together.
#[test]
fn invariant_9_every_wait_for_the_next_poll_has_jitter() {
    for interval in [0, 1, 60, 86_400] {
        for failures in [0, 1, 2, 7, 100, u32::MAX] {
            let wait = |jitter| next_poll(Duration::from_secs(interval), failures, jitter);
            let (least, most) = (wait(0.0), wait(1.0));
            assert!(
                least.mul_f64(1.2) <= most && wait(0.5) < most,
                "{interval} s, {failures}: {least:?} to {most:?}"
            );
        }
    }
}
