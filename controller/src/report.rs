//! Folds reports of a site into the row that the core keeps of it.
//!
//! Pure: a report counts once, however often it comes. It must not judge what a report says; that
//! is the reader's part.

use skerry_core::id::{Digest, Timestamp};
use skerry_proto::limits::{MAX_DETAIL_BYTES, MAX_EVENTS, MAX_PROXIES, MAX_WORKLOAD_PROBLEMS};
use skerry_proto::v1::{Report, SiteEvent, SiteState, report::Body};

use prost::Message as _;

/// The latest state that a site has told of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The state.
    pub state: SiteState,
    /// When it was made, by the site's clock.
    pub observed_at: Timestamp,
    /// When it came, by the core's clock.
    pub received_at: Timestamp,
}

/// An event of a site.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its report's number, as the site counts.
    pub seq: u64,
    /// When it was made, by the site's clock.
    pub observed_at: Timestamp,
    /// When it came, by the core's clock.
    pub received_at: Timestamp,
    /// What happened.
    pub event: SiteEvent,
}

/// What the core keeps of a site, besides its events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportRow {
    /// The run of the agent that sent last.
    pub boot: Vec<u8>,
    /// The highest report that is kept; 0 before the first.
    pub acknowledged: u64,
    /// BLAKE3 of that report: tells a repeated report from one of a site whose store was lost.
    pub last: Option<Digest>,
    /// BLAKE3 of the last event's report: an agent may replace a state that was not acknowledged to
    /// it by a later one, but never an event.
    pub last_event: Option<Digest>,
    /// The latest state.
    pub observed: Option<Observed>,
    /// The place of the oldest event that is kept; places count up from 0 and are never reused.
    pub first_event: u64,
    /// The place of the next event.
    pub next_event: u64,
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
/// A site counts its reports over the life of its store. The same boot repeats itself when an
/// acknowledgement was lost; another boot either goes on counting (the agent was restarted) or
/// starts anew (the store was lost). In the second case it has neither the report nor the event
/// that was acknowledged last, and everything it sends is new.
pub fn fold(mut row: ReportRow, boot: &[u8], reports: Vec<Report>, received_at: Timestamp) -> Folded {
    if row.boot != boot && starts_anew(&row, &reports) {
        row.acknowledged = 0;
    }
    row.boot = boot.to_vec();
    let mut events = Vec::new();
    for report in reports {
        if report.seq <= row.acknowledged {
            continue;
        }
        row.acknowledged = report.seq;
        row.last = Some(digest(&report));
        if matches!(report.body, Some(Body::Event(_))) {
            row.last_event = row.last;
        }
        events.extend(take(&mut row, report, received_at));
    }
    let kept = row.next_event.saturating_sub(MAX_EVENTS as u64);
    row.first_event = row.first_event.max(kept);
    events.retain(|(place, _)| *place >= row.first_event);
    Folded { row, events }
}

/// Says whether reports with numbers that were acknowledged are not the ones that were.
fn starts_anew(row: &ReportRow, reports: &[Report]) -> bool {
    let has_old_numbers = reports.first().is_some_and(|first| first.seq <= row.acknowledged);
    let repeats = |digest: Digest| row.last == Some(digest) || row.last_event == Some(digest);
    has_old_numbers && !reports.iter().map(digest).any(repeats)
}

fn digest(report: &Report) -> Digest {
    Digest::of(&report.encode_to_vec())
}

fn take(row: &mut ReportRow, report: Report, received_at: Timestamp) -> Option<(u64, Event)> {
    let observed_at = Timestamp(report.observed_at_ms);
    match report.body {
        Some(Body::State(state)) => {
            row.observed = Some(Observed { state: trim(state), observed_at, received_at });
            None
        }
        Some(Body::Event(mut event)) => {
            cut(&mut event.detail);
            let place = row.next_event;
            row.next_event += 1;
            Some((place, Event { seq: report.seq, observed_at, received_at, event }))
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
    state
}

fn cut(text: &mut String) {
    let end = (0..=MAX_DETAIL_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or_default());
}

#[cfg(test)]
mod tests;
