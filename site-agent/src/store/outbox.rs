//! The outbox: reports that the core has not acknowledged yet, by sequence number.
//!
//! Bounded: a site may be dark for months. A newer state supersedes an older one, so at most one
//! state waits; events wait until the bounds are reached, then the oldest go first and are counted.
//! What the disk does not take waits in memory (`tail`), and can be sent from there.

use std::collections::BTreeSet;

use prost::Message as _;
use redb::{Durability, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{Report, report};
use tracing::{debug, warn};

use super::counters::{number, raise};
use super::tables::{NUMBERS, OUTBOX};
use super::tail::{AHEAD, Numbers, Pending, dropped_report, is_state};
use super::{Store, StoreError};

/// The most reports that wait: 30 a day for nearly a year.
pub(crate) const MAX_ROWS: u64 = 10_000;

/// The most bytes that wait: 10,000 events of 400 bytes; an edge box has room for that, and a
/// metered link carries it in a minute.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

const STATE: u8 = 0;
const EVENT: u8 = 1;

/// What waits for the core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Reports.
    pub(crate) rows: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Events that were dropped over the store's life, since more waited than the bounds allow.
    pub(crate) dropped: u64,
}

/// Whether a step says something that was not said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    News,
    Repetition,
}

impl Store {
    /// Keeps reports; their `seq` is given here.
    ///
    /// # Errors
    /// They are not on disk. They wait in memory, the newest 64 of them, and can be sent from there.
    pub(crate) fn append(&self, reports: Vec<Report>) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        self.tail.lock().push(reports);
        self.write_waiting(Vec::new(), |_| Ok(Step::News))
    }

    /// Writes what waits in memory.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        self.append(Vec::new())
    }

    /// Runs a step whose reports are kept with it, or not at all.
    pub(super) fn write_with(
        &self,
        reports: Vec<Report>,
        step: impl FnOnce(&WriteTransaction) -> Result<Step, redb::Error>,
    ) -> Result<(), StoreError> {
        let _writing = self.writing.lock();
        self.write_waiting(reports, step)
    }

    fn write_waiting(
        &self,
        reports: Vec<Report>,
        step: impl FnOnce(&WriteTransaction) -> Result<Step, redb::Error>,
    ) -> Result<(), StoreError> {
        let pending = self.tail.lock().begin(reports);
        let written = self.write(|txn| {
            let outcome = step(txn)?;
            keep(txn, &pending, outcome)
        });
        let mut tail = self.tail.lock();
        match written {
            Ok(numbers) => {
                tail.handle_written(&pending, numbers);
                Ok(())
            }
            Err(error) => {
                tail.handle_not_written();
                Err(error)
            }
        }
    }

    /// Returns how many ends of a proxy were reported.
    pub(crate) fn reported_ends(&self, proxy: &str) -> Result<u64, StoreError> {
        self.read(|txn| number(&txn.open_table(NUMBERS)?, &format!("ends/{proxy}")))
    }

    /// Keeps a report of a proxy's ends together with their number, so that each is reported once.
    pub(crate) fn append_ends(
        &self,
        proxy: &str,
        ends: u64,
        report: Option<Report>,
    ) -> Result<(), StoreError> {
        self.write_with(report.into_iter().collect(), |txn| {
            txn.open_table(NUMBERS)?.insert(format!("ends/{proxy}").as_str(), ends)?;
            Ok(Step::News)
        })
    }

    /// Forgets the ends of all proxies but these: names do not come back for ever.
    pub(crate) fn retain_ends(&self, proxies: &BTreeSet<String>) -> Result<(), StoreError> {
        self.write(|txn| {
            let is_kept = |name: &str| name.strip_prefix("ends/").is_none_or(|proxy| proxies.contains(proxy));
            txn.open_table(NUMBERS)?.retain(|name, _| is_kept(name))?;
            Ok(())
        })
    }

    /// Returns the oldest reports, from the disk, and from memory what that did not take: at most `limit`, and no more
    /// bytes than a call carries over a thin link before its deadline, save that one report is returned however long it is.
    ///
    /// # Errors
    /// The disk cannot be read, and nothing waits in memory.
    pub(crate) fn oldest(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        let after = self.tail.lock().read_after();
        let on_disk = if self.is_volatile() { Ok(Vec::new()) } else { self.kept(after, limit) };
        let mut tail = self.tail.lock();
        match on_disk {
            Ok(reports) => Ok(tail.merge(reports, limit)),
            Err(error) => Some(tail.overtake(limit)).filter(|reports| !reports.is_empty()).ok_or(error),
        }
    }

    fn kept(&self, after: u64, limit: usize) -> Result<Vec<Report>, StoreError> {
        self.read(|txn| {
            let outbox = txn.open_table(OUTBOX)?;
            let mut reports = Vec::new();
            for row in outbox.range(after.saturating_add(1)..)?.take(limit) {
                // A row that does not decode was written by nobody; it is passed over.
                reports.extend(Report::decode(row?.1.value().1).ok());
            }
            Ok(reports)
        })
    }

    /// Forgets all reports up to `seq`. Not fsynced, and where the disk takes nothing left to the next write: at worst
    /// they are sent again, and the core takes each one once.
    pub(crate) fn forget(&self, seq: u64) -> Result<(), StoreError> {
        let forgotten = {
            let mut tail = self.tail.lock();
            tail.forget(seq);
            tail.forgotten()
        };
        if self.is_volatile() {
            return Ok(());
        }
        let gone = self.change(|db| {
            let mut txn = db.begin_write()?;
            txn.set_durability(Durability::None)?;
            remove_up_to(&txn, forgotten)?;
            txn.commit()?;
            Ok(())
        });
        if let Err(error) = gone {
            debug!("what the core has is still on disk: {error}");
        }
        Ok(())
    }

    /// Gives up the oldest report, which the core refuses whenever it comes: it would keep back all that wait behind it.
    /// An event says so in its place, unless that is what was refused.
    ///
    /// # Errors
    /// The disk takes nothing; then it is refused and given up once more.
    pub(crate) fn give_up_oldest(&self, reason: &str) -> Result<(), StoreError> {
        match self.oldest(1)?.first() {
            Some(report) => self.give_up(report, reason),
            None => Ok(()),
        }
    }

    pub(super) fn give_up(&self, report: &Report, reason: &str) -> Result<(), StoreError> {
        warn!("report {} is dropped, since the core refuses it: {reason}", report.seq);
        let is_word_of_one =
            matches!(&report.body, Some(report::Body::Event(event)) if event.kind() == Kind::ReportDropped);
        let words = || format!("the core refused report {}, and the agent dropped it: {reason}", report.seq);
        let in_place = (!is_word_of_one).then(|| dropped_report(report, words()));
        let _writing = self.writing.lock();
        let waited_here = self.tail.lock().remove(report.seq);
        let written = self.write_waiting(in_place.clone().into_iter().collect(), |txn| {
            remove(txn, report.seq)?;
            Ok(Step::News)
        });
        match written {
            Err(_) if waited_here => {
                self.tail.lock().push(in_place.into_iter().collect());
                Ok(())
            }
            written => written,
        }
    }

    /// Returns how much waits.
    pub(crate) fn waiting(&self) -> Result<Waiting, StoreError> {
        let (rows, bytes, dropped) = self.tail.lock().waiting();
        self.read(|txn| {
            let numbers = txn.open_table(NUMBERS)?;
            Ok(Waiting {
                rows: txn.open_table(OUTBOX)?.len()? + rows,
                bytes: number(&numbers, "outbox_bytes")? + bytes,
                dropped: number(&numbers, "dropped")? + dropped,
            })
        })
    }
}

/// Begins a run: numbers go on after all that an earlier one may have given.
pub(super) fn begin(txn: &WriteTransaction) -> Result<Numbers, redb::Error> {
    let given = {
        let mut numbers = txn.open_table(NUMBERS)?;
        let given = number(&numbers, "next_seq")?.max(number(&numbers, "reserved_seq")?);
        numbers.insert("next_seq", given)?;
        given
    };
    reserve(txn, given)
}

/// Writes what is pending inside a transaction, and drops what goes over the bounds.
fn keep(txn: &WriteTransaction, pending: &Pending, step: Step) -> Result<Numbers, redb::Error> {
    remove_up_to(txn, pending.forgotten)?;
    let of_step = pending.of_step.iter().filter(|_| step == Step::News);
    for report in pending.waiting.iter().chain(of_step) {
        insert(txn, report)?;
    }
    let given = renumber(txn, pending)?;
    let dropped = {
        let mut numbers = txn.open_table(NUMBERS)?;
        numbers.insert("next_seq", given)?;
        number(&numbers, "dropped")?
    };
    if pending.dropped > 0 {
        txn.open_table(NUMBERS)?.insert("dropped", dropped.saturating_add(pending.dropped))?;
    }
    shrink(txn)?;
    reserve(txn, given)
}

fn insert(txn: &WriteTransaction, report: &Report) -> Result<(), redb::Error> {
    let class = if is_state(report) { STATE } else { EVENT };
    if class == STATE {
        let last = number(&txn.open_table(NUMBERS)?, "state_seq")?;
        remove(txn, last)?;
        txn.open_table(NUMBERS)?.insert("state_seq", report.seq)?;
    }
    // It is there if the disk kept what it said that it did not keep.
    remove(txn, report.seq)?;
    let bytes = report.encode_to_vec();
    txn.open_table(OUTBOX)?.insert(report.seq, (class, bytes.as_slice()))?;
    let mut numbers = txn.open_table(NUMBERS)?;
    let total = number(&numbers, "outbox_bytes")?.saturating_add(bytes.len() as u64);
    numbers.insert("outbox_bytes", total)?;
    Ok(())
}

/// Gives reports that were overtaken numbers above those of the others; returns the highest number.
fn renumber(txn: &WriteTransaction, pending: &Pending) -> Result<u64, redb::Error> {
    let mut given = pending.given;
    let Some(last) = pending.overtaking.last() else { return Ok(given) };
    let waiting: BTreeSet<u64> = pending.waiting.iter().map(|report| report.seq).collect();
    let mut behind = Vec::new();
    for row in txn.open_table(OUTBOX)?.range(..=*last)? {
        let (seq, row) = row?;
        if !waiting.contains(&seq.value()) {
            behind.push((seq.value(), Report::decode(row.value().1).ok()));
        }
    }
    for (seq, report) in behind {
        remove(txn, seq)?;
        // What the core has from memory is here if the disk kept what it said that it did not keep. And a state is not news
        // any more: it would take the place of a newer one.
        let is_due = |report: &Report| !pending.overtaking.contains(&seq) && !is_state(report);
        if let Some(report) = report.filter(is_due) {
            given += 1;
            insert(txn, &Report { seq: given, ..report })?;
        }
    }
    Ok(given)
}

/// Keeps the disk ahead of the numbers that are given.
fn reserve(txn: &WriteTransaction, given: u64) -> Result<Numbers, redb::Error> {
    let mut numbers = txn.open_table(NUMBERS)?;
    let mut reserved = number(&numbers, "reserved_seq")?;
    if reserved < given.saturating_add(AHEAD / 2) {
        reserved = given.saturating_add(AHEAD);
        numbers.insert("reserved_seq", reserved)?;
    }
    Ok(Numbers { given, reserved })
}

/// Drops the oldest events until both bounds hold. The one state that waits is the newest row or
/// near it, so it goes last.
fn shrink(txn: &WriteTransaction) -> Result<(), redb::Error> {
    loop {
        let rows = txn.open_table(OUTBOX)?.len()?;
        let bytes = number(&txn.open_table(NUMBERS)?, "outbox_bytes")?;
        if rows <= MAX_ROWS && bytes <= MAX_BYTES {
            return Ok(());
        }
        let state = number(&txn.open_table(NUMBERS)?, "state_seq")?;
        let Some(seq) = oldest_but(txn, state)? else { return Ok(()) };
        remove(txn, seq)?;
        raise(&mut txn.open_table(NUMBERS)?, "dropped")?;
    }
}

fn oldest_but(txn: &WriteTransaction, spared: u64) -> Result<Option<u64>, redb::Error> {
    for row in txn.open_table(OUTBOX)?.iter()? {
        let seq = row?.0.value();
        if seq != spared {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

fn remove(txn: &WriteTransaction, seq: u64) -> Result<(), redb::Error> {
    let length = txn.open_table(OUTBOX)?.remove(seq)?.map_or(0, |row| row.value().1.len() as u64);
    let mut numbers = txn.open_table(NUMBERS)?;
    let left = number(&numbers, "outbox_bytes")?.saturating_sub(length);
    numbers.insert("outbox_bytes", left)?;
    Ok(())
}

fn remove_up_to(txn: &WriteTransaction, seq: u64) -> Result<(), redb::Error> {
    let mut gone = 0;
    let mut outbox = txn.open_table(OUTBOX)?;
    outbox.retain_in(..=seq, |_, (_, bytes)| {
        gone += bytes.len() as u64;
        false
    })?;
    let mut numbers = txn.open_table(NUMBERS)?;
    let left = number(&numbers, "outbox_bytes")?.saturating_sub(gone);
    numbers.insert("outbox_bytes", left)?;
    Ok(())
}
