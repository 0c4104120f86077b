//! Folds reports of a site into the row that the core keeps of it.
//!
//! Pure: a report counts once, however often it comes. It must not judge what a report says; that
//! is the reader's part.

use std::ops::Range;

use prost::Message as _;
use skerry_core::id::Timestamp;
use skerry_proto::limits::{
    BOOT_STORE_BYTES, MAX_AUDITS, MAX_DETAIL_BYTES, MAX_EVENTS, MAX_OPEN, MAX_PROXIES, MAX_REPORT_BYTES,
    MAX_REPORTS, MAX_WORKLOAD_PROBLEMS,
};
use skerry_proto::v1::{Report, SiteEvent, SiteState, report::Body, site_event::Kind};

/// The latest state that a site has told of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The state.
    pub state: SiteState,
    /// When it was made, by the core's clock as far as that can be told ([`Arrival::observed`]).
    pub observed_at: Timestamp,
    /// When it came, by the core's clock.
    pub received_at: Timestamp,
}

/// An event of a site.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its report's number, as the site counts.
    pub seq: u64,
    /// When it was made, as in [`Observed`].
    pub observed_at: Timestamp,
    /// When it came, by the core's clock.
    pub received_at: Timestamp,
    /// What happened.
    pub event: SiteEvent,
}

/// A store of a site that reports do not come from any more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Former {
    /// What boot ids of it begin with.
    pub store: Vec<u8>,
    /// The highest report of it that is kept.
    pub acknowledged: u64,
}

/// How many former stores of a site are remembered: an agent whose disk takes nothing has one of its own in each run, and
/// may be started a few times before the disk is well. 4 × 20 B in a row that has 250 at least.
pub const MAX_FORMER: usize = 4;

/// What the core keeps of a site, besides its events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportRow {
    /// The run of the agent that sent last.
    pub boot: Vec<u8>,
    /// The highest report that is kept; 0 before the first.
    pub acknowledged: u64,
    /// The stores before this one, newest first; at most [`MAX_FORMER`]. An agent whose disk cannot be written counts its
    /// reports as one without a store, and goes on where it was when the disk is well again.
    pub former: Vec<Former>,
    /// The latest state.
    pub observed: Option<Observed>,
    /// How far the site's clock was ahead at the last request: milliseconds, behind is negative.
    pub clock_ahead_ms: i64,
    /// What was refused or rolled back since the site last applied something, oldest first; at most [`MAX_OPEN`].
    pub open: Vec<Event>,
    /// How many older ones of those there were.
    pub open_older: u32,
    /// The place of the oldest event that is kept; places count up from 0 and are never reused.
    pub first_event: u64,
    /// The place of the next event.
    pub next_event: u64,
}

/// When a request came and when it was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrival {
    /// By the core's clock.
    pub received_at: Timestamp,
    /// By the site's clock; 0: an older agent does not say.
    pub sent_at: Timestamp,
}

impl Arrival {
    /// Puts a time of the site's clock on the core's: what it was made before it was sent is its age, whatever that
    /// clock shows. Never after the request came, so that no wrong clock makes a figure look fresher than it can be.
    pub fn observed(self, by_site: Timestamp) -> Timestamp {
        match self.sent_at {
            Timestamp(0) => by_site.min(self.received_at),
            sent => Timestamp(self.received_at.0.saturating_sub(sent.0.saturating_sub(by_site.0))),
        }
    }

    /// Says how far the site's clock is ahead: milliseconds.
    fn ahead_ms(self) -> Option<i64> {
        let signed = |time: Timestamp| i64::try_from(time.0).unwrap_or(i64::MAX);
        (self.sent_at.0 > 0).then(|| signed(self.sent_at).saturating_sub(signed(self.received_at)))
    }
}

/// What came of some reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Folded {
    /// The new row.
    pub row: ReportRow,
    /// New events with their places, in order.
    pub events: Vec<(u64, Event)>,
}

/// Folds the reports of one request, oldest first, into a row.
///
/// A site counts its reports over the life of its store. It repeats itself when an acknowledgement was lost, and after a
/// crash that took what it had forgotten back to the disk. A site whose store was lost counts from one again: its boot
/// ids name another store, and everything that it sends is new. One that comes back to a store before goes on.
pub fn fold(mut row: ReportRow, boot: &[u8], reports: Vec<Report>, arrival: Arrival) -> Folded {
    row.change_store(boot);
    row.boot = boot.to_vec();
    row.clock_ahead_ms = arrival.ahead_ms().unwrap_or_default();
    let mut events = Vec::new();
    for report in reports {
        if report.seq <= row.acknowledged {
            continue;
        }
        row.acknowledged = report.seq;
        events.extend(take(&mut row, report, arrival));
    }
    let kept = row.next_event.saturating_sub(MAX_EVENTS as u64);
    row.first_event = row.first_event.max(kept);
    events.retain(|(place, _)| *place >= row.first_event);
    Folded { row, events }
}

/// Begins anew for a site whose row cannot be read: says so where people look, in an event after those that are kept.
pub fn begin_anew(events: Range<u64>, why: &str, at: Timestamp) -> Folded {
    let place = events.end;
    let mut row = ReportRow { first_event: events.start, next_event: place + 1, ..ReportRow::default() };
    let event = unreadable(&format!("the core has lost what this site had reported: {why}"), at);
    row.settle(&event);
    Folded { row, events: vec![(place, event)] }
}

/// An event of the core itself, in place of what it cannot read.
pub fn unreadable(words: &str, at: Timestamp) -> Event {
    let mut detail = words.to_owned();
    cut(&mut detail);
    let event = SiteEvent { kind: Kind::ReportDropped.into(), detail, ..SiteEvent::default() };
    Event { seq: 0, observed_at: at, received_at: at, event }
}

/// What names the store in a boot id.
fn store(boot: &[u8]) -> &[u8] {
    boot.get(..BOOT_STORE_BYTES).unwrap_or(boot)
}

impl ReportRow {
    /// Goes on where the store of this boot was, if it is not the one that reports came from last.
    fn change_store(&mut self, boot: &[u8]) {
        if store(&self.boot) == store(boot) {
            return;
        }
        let back = self.former.iter().position(|former| former.store == store(boot));
        let back = back.map(|at| self.former.remove(at)).unwrap_or_default();
        let acknowledged = std::mem::replace(&mut self.acknowledged, back.acknowledged);
        // Of one that acknowledged nothing there is nothing to remember.
        if acknowledged > 0 {
            self.former.insert(0, Former { store: store(&self.boot).to_vec(), acknowledged });
            self.former.truncate(MAX_FORMER);
        }
    }

    /// Keeps what was refused where people look, until the site has applied something after it. (Not: something with
    /// a higher generation. A site never goes down, and a core that lost its store counts from one again.)
    fn settle(&mut self, event: &Event) {
        match event.event.kind() {
            Kind::BundleRefused | Kind::RolledBack | Kind::ReportDropped => {
                self.open.push(event.clone());
                if self.open.len() > MAX_OPEN {
                    self.open.remove(0);
                    self.open_older = self.open_older.saturating_add(1);
                }
            }
            Kind::Applied => {
                self.open.clear();
                self.open_older = 0;
            }
            Kind::ProxyExited | Kind::Unknown => {}
        }
    }
}

/// Takes the reports of a request that keep to the rules. One that is too long becomes an event that says so: refused,
/// it would come again and again, and keep back all that wait behind it.
pub fn admit(mut reports: Vec<Report>) -> Vec<Report> {
    reports.truncate(MAX_REPORTS);
    reports
        .into_iter()
        .map(|report| if report.encoded_len() > MAX_REPORT_BYTES { drop_long(&report) } else { report })
        .collect()
}

fn drop_long(report: &Report) -> Report {
    let (seq, length) = (report.seq, report.encoded_len());
    let detail =
        format!("the core dropped report {seq}: it has {length} bytes, over the limit of {MAX_REPORT_BYTES}");
    let event = SiteEvent { kind: Kind::ReportDropped.into(), detail, ..SiteEvent::default() };
    Report { body: Some(Body::Event(event)), ..*report }
}

fn take(row: &mut ReportRow, report: Report, arrival: Arrival) -> Option<(u64, Event)> {
    let observed_at = arrival.observed(Timestamp(report.observed_at_ms));
    let received_at = arrival.received_at;
    match report.body {
        Some(Body::State(state)) => {
            row.observed = Some(Observed { state: trim(state), observed_at, received_at });
            None
        }
        Some(Body::Event(mut event)) => {
            cut(&mut event.detail);
            let place = row.next_event;
            row.next_event += 1;
            let event = Event { seq: report.seq, observed_at, received_at, event };
            row.settle(&event);
            Some((place, event))
        }
        // A newer agent's kind of report: counted, so that it is not sent again and again.
        None => None,
    }
}

/// Cuts what a site says to the caps that it should have kept itself.
fn trim(mut state: SiteState) -> SiteState {
    state.proxies.truncate(MAX_PROXIES);
    state.proxies.iter_mut().for_each(|proxy| cut(&mut proxy.detail));
    state.workload_problems.truncate(MAX_WORKLOAD_PROBLEMS);
    state.workload_problems.iter_mut().for_each(cut);
    if let Some(counted) = &mut state.counted {
        counted.audits.truncate(MAX_AUDITS);
        counted.audits.iter_mut().for_each(|audit| cut(&mut audit.policy));
    }
    state
}

fn cut(text: &mut String) {
    let end = (0..=MAX_DETAIL_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
}

#[cfg(test)]
mod tests;
