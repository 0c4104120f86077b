//! The outbox: reports that the core has not acknowledged yet, by sequence number.
//!
//! Bounded: a site may be dark for months. A newer state supersedes an older one, so at most one
//! state waits; events wait until the bounds are reached, then the oldest go first and are counted.

use std::collections::BTreeSet;

use prost::Message as _;
use redb::{Durability, ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};
use skerry_proto::v1::{Report, report};

use super::counters::{number, raise};
use super::tables::{NUMBERS, OUTBOX};
use super::{Store, StoreError};

/// The most reports that wait: 30 a day for nearly a year.
pub(crate) const MAX_ROWS: u64 = 10_000;

/// The most bytes that wait: 10,000 events of 400 bytes; an edge box has room for that, and a
/// metered link carries it in a minute.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

/// How long the reports of one call may be together: 20 s of a link of 26 kbit/s.
const BATCH_BYTES: usize = 64 << 10;

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

impl Store {
    /// Keeps reports; their `seq` is given here.
    pub(crate) fn append(&self, reports: Vec<Report>) -> Result<(), StoreError> {
        self.write(|txn| append(txn, reports))
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
        self.write(|txn| {
            txn.open_table(NUMBERS)?.insert(format!("ends/{proxy}").as_str(), ends)?;
            append(txn, report.into_iter().collect())
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

    /// Returns the oldest reports: at most `limit`, and no more bytes than a call carries over a thin link before its
    /// deadline, save that one report is returned however long it is.
    pub(crate) fn oldest(&self, limit: usize) -> Result<Vec<Report>, StoreError> {
        self.read(|txn| {
            let outbox = txn.open_table(OUTBOX)?;
            let (mut reports, mut bytes) = (Vec::new(), 0);
            for row in outbox.iter()?.take(limit) {
                let row = row?.1;
                let encoded = row.value().1;
                bytes += encoded.len();
                if bytes > BATCH_BYTES && !reports.is_empty() {
                    break;
                }
                // A row that does not decode was written by nobody; it is passed over.
                reports.extend(Report::decode(encoded).ok());
            }
            Ok(reports)
        })
    }

    /// Forgets all reports up to `seq`. Not fsynced: at worst they are sent again, and the core
    /// takes each one once.
    pub(crate) fn forget(&self, seq: u64) -> Result<(), StoreError> {
        self.using(|db| {
            let mut txn = db.begin_write()?;
            txn.set_durability(Durability::None)?;
            remove_up_to(&txn, seq)?;
            txn.commit()?;
            Ok(())
        })
    }

    /// Returns how much waits.
    pub(crate) fn waiting(&self) -> Result<Waiting, StoreError> {
        self.read(|txn| {
            let numbers = txn.open_table(NUMBERS)?;
            Ok(Waiting {
                rows: txn.open_table(OUTBOX)?.len()?,
                bytes: number(&numbers, "outbox_bytes")?,
                dropped: number(&numbers, "dropped")?,
            })
        })
    }
}

/// Adds reports inside a transaction, and drops what goes over the bounds.
pub(super) fn append(txn: &WriteTransaction, reports: Vec<Report>) -> Result<(), redb::Error> {
    for mut report in reports {
        let class = if matches!(report.body, Some(report::Body::State(_))) { STATE } else { EVENT };
        if class == STATE {
            drop_last_state(txn)?;
        }
        report.seq = raise(&mut txn.open_table(NUMBERS)?, "next_seq")?;
        let bytes = report.encode_to_vec();
        txn.open_table(OUTBOX)?.insert(report.seq, (class, bytes.as_slice()))?;
        let mut numbers = txn.open_table(NUMBERS)?;
        let total = number(&numbers, "outbox_bytes")?.saturating_add(bytes.len() as u64);
        numbers.insert("outbox_bytes", total)?;
        if class == STATE {
            numbers.insert("state_seq", report.seq)?;
        }
    }
    shrink(txn)
}

fn drop_last_state(txn: &WriteTransaction) -> Result<(), redb::Error> {
    let seq = number(&txn.open_table(NUMBERS)?, "state_seq")?;
    remove(txn, seq)
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
