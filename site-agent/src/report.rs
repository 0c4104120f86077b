//! What the site says about itself: its state when it changes and now and then, and events. Pure.

use std::time::Duration;

use prost::Message as _;
use skerry_core::bundle::v1::Manifest;
use skerry_proto::limits::{MAX_DETAIL_BYTES, MAX_PROXIES, MAX_REPORT_BYTES, REPORT_INTERVAL_SECONDS};
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{Report, SiteEvent, SiteState, report};

use crate::clock::Now;

/// How long to wait for more changes: an apply makes several within a few milliseconds.
const SETTLE: Duration = Duration::from_millis(300);

/// How often a connected site says that nothing changed.
const HEARTBEAT: Duration = Duration::from_secs(REPORT_INTERVAL_SECONDS as u64);

/// Decides when a state is due.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    last: Option<(Now, SiteState)>,
    due: Option<Now>,
    connected: bool,
}

impl Reporter {
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
        let heartbeat = self.last.as_ref().filter(|_| self.connected).map(|(at, _)| *at + HEARTBEAT);
        [self.due, heartbeat].into_iter().flatten().min()
    }

    /// Returns the state if it is to be reported now.
    pub(crate) fn poll_state(&mut self, now: Now, state: impl FnOnce() -> SiteState) -> Option<SiteState> {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return None;
        }
        self.due = None;
        let state = bound(state());
        let is_old = |at: Now| self.connected && now >= at + HEARTBEAT;
        if self.last.as_ref().is_some_and(|(at, last)| *last == state && !is_old(*at)) {
            return None;
        }
        self.last = Some((now, state.clone()));
        Some(state)
    }

    /// A state was reported with something else.
    pub(crate) fn handle_reported(&mut self, now: Now, state: SiteState) {
        self.last = Some((now, state));
    }

    /// The store could not keep the state: it is due again.
    pub(crate) fn handle_not_kept(&mut self, now: Now) {
        self.last = None;
        self.due = Some(now + Duration::from_secs(5));
    }
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
    state
}

/// Cuts text to at most `most` bytes, at a character's edge.
fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
}

/// Wraps a state; `seq` is given by the store.
pub(crate) fn of_state(state: SiteState, observed_at_ms: u64) -> Report {
    Report { seq: 0, observed_at_ms, body: Some(report::Body::State(state)) }
}

/// Makes the report of an event; `seq` is given by the store.
pub(crate) fn of_event(kind: Kind, manifest: &Manifest, detail: &str, observed_at_ms: u64) -> Report {
    let mut detail = detail.to_owned();
    cut(&mut detail, MAX_DETAIL_BYTES);
    let event = SiteEvent {
        kind: kind.into(),
        generation: manifest.generation,
        revision: manifest.revision.clone(),
        detail,
    };
    Report { seq: 0, observed_at_ms, body: Some(report::Body::Event(event)) }
}

#[cfg(test)]
mod tests {
    use skerry_proto::v1::ProxyState;

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
        let mut reporter = Reporter::default();
        reporter.handle_link(Now::ZERO, true);
        reporter.poll_state(SECOND, || state(1));
        assert_eq!(reporter.poll_timeout(), Some(SECOND + HEARTBEAT));
        assert_eq!(reporter.poll_state(SECOND + HEARTBEAT, || state(1)), Some(state(1)));

        reporter.handle_link(SECOND, false);
        reporter.poll_state(2 * HEARTBEAT, || state(1));
        assert_eq!(reporter.poll_timeout(), None);
    }

    #[test]
    fn a_state_keeps_to_the_caps() {
        let long = ProxyState { detail: "ü".repeat(4_000), ..Default::default() };
        let bounded = bound(SiteState { proxies: vec![long; 300], ..Default::default() });
        assert_eq!(bounded.proxies.len(), MAX_PROXIES);
        assert!(bounded.encoded_len() < MAX_REPORT_BYTES);
    }
}
