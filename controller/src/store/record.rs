//! The bytes of rows, reports and events in the store.
//!
//! Protobuf, so that a later version may add fields. Tags are never reused.

use prost::Message;
use skerry_core::bundle::v1::SignatureCheck;
use skerry_core::id::{Digest, Generation, Kind, ObjectKey, Revision, Timestamp};
use skerry_core::ledger::Row;
use skerry_core::provenance::Provenance;
use skerry_gitops::age::FirstSeen;
use skerry_proto::v1::{SiteEvent, SiteState};

use super::StoreError;
use crate::report::{Event, Former, Observed, ReportRow};

/// A [`Row`].
#[derive(Clone, PartialEq, Message)]
struct RowRecord {
    #[prost(bytes = "vec", tag = "1")]
    list: Vec<u8>,
    #[prost(uint64, tag = "2")]
    generation: u64,
    #[prost(string, tag = "3")]
    revision: String,
    #[prost(uint64, tag = "4")]
    issued_at_ms: u64,
    #[prost(uint32, tag = "5")]
    removals: u32,
    #[prost(enumeration = "SignatureCheck", tag = "6")]
    signature: i32,
    #[prost(string, tag = "7")]
    signer: String,
}

/// A [`ReportRow`]. Tags 3, 4, 13 and 14 are not used any more.
#[derive(Clone, PartialEq, Message)]
struct ReportRecord {
    #[prost(bytes = "vec", tag = "1")]
    boot: Vec<u8>,
    #[prost(uint64, tag = "2")]
    acknowledged: u64,
    #[prost(message, optional, tag = "5")]
    state: Option<SiteState>,
    #[prost(uint64, tag = "6")]
    observed_at_ms: u64,
    #[prost(uint64, tag = "7")]
    received_at_ms: u64,
    #[prost(uint64, tag = "8")]
    first_event: u64,
    #[prost(uint64, tag = "9")]
    next_event: u64,
    #[prost(sint64, tag = "10")]
    clock_ahead_ms: i64,
    #[prost(message, repeated, tag = "11")]
    open: Vec<EventRecord>,
    #[prost(uint32, tag = "12")]
    open_older: u32,
    #[prost(message, repeated, tag = "15")]
    former: Vec<FormerRecord>,
}

/// A [`Former`].
#[derive(Clone, PartialEq, Message)]
struct FormerRecord {
    #[prost(bytes = "vec", tag = "1")]
    store: Vec<u8>,
    #[prost(uint64, tag = "2")]
    acknowledged: u64,
}

/// An [`Event`].
#[derive(Clone, PartialEq, Message)]
struct EventRecord {
    #[prost(uint64, tag = "1")]
    seq: u64,
    #[prost(uint64, tag = "2")]
    observed_at_ms: u64,
    #[prost(uint64, tag = "3")]
    received_at_ms: u64,
    #[prost(message, optional, tag = "4")]
    event: Option<SiteEvent>,
}

/// An object and its [`FirstSeen`].
#[derive(Clone, PartialEq, Message)]
struct AgeRecord {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    namespace: String,
    #[prost(string, tag = "3")]
    name: String,
    /// 40 hexadecimal digits.
    #[prost(string, tag = "4")]
    commit: String,
    #[prost(int64, tag = "5")]
    seconds: i64,
}

pub(super) fn encode_age(key: &ObjectKey, first: FirstSeen) -> Vec<u8> {
    let record = AgeRecord {
        kind: key.kind.to_string(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        commit: first.commit.to_string(),
        seconds: first.seconds,
    };
    record.encode_to_vec()
}

pub(super) fn decode_age(bytes: &[u8]) -> Result<(ObjectKey, FirstSeen), StoreError> {
    let record = decode::<AgeRecord>("an object's age", bytes)?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == record.kind);
    let kind =
        kind.ok_or_else(|| StoreError::damaged("an object's age", &format!("no kind `{}`", record.kind)))?;
    let commit = record.commit.parse().map_err(|error| StoreError::damaged("a commit", &error))?;
    Ok((ObjectKey::new(kind, record.namespace, record.name), FirstSeen { commit, seconds: record.seconds }))
}

pub(super) fn encode_row(row: &Row) -> Vec<u8> {
    let record = RowRecord {
        list: row.list.as_bytes().to_vec(),
        generation: row.generation.0,
        revision: row.revision.to_string(),
        issued_at_ms: row.issued_at.0,
        removals: row.removals,
        signature: row.provenance.check().into(),
        signer: row.provenance.signer().to_owned(),
    };
    record.encode_to_vec()
}

pub(super) fn decode_row(bytes: &[u8]) -> Result<Row, StoreError> {
    let record = decode::<RowRecord>("a site's row", bytes)?;
    Ok(Row {
        provenance: Provenance::from_wire(record.signature(), record.signer),
        list: digest(&record.list)?,
        generation: Generation(record.generation),
        revision: Revision::from_text(record.revision),
        issued_at: Timestamp(record.issued_at_ms),
        removals: record.removals,
    })
}

pub(super) fn encode_report(row: &ReportRow) -> Vec<u8> {
    let observed = row.observed.as_ref();
    let record = ReportRecord {
        boot: row.boot.clone(),
        acknowledged: row.acknowledged,
        state: observed.map(|observed| observed.state.clone()),
        observed_at_ms: observed.map_or(0, |observed| observed.observed_at.0),
        received_at_ms: observed.map_or(0, |observed| observed.received_at.0),
        first_event: row.first_event,
        next_event: row.next_event,
        clock_ahead_ms: row.clock_ahead_ms,
        open: row.open.iter().map(to_event_record).collect(),
        open_older: row.open_older,
        former: row.former.iter().map(to_former_record).collect(),
    };
    record.encode_to_vec()
}

pub(super) fn decode_report(bytes: &[u8]) -> Result<ReportRow, StoreError> {
    let record = decode::<ReportRecord>("a site's report", bytes)?;
    let (observed_at, received_at) = (Timestamp(record.observed_at_ms), Timestamp(record.received_at_ms));
    Ok(ReportRow {
        boot: record.boot,
        acknowledged: record.acknowledged,
        observed: record.state.map(|state| Observed { state, observed_at, received_at }),
        first_event: record.first_event,
        next_event: record.next_event,
        clock_ahead_ms: record.clock_ahead_ms,
        open: record.open.into_iter().map(of_event_record).collect(),
        open_older: record.open_older,
        former: record.former.into_iter().map(of_former_record).collect(),
    })
}

pub(super) fn encode_event(event: &Event) -> Vec<u8> {
    to_event_record(event).encode_to_vec()
}

pub(super) fn decode_event(bytes: &[u8]) -> Result<Event, StoreError> {
    decode::<EventRecord>("an event", bytes).map(of_event_record)
}

fn to_former_record(former: &Former) -> FormerRecord {
    FormerRecord { store: former.store.clone(), acknowledged: former.acknowledged }
}

fn of_former_record(record: FormerRecord) -> Former {
    Former { store: record.store, acknowledged: record.acknowledged }
}

fn to_event_record(event: &Event) -> EventRecord {
    EventRecord {
        seq: event.seq,
        observed_at_ms: event.observed_at.0,
        received_at_ms: event.received_at.0,
        event: Some(event.event.clone()),
    }
}

fn of_event_record(record: EventRecord) -> Event {
    Event {
        seq: record.seq,
        observed_at: Timestamp(record.observed_at_ms),
        received_at: Timestamp(record.received_at_ms),
        event: record.event.unwrap_or_default(),
    }
}

fn decode<M: Message + Default>(what: &str, bytes: &[u8]) -> Result<M, StoreError> {
    M::decode(bytes).map_err(|error| StoreError::damaged(what, &error))
}

fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    Digest::from_slice(bytes).map_err(|error| StoreError::damaged("a digest", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A [`Row`] as it was kept before revisions had signatures.
    #[derive(Clone, PartialEq, Message)]
    struct OldRow {
        #[prost(bytes = "vec", tag = "1")]
        list: Vec<u8>,
        #[prost(uint64, tag = "2")]
        generation: u64,
        #[prost(string, tag = "3")]
        revision: String,
        #[prost(uint64, tag = "4")]
        issued_at_ms: u64,
        #[prost(uint32, tag = "5")]
        removals: u32,
    }

    #[test]
    fn a_row_without_a_signature_is_one_that_nobody_looked_at() {
        let list = Digest::of(b"list");
        let old = OldRow {
            list: list.as_bytes().to_vec(),
            generation: 7,
            revision: "main@sha1:a".to_owned(),
            issued_at_ms: 5,
            removals: 2,
        };

        let row = decode_row(&old.encode_to_vec()).unwrap();

        let expected = Row {
            list,
            generation: Generation(7),
            revision: Revision::from_text("main@sha1:a"),
            issued_at: Timestamp(5),
            removals: 2,
            provenance: Provenance::Unchecked,
        };
        assert_eq!(row, expected);
        assert_eq!(encode_row(&row), old.encode_to_vec(), "and is kept as it was");
    }

    /// Invariant 9: however often a site's store changes, and whatever it says, its row stays within bounds.
    #[test]
    fn invariant_9_a_row_of_reports_stays_within_bounds() {
        let mut row = ReportRow::default();
        for run in 0..1_000_u64 {
            let boot = [run.to_be_bytes().as_slice(), &[1; 4]].concat();
            let report = |seq| skerry_proto::v1::Report { seq, ..Default::default() };
            let reports = vec![report(u64::MAX - 1), report(u64::MAX)];
            row = crate::report::fold(row, &boot, reports, Default::default()).row;
        }

        assert_eq!(row.former.len(), crate::report::MAX_FORMER);
        let bytes = encode_report(&row);
        assert!(bytes.len() < 150, "{} bytes", bytes.len());
        assert_eq!(decode_report(&bytes).unwrap(), row);
    }

    #[test]
    fn a_signature_comes_back() {
        let verified = Provenance::Verified { signer: "ada@example.org".to_owned() };
        for provenance in [verified, Provenance::Unsigned, Provenance::Untrusted] {
            let row = Row {
                list: Digest::of(b"list"),
                generation: Generation(7),
                revision: Revision::from_text("main@sha1:a"),
                issued_at: Timestamp(5),
                removals: 0,
                provenance,
            };
            assert_eq!(decode_row(&encode_row(&row)).unwrap(), row);
        }
    }
}
