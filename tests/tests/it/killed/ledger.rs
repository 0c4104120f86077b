//! What a test knows to have happened, and must find again after each kill: what is not so is a panic, what
//! has not come yet an error.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{EventRow, SiteEvent};
use skerry_tests::fleet::{Agent, Core, FleetView};

/// What was seen of one site and its core so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The highest generation that the agent had as current.
    current: u64,
    /// The highest generation that the core wanted the site to have.
    desired: u64,
    /// Revisions in the order in which they were pushed.
    revisions: Vec<String>,
    /// The newest of them that the core has compiled.
    compiled: usize,
    /// Events that the core has shown, by number: it has acknowledged them.
    events: BTreeMap<u64, EventRow>,
    /// Generations that the agent's log says to have run. (One that ran may be missing: the agent died before it had
    /// logged that.)
    ran: BTreeSet<u64>,
}

impl Ledger {
    /// Notes a push.
    pub(super) fn push(&mut self, revision: String) {
        self.revisions.push(revision);
    }

    /// The newest revision.
    pub(super) fn newest(&self) -> &str {
        self.revisions.last().map_or("", String::as_str)
    }

    /// Looks at the folder of an agent that does not run.
    pub(super) fn check_agent(&mut self, agent: &Agent) {
        let view = agent.show().expect("the store can be read");
        let (current, floor, candidate) = (&view["current"], &view["floor"], &view["candidate"]);
        let generation = current["generation"].as_u64().unwrap_or_default();
        assert!(generation >= self.current, "from generation {} back to {generation}", self.current);
        assert!(current["manifest"] == floor["manifest"], "current is not what the floor says: {view:#}");
        let tried = candidate["generation"].as_u64();
        assert!(tried.is_none_or(|tried| tried > generation), "an old candidate: {view:#}");
        self.current = generation;
        check_log("agent", &agent.log());
        self.note_ran(agent);
    }

    /// Reads what the agent has run so far. It is reported before it is logged.
    pub(super) fn note_ran(&mut self, agent: &Agent) {
        self.ran.extend(agent.log().lines().filter_map(generation_that_runs));
    }

    /// Asks a core: what it has shown before is still there, once each.
    pub(super) async fn check_core(&mut self, core: &Core, site: &str) -> Result<FleetView> {
        let view = core.fleet().await?;
        let events = FleetView::events(core.address(), site).await?;
        check_log("core", &core.log());
        self.check_view(&view, site);
        self.check_events(&events);
        Ok(view)
    }

    fn check_view(&mut self, view: &FleetView, site: &str) {
        let at = self.revisions.iter().position(|revision| *revision == view.source().revision);
        if let Some(at) = at {
            assert!(at >= self.compiled, "from revision {} back to {at}", self.compiled);
            self.compiled = at;
        }
        let desired = view.site(site).map_or(0, |site| site.desired_generation);
        // A core that has just started shows no site before it has read its source.
        assert!(desired == 0 || desired >= self.desired, "from {} back to {desired}", self.desired);
        self.desired = self.desired.max(desired);
    }

    fn check_events(&mut self, events: &[EventRow]) {
        let by_seq: BTreeMap<u64, EventRow> = events.iter().map(|event| (event.seq, event.clone())).collect();
        assert!(by_seq.len() == events.len(), "an event is kept twice: {events:#?}");
        // The core shows the newest 100 alone.
        let oldest = by_seq.keys().next().copied().filter(|_| by_seq.len() >= 100).unwrap_or_default();
        for (seq, event) in self.events.range(oldest..) {
            assert!(by_seq.get(seq) == Some(event), "event {seq} is lost: {event:?}");
        }
        self.events.extend(by_seq);
    }

    /// The generations that the site has said to run, in the order of its reports.
    pub(super) fn applied(&self) -> Vec<u64> {
        let events = self.events.values().filter_map(|row| row.event.as_ref());
        events.filter(|event| event.kind() == Kind::Applied).map(|event| event.generation).collect()
    }

    /// Says whether a log was read that tells of bundles that run; else `check_applied` compares with nothing.
    pub(super) fn knows_what_ran(&self) -> bool {
        !self.ran.is_empty()
    }

    /// The reasons of everything that was refused or taken back.
    pub(super) fn refused(&self) -> Vec<String> {
        let events = self.events.values().filter_map(|row| row.event.as_ref());
        let refused = events.filter(|event| matches!(event.kind(), Kind::BundleRefused | Kind::RolledBack));
        refused.map(|event| event.detail.clone()).collect()
    }

    /// With both ends settled: every generation that ran was reported once, in order.
    pub(super) fn check_applied(&self) -> Result<()> {
        let applied = self.applied();
        assert!(applied.is_sorted_by(|a, b| a < b), "generations were reported as {applied:?}");
        ensure!(applied.last() == Some(&self.desired), "{applied:?} does not end with {}", self.desired);
        let lost: Vec<&u64> = self.ran.iter().filter(|ran| !applied.contains(ran)).collect();
        assert!(lost.is_empty(), "{lost:?} ran, and only {applied:?} were reported");
        Ok(())
    }
}

/// Reads the line of an agent's log that says that a bundle runs.
fn generation_that_runs(line: &str) -> Option<u64> {
    let (_, fields) = line.split_once("runs the new bundle")?;
    let generation = fields.split_whitespace().find_map(|field| field.strip_prefix("generation="));
    Some(generation?.parse().expect("a generation is a number"))
}

/// Nothing was found broken.
fn check_log(who: &str, log: &str) {
    let broken = ["damaged", "panicked", "equivocation"];
    let line = log.lines().find(|line| broken.iter().any(|word| line.contains(word)));
    assert!(line.is_none(), "the {who} says: {}", line.unwrap_or_default());
}

/// A core that has shown that these generations were applied, in this order.
fn after(applied: &[u64]) -> Ledger {
    let row = |seq, generation| {
        let event = SiteEvent { kind: Kind::Applied.into(), generation, ..SiteEvent::default() };
        (seq, EventRow { seq, event: Some(event), ..EventRow::default() })
    };
    let events = (1..).zip(applied).map(|(seq, generation)| row(seq, *generation)).collect();
    Ledger { desired: applied.last().copied().unwrap_or_default(), events, ..Ledger::default() }
}

#[test]
fn what_ran_is_read_from_the_log() {
    let line = "2026-08-01T00:00:00Z  INFO skerry_agent::site::apply: runs the new bundle generation=12 revision=\"main@sha1:a\"";
    assert_eq!(generation_that_runs(line), Some(12));
    assert_eq!(generation_that_runs("INFO skerry_agent::link: connected generation=3"), None);
}

/// The agent may die between what it keeps and what it logs, so an event without a line is well.
#[test]
fn what_was_reported_and_not_logged_is_not_lost() {
    let ledger = Ledger { ran: [1, 3].into(), ..after(&[1, 2, 3]) };
    ledger.check_applied().unwrap();
}

#[test]
#[should_panic(expected = "[2] ran, and only [1, 3] were reported")]
fn a_report_of_a_generation_in_between_is_missed() {
    let ledger = Ledger { ran: [1, 2, 3].into(), ..after(&[1, 3]) };
    ledger.check_applied().unwrap();
}
