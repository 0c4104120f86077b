//! The tables of the store. A new meaning takes a new table or key; nothing is ever renamed.

use redb::{TableDefinition, WriteTransaction};

/// `current`, `previous`, `candidate`, `fetching` → manifest, fragment list (empty while that is being fetched), how
/// often it was tried.
pub(super) const SLOTS: TableDefinition<'_, &str, (&[u8], &[u8], u32)> = TableDefinition::new("slots");

/// Fragment id → its bytes.
pub(super) const FRAGMENTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("fragments");

/// Id of a fragment or list → the beginning of its encoded form, which is being fetched. At most one.
pub(super) const PARTS: TableDefinition<'_, &[u8; 32], &[u8]> = TableDefinition::new("parts");

/// `epoch`, `generation`, `trusted_ms`, `policy`: the floors; `boots`; `next_seq`, `outbox_bytes`,
/// `reserved_seq`, `dropped`, `state_seq`: the outbox; `ends/<namespace>/<name>`: reported ends of a proxy.
pub(super) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");

/// `site`; `floor_digest`: hex; `refused_digest`: hex, `refused_reason`.
pub(super) const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");

/// Sequence number → class (0: state, 1: event), encoded `sync.v1.Report`.
pub(super) const OUTBOX: TableDefinition<'_, u64, (u8, &[u8])> = TableDefinition::new("outbox");

/// File name → the last content of it that could be used.
pub(super) const WORKLOAD_FILES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("workload_files");

/// Makes the tables, so that a reader finds each of them.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), redb::Error> {
    txn.open_table(SLOTS)?;
    txn.open_table(FRAGMENTS)?;
    txn.open_table(PARTS)?;
    txn.open_table(NUMBERS)?;
    txn.open_table(TEXTS)?;
    txn.open_table(OUTBOX)?;
    txn.open_table(WORKLOAD_FILES)?;
    Ok(())
}
