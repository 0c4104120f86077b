//! The numbers of reports, and those that wait in memory for a disk that takes nothing. Pure.
//!
//! A number is given once over the life of a store, also where the disk cannot be told of it: it keeps ahead of them up to
//! which number reports may be given, and the next run begins there. So reports can be sent from memory, and what a later
//! run sends is never taken for a repetition of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use prost::Message as _;
use skerry_proto::limits::MAX_REPORT_BYTES;
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{Report, SiteEvent, report};

/// The most reports that wait for a disk that takes nothing; the oldest events go first.
pub(crate) const MAX_TAIL: usize = 64;

/// How long the reports of one call may be together: 20 s of a link of 26 kbit/s.
const BATCH_BYTES: usize = 64 << 10;

/// How many numbers the disk is ahead of those that were given: at least half of them are left, three months of a report
/// every five minutes from memory, or two days of a commit that is tried every five seconds and takes two each time.
pub(super) const AHEAD: u64 = 1 << 16;

/// Numbers, and reports that are not on disk.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// By number.
    waiting: VecDeque<Report>,
    /// The highest number that was given.
    given: u64,
    /// The highest number that may be sent before it is on disk.
    reserved: u64,
    /// The core has all up to this one; the disk may not know.
    forgotten: u64,
    /// What was sent from memory while the disk could not be read. Others on it below the last of these come after them, once
    /// they have other numbers. (If the agent ends before, they are lost with that disk, and what was sent and not heard of is
    /// sent twice: a site that serves and says nothing would be worse.) There are at most [`AHEAD`].
    overtaking: BTreeSet<u64>,
    /// Events that were dropped here and not counted on disk.
    dropped: u64,
}

/// What is to be written in one transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    /// What waits in memory.
    pub(super) waiting: Vec<Report>,
    /// What is written only if the step beside it is news.
    pub(super) of_step: Vec<Report>,
    /// As in [`Tail`].
    pub(super) given: u64,
    /// As in [`Tail`].
    pub(super) forgotten: u64,
    /// As in [`Tail`].
    pub(super) overtaking: BTreeSet<u64>,
    /// As in [`Tail`].
    pub(super) dropped: u64,
}

/// The numbers as the disk has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbers {
    /// The highest one that was given.
    pub(super) given: u64,
    /// The highest one that may be given before the disk is told.
    pub(super) reserved: u64,
}

impl Tail {
    /// Goes on from a disk.
    pub(super) fn after(Numbers { given, reserved }: Numbers) -> Self {
        Self { given, reserved, ..Self::default() }
    }

    /// Numbers reports that have no disk: from one, without end.
    pub(super) fn without_disk() -> Self {
        Self { reserved: u64::MAX, ..Self::default() }
    }

    /// Adds reports. A newer state takes the place of the one that waits.
    pub(super) fn push(&mut self, reports: Vec<Report>) {
        for report in self.number(reports) {
            if is_state(&report) {
                self.waiting.retain(|waits| !is_state(waits));
            }
            self.waiting.push_back(report);
        }
    }

    /// Begins to write what waits, and the reports of a step.
    pub(super) fn begin(&mut self, of_step: Vec<Report>) -> Pending {
        let of_step = self.number(of_step);
        let Self { given, forgotten, dropped, .. } = *self;
        let (waiting, overtaking) = (self.waiting.iter().cloned().collect(), self.overtaking.clone());
        Pending { waiting, of_step, given, forgotten, overtaking, dropped }
    }

    /// All of that is on disk.
    pub(super) fn handle_written(&mut self, pending: &Pending, numbers: Numbers) {
        let last = pending.waiting.last().map_or(0, |report| report.seq);
        self.waiting.retain(|report| report.seq > last);
        self.dropped -= pending.dropped;
        self.overtaking.retain(|seq| !pending.overtaking.contains(seq));
        (self.given, self.reserved) = (self.given.max(numbers.given), numbers.reserved);
    }

    /// Nothing of that is on disk, perhaps. What waits is kept within its bound.
    pub(super) fn handle_not_written(&mut self) {
        while self.waiting.len() > MAX_TAIL {
            // A state is one, and the newest of its kind.
            let oldest = self.waiting.iter().position(|report| !is_state(report)).unwrap_or_default();
            self.waiting.remove(oldest);
            self.dropped += 1;
        }
    }

    /// Returns after which number the disk is to be read.
    pub(super) fn read_after(&self) -> u64 {
        self.overtaking.last().map_or(self.forgotten, |last| self.forgotten.max(*last))
    }

    /// Returns the oldest reports of disk and memory, by number; what is written at this moment may be in both.
    pub(super) fn merge(&self, on_disk: Vec<Report>, limit: usize) -> Vec<Report> {
        let all = on_disk.into_iter().chain(self.ready().cloned());
        let by_seq: BTreeMap<u64, Report> = all.map(|report| (report.seq, report)).collect();
        batch(by_seq.into_values(), limit)
    }

    /// Returns the oldest reports that wait here: the disk cannot be read, and what is on it comes later.
    pub(super) fn overtake(&mut self, limit: usize) -> Vec<Report> {
        let reports = batch(self.ready().cloned(), limit);
        self.overtaking.extend(reports.iter().map(|report| report.seq));
        reports
    }

    /// The core has all up to this one.
    pub(super) fn forget(&mut self, seq: u64) {
        self.waiting.retain(|report| report.seq > seq);
        if self.overtaking.is_empty() {
            self.forgotten = self.forgotten.max(seq);
        }
    }

    /// Drops one report; says whether it waited here.
    pub(super) fn remove(&mut self, seq: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|report| report.seq != seq);
        self.waiting.len() < before
    }

    /// The core has all up to this one, as far as the disk is concerned.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many reports wait here, their bytes, and how many events were dropped.
    pub(super) fn waiting(&self) -> (u64, u64, u64) {
        let bytes = self.waiting.iter().map(|report| report.encoded_len() as u64).sum();
        (self.waiting.len() as u64, bytes, self.dropped)
    }

    /// Those that may be sent before they are on disk.
    fn ready(&self) -> impl Iterator<Item = &Report> {
        self.waiting.iter().filter(|report| report.seq <= self.reserved)
    }

    /// Says whether something was sent over the head of what is on a disk that cannot be read.
    #[cfg(test)]
    pub(super) fn has_overtaken(&self) -> bool {
        !self.overtaking.is_empty()
    }

    fn number(&mut self, reports: Vec<Report>) -> Vec<Report> {
        let number = |report| {
            self.given += 1;
            Report { seq: self.given, ..fit(report) }
        };
        reports.into_iter().map(number).collect()
    }
}

/// The first reports, as many as one call may carry.
fn batch(reports: impl Iterator<Item = Report>, limit: usize) -> Vec<Report> {
    let mut bytes = 0;
    let fits = |report: &Report| {
        let is_first = bytes == 0;
        bytes += report.encoded_len();
        is_first || bytes <= BATCH_BYTES
    };
    reports.take(limit).take_while(fits).collect()
}

/// A report that the core would not take becomes an event that says so: it would keep back all behind it.
fn fit(report: Report) -> Report {
    let length = report.encoded_len();
    // The number is not in it yet: 11 bytes at most.
    if length + 11 <= MAX_REPORT_BYTES {
        return report;
    }
    let words = format!("the agent dropped a report of {length} bytes: over the limit of {MAX_REPORT_BYTES}");
    dropped_report(&report, words)
}

/// Makes the event that takes the place of a report that was dropped: of its time.
pub(super) fn dropped_report(dropped: &Report, detail: String) -> Report {
    let event = SiteEvent { kind: Kind::ReportDropped.into(), detail, ..SiteEvent::default() };
    let Report { observed_at_ms, uptime_ms, machine_run, .. } = *dropped;
    Report { seq: 0, observed_at_ms, uptime_ms, machine_run, body: Some(report::Body::Event(event)) }
}

/// Says whether a report is a state.
pub(super) fn is_state(report: &Report) -> bool {
    matches!(report.body, Some(report::Body::State(_)))
}

#[cfg(test)]
mod tests;
