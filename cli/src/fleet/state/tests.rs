//! What a site's row comes to: cases, and what holds whatever the times are.

use proptest::prelude::*;
use skerry_proto::v1::{Enrolled, SiteState};

use super::*;

const NOW: u64 = 1_000_000_000;

fn proxy(phase: Phase) -> ProxyState {
    ProxyState { phase: phase.into(), ..ProxyState::default() }
}

fn site(phases: &[Phase]) -> SiteSummary {
    let proxies = phases.iter().map(|phase| proxy(*phase)).collect();
    let state = SiteState { manifest: vec![1], proxies, ..SiteState::default() };
    SiteSummary {
        desired: vec![1],
        connected: true,
        last_seen_ms: NOW,
        observed_at_ms: NOW,
        received_at_ms: NOW,
        state: Some(state),
        ..SiteSummary::default()
    }
}

#[test]
fn invariant_10_a_dark_site_is_unknown_whatever_it_said() {
    let dark = SiteSummary { connected: false, ..site(&[Phase::Ready]) };
    assert_eq!(State::of(&dark, NOW), State::Unknown);
    assert_eq!(State::of(&SiteSummary { last_seen_ms: 0, ..dark.clone() }, NOW), State::NeverSeen);
    let enrolled = Some(Enrolled { revoked_at_ms: NOW, ..Enrolled::default() });
    assert_eq!(State::of(&SiteSummary { enrolled, ..dark }, NOW), State::Revoked, "it is known why");
}

#[test]
fn a_connected_site_is_judged_by_its_bundle_and_its_proxies() {
    let behind = SiteSummary { desired: vec![2], ..site(&[Phase::Ready]) };
    let silent = SiteSummary { state: None, observed_at_ms: 0, received_at_ms: 0, ..site(&[]) };
    let cases = [
        (site(&[]), State::InSync),
        (site(&[Phase::Ready, Phase::Ready]), State::InSync),
        (site(&[Phase::Ready, Phase::Absent]), State::Pending),
        (site(&[Phase::Ready, Phase::Detached]), State::Pending),
        (site(&[Phase::Pending, Phase::Refused]), State::Refused),
        (behind, State::Pending),
        (silent, State::Pending),
    ];
    for (site, expected) in cases {
        assert_eq!(State::of(&site, NOW), expected, "{site:?}");
    }
}

#[test]
fn silence_is_measured_by_the_site_s_own_settings_and_never_below_the_interval_of_reports() {
    let after = |seconds: u64, stale_after_seconds| {
        let site = SiteSummary { stale_after_seconds, ..site(&[Phase::Ready]) };
        State::of(&site, NOW + seconds * 1000)
    };
    for (seconds, stale_after, expected) in [
        (345, 0, State::InSync),
        (346, 0, State::Unknown),
        (345, 60, State::InSync),
        (346, 60, State::Unknown),
        (3600, 3600, State::InSync),
        (3601, 3600, State::Unknown),
    ] {
        assert_eq!(after(seconds, stale_after), expected, "{seconds} s with {stale_after} s");
    }
}

#[test]
fn a_site_that_pulls_needs_no_stream() {
    let pulls = SiteSummary { connected: false, pulls: true, ..site(&[Phase::Ready]) };
    assert_eq!(State::of(&pulls, NOW + 60_000), State::InSync);
    assert_eq!(State::of(&pulls, NOW + 3_600_000), State::Unknown);
}

#[test]
fn what_proxies_run_from_is_counted() {
    let cases: [(&[Phase], &str); 5] = [
        (&[], "-"),
        (&[Phase::Absent], "-"),
        (&[Phase::Ready, Phase::Absent], "agent"),
        (&[Phase::Detached], "snapshot"),
        (&[Phase::Ready, Phase::Detached], "agent (1 of 2 from snapshot)"),
    ];
    for (phases, expected) in cases {
        let proxies: Vec<_> = phases.iter().map(|phase| proxy(*phase)).collect();
        assert_eq!(runs_from(&proxies), expected);
    }
}

/// A time around now, or none, or far off.
fn time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), NOW - 1_000_000..NOW + 1_000_000, any::<u64>()]
}

proptest! {
    /// Nothing is well without a link and a fresh observation, whatever the times are and whoever's clock is wrong.
    #[test]
    fn invariant_10_nothing_is_well_without_a_fresh_observation(
        (last_seen_ms, observed_at_ms, received_at_ms, now) in (time(), time(), time(), time()),
        (connected, pulls) in any::<(bool, bool)>(),
        stale_after_seconds in prop_oneof![Just(0), 0..2_000_u32],
    ) {
        let times = SiteSummary { last_seen_ms, observed_at_ms, received_at_ms, ..site(&[Phase::Ready]) };
        let site = SiteSummary { connected, pulls, stale_after_seconds, ..times };
        if State::of(&site, now) == State::InSync {
            prop_assert!(connected || pulls);
            let limit = u64::from(stale_after_seconds.max(345)) * 1000;
            for at in [last_seen_ms, observed_at_ms, received_at_ms] {
                prop_assert!(at > 0 && at <= now.saturating_add(1000) && now.saturating_sub(at) <= limit);
            }
        }
    }
}
