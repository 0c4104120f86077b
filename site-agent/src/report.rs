//! What the site says about itself: its state when it changes and now and then, and events. Pure.

use std::time::Duration;

use prost::Message as _;
use skerry_core::bundle::v1::Manifest;
use skerry_core::pace::{Pace, next_beat};
use skerry_proto::limits::{MAX_DETAIL_BYTES, MAX_PROXIES, MAX_REPORT_BYTES};
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{Report, SiteEvent, SiteState, report};

use crate::clock::{Now, Stamp};

/// How long to wait for more changes: an apply makes several within a few milliseconds.
const SETTLE: Duration = Duration::from_millis(300);

/// Decides when a state is due.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    last: Option<(Now, SiteState)>,
    due: Option<Now>,
    connected: bool,
    /// Says how often a connected site says that nothing changed.
    pace: Pace,
    /// Where in that interval it does: a random number from 0 to 1.
    share: f64,
}

impl Reporter {
    /// Begins with its place among all reporters.
    pub(crate) fn new(share: f64) -> Self {
        Self { share, ..Self::default() }
    }

    /// Takes the pace of the bundle that runs.
    pub(crate) fn handle_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// When a connected site says again what it said at a time.
    fn beat_after(&self, at: Now) -> Now {
        next_beat(at, Duration::from_secs(self.pace.report_seconds.into()), self.share)
    }

    /// Something changed, perhaps.
    pub(crate) fn handle_change(&mut self, now: Now) {
        self.due.get_or_insert(now + SETTLE);
    }

    /// The link went up or down.
    pub(crate) fn handle_link(&mut self, now: Now, connected: bool) {
        self.connected = connected;
        self.handle_change(now);
    }

    /// Returns when `poll_state` is to be asked.
    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        let heartbeat = self.last.as_ref().filter(|_| self.connected).map(|(at, _)| self.beat_after(*at));
        [self.due, heartbeat].into_iter().flatten().min()
    }

    /// Returns the state if it is to be reported now.
    pub(crate) fn poll_state(&mut self, now: Now, state: impl FnOnce() -> SiteState) -> Option<SiteState> {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return None;
        }
        self.due = None;
        let state = bound(state());
        let is_old = |at: Now| self.connected && now >= self.beat_after(at);
        if self.last.as_ref().is_some_and(|(at, last)| is_same(last, &state) && !is_old(*at)) {
            return None;
        }
        self.last = Some((now, state.clone()));
        Some(state)
    }

    /// A state was reported with something else.
    pub(crate) fn handle_reported(&mut self, now: Now, state: SiteState) {
        self.last = Some((now, state));
    }
}

/// Counts go on all the time: the first are told at once, and others with the rest.
fn is_same(one: &SiteState, other: &SiteState) -> bool {
    let counted = other.counted.clone();
    one.counted.is_some() == counted.is_some() && SiteState { counted, ..one.clone() } == *other
}

/// Cuts a state to the caps of the protocol.
pub(crate) fn bound(mut state: SiteState) -> SiteState {
    state.proxies.truncate(MAX_PROXIES);
    state.proxies.iter_mut().for_each(|proxy| cut(&mut proxy.detail, MAX_DETAIL_BYTES));
    state.workload_problems.iter_mut().for_each(|problem| cut(problem, MAX_DETAIL_BYTES));
    let mut room = MAX_DETAIL_BYTES;
    while state.encoded_len() > MAX_REPORT_BYTES - 64 && room > 0 {
        room /= 2;
        state.proxies.iter_mut().for_each(|proxy| cut(&mut proxy.detail, room));
        state.workload_problems.iter_mut().for_each(|problem| cut(problem, room));
    }
    // Names alone may be too long: 256 proxies with two of 253 bytes each.
    while state.encoded_len() > MAX_REPORT_BYTES - 64 && state.proxies.pop().is_some() {}
    state
}

/// Cuts text to at most `most` bytes, at a character's edge.
fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// Wraps a state; `seq` is given by the store.
pub(crate) fn of_state(state: SiteState, at: Stamp) -> Report {
    stamped(report::Body::State(state), at)
}

/// Makes the report of an event; `seq` is given by the store.
pub(crate) fn of_event(kind: Kind, manifest: &Manifest, detail: &str, at: Stamp) -> Report {
    let mut detail = detail.to_owned();
    cut(&mut detail, MAX_DETAIL_BYTES);
    let event = SiteEvent {
        kind: kind.into(),
        generation: manifest.generation,
        revision: manifest.revision.clone(),
        detail,
    };
    stamped(report::Body::Event(event), at)
}

fn stamped(body: report::Body, at: Stamp) -> Report {
    let Stamp { wall_ms, uptime_ms, machine_run } = at;
    Report { seq: 0, observed_at_ms: wall_ms, uptime_ms, machine_run, body: Some(body) }
}

/// Dates a report for the moment at which it is sent: if the machine runs since it was made, by how long that was ago, so that
/// a clock that was set meanwhile makes it no older and no newer. Else the clocks of two runs of the machine are believed.
pub(crate) fn dated(report: Report, now: Stamp) -> Report {
    let is_same_run = now.machine_run != 0 && report.machine_run == now.machine_run;
    let ago = now.uptime_ms.checked_sub(report.uptime_ms).filter(|_| is_same_run);
    let observed_at_ms = ago.map_or(report.observed_at_ms, |ago| now.wall_ms.saturating_sub(ago));
    Report { observed_at_ms, uptime_ms: 0, machine_run: 0, ..report }
}

#[cfg(test)]
mod tests {
    use skerry_core::pace::REPORT_BYTES;
    use skerry_core::policy::site::{Uplink, UplinkClass};
    use skerry_proto::codec::reports::Context;
    use skerry_proto::v1::{Counted, ProxyState, Reports};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn state(workloads: u32) -> SiteState {
        SiteState { workloads, ..Default::default() }
    }

    #[test]
    fn changes_that_come_together_are_one_report() {
        let mut reporter = Reporter::default();
        reporter.handle_change(Now::ZERO);
        reporter.handle_change(SETTLE / 2);
        assert_eq!(reporter.poll_state(SETTLE / 2, || state(1)), None);
        assert_eq!(reporter.poll_state(SETTLE, || state(2)), Some(state(2)));
        assert_eq!(reporter.poll_timeout(), None);
    }

    #[test]
    fn what_did_not_change_is_not_reported() {
        let mut reporter = Reporter::default();
        reporter.handle_change(Now::ZERO);
        reporter.poll_state(SECOND, || state(1));
        reporter.handle_change(SECOND);
        assert_eq!(reporter.poll_state(2 * SECOND, || state(1)), None);
    }

    #[test]
    fn a_connected_site_says_now_and_then_that_nothing_changed() {
        let mut reporter = Reporter::new(0.5);
        reporter.handle_link(Now::ZERO, true);
        reporter.poll_state(SECOND, || state(1));
        for beat in [150, 450, 750] {
            assert_eq!(reporter.poll_timeout(), Some(beat * SECOND));
            assert_eq!(reporter.poll_state(beat * SECOND, || state(1)), Some(state(1)));
        }
        // A change moves no beat: those of many sites stay where they were.
        reporter.handle_change(800 * SECOND);
        assert_eq!(reporter.poll_state(801 * SECOND, || state(2)), Some(state(2)));
        assert_eq!(reporter.poll_timeout(), Some(1_050 * SECOND));

        reporter.handle_link(1_050 * SECOND, false);
        reporter.poll_state(1_051 * SECOND, || state(2));
        assert_eq!(reporter.poll_timeout(), None);
    }

    /// Says how many reports of which nothing changed a connected site makes in a day.
    fn reports_a_day(uplink: &Uplink) -> u64 {
        let mut reporter = Reporter::default();
        reporter.handle_pace(Pace::of(uplink));
        reporter.handle_link(Now::ZERO, true);
        let mut made = 0;
        while let Some(at) = reporter.poll_timeout().filter(|at| *at < 86_400 * SECOND) {
            made += u64::from(reporter.poll_state(at, || state(1)).is_some());
        }
        made
    }

    #[test]
    fn a_metered_site_says_less_often_that_nothing_changed() {
        let uplink = |class, bytes_per_day| Uplink { class, bytes_per_day };
        assert_eq!(reports_a_day(&uplink(UplinkClass::Broadband, None)), 288);
        assert_eq!(reports_a_day(&uplink(UplinkClass::Metered, None)), 48);
        let budget = 1_000_000;
        assert!(reports_a_day(&uplink(UplinkClass::Satellite, Some(budget))) * REPORT_BYTES <= budget / 50);
    }

    #[test]
    fn counts_are_told_once_and_then_with_the_rest() {
        let mut reporter = Reporter::default();
        let mut tell = |second: u32, denied: u64, generation: u32| {
            let counted = Some(Counted { denied, ..Default::default() }).filter(|_| denied > 0);
            reporter.handle_change(SECOND * second);
            reporter
                .poll_state(SECOND * (second + 1), || SiteState { counted, ..state(generation) })
                .is_some()
        };
        assert!(tell(0, 0, 1));
        assert!(tell(10, 1, 1), "the first");
        assert!(!tell(20, 2, 1), "more of the same");
        assert!(tell(30, 3, 2), "with the rest");
    }

    #[test]
    fn a_report_of_which_nothing_changed_costs_what_the_budget_of_a_link_counts_with() {
        let proxy = ProxyState {
            workload: "shop/checkout-7f9c4d-abcde".into(),
            phase: 3,
            config_hash: vec![7; 8],
            ..Default::default()
        };
        let state = SiteState {
            manifest: vec![1; 32],
            epoch: 1,
            generation: 1 << 20,
            revision: format!("main@sha1:{}", "f".repeat(40)),
            proxies: vec![proxy; 2],
            agent_version: "0.1.0".into(),
            workloads: 2,
            ..Default::default()
        };
        let mut context = Context::default();
        let mut pack = |minute: u64| {
            let sent_at_ms = 1_700_000_000_000 + minute * 60_000;
            let now = Stamp { wall_ms: sent_at_ms, ..Stamp::default() };
            let reports = vec![Report { seq: minute, ..of_state(state.clone(), now) }];
            context.pack(&Reports { sent_at_ms, reports }, None).unwrap().len() as u64
        };
        let (first, next) = (pack(1), pack(2));
        assert!(next < first / 2, "{next} of {first}");
        // Beside it: frames and messages, the acknowledgement 20 B, and 2 packets of TCP and TLS with one's acknowledgement.
        let bytes = next + 40 + 20 + 2 * (52 + 22) + 52;
        assert!(bytes <= REPORT_BYTES, "{bytes}");
    }

    /// Invariant 10: a box without a battery starts in 1970 and is told the time later; another one is ten years ahead until
    /// then. What was seen a minute ago is a minute old.
    #[test]
    fn invariant_10_a_clock_that_is_set_makes_no_report_older_or_newer() {
        let year = 365 * 86_400_000;
        let stamp = |wall_ms, uptime_ms, machine_run| Stamp { wall_ms, uptime_ms, machine_run };
        let (right, run) = (56 * year, 7);
        for made in [stamp(5_000, 1_000, run), stamp(right + 10 * year, 1_000, run), stamp(right, 1_000, run)]
        {
            let sent = dated(of_state(state(1), made), stamp(right, 61_000, run));
            assert_eq!(
                (sent.observed_at_ms, sent.uptime_ms, sent.machine_run),
                (right - 60_000, 0, 0),
                "{made:?}"
            );
        }
        // Of another run of the machine, or of a kernel that names none: by the wall clocks.
        for (then, now) in [(6, run), (0, 0)] {
            let sent =
                dated(of_state(state(1), stamp(right - 9_000, 1_000, then)), stamp(right, 61_000, now));
            assert_eq!(sent.observed_at_ms, right - 9_000);
        }
    }

    #[test]
    fn a_state_keeps_to_the_caps() {
        let long = ProxyState { detail: "ü".repeat(4_000), ..Default::default() };
        let bounded = bound(SiteState { proxies: vec![long; 300], ..Default::default() });
        assert_eq!(bounded.proxies.len(), MAX_PROXIES);
        assert!(bounded.encoded_len() < MAX_REPORT_BYTES);

        let workload = format!("{}/{}", "n".repeat(253), "w".repeat(253));
        let named = ProxyState { workload, config_hash: vec![7; 8], ..Default::default() };
        let bounded = bound(SiteState { proxies: vec![named; 300], ..Default::default() });
        assert!(bounded.proxies.len() > 90 && bounded.encoded_len() < MAX_REPORT_BYTES, "as many as fit");
    }
}
