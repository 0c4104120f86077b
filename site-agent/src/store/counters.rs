//! Floors and counters: numbers that only grow.

use redb::{ReadableTable, Table, WriteTransaction};
use skerry_core::accept::Floor;

use super::tables::{NUMBERS, TEXTS};
use super::{Store, StoreError};
use crate::clock::{StoreId, random};

/// What the site never falls below (design, section 6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Floors {
    /// The last committed manifest; `None` before the first one.
    pub(crate) floor: Option<Floor>,
    /// Trusted time: milliseconds since the epoch.
    pub(crate) trusted_ms: u64,
}

impl Store {
    /// Returns the floors.
    pub(crate) fn floors(&self) -> Result<Floors, StoreError> {
        self.read(|txn| {
            let numbers = txn.open_table(NUMBERS)?;
            let digest = txn.open_table(TEXTS)?.get("floor_digest")?.and_then(|row| row.value().parse().ok());
            let (epoch, generation) = (number(&numbers, "epoch")?, number(&numbers, "generation")?);
            let floor = digest.map(|manifest| Floor { epoch, generation, manifest });
            Ok(Floors { floor, trusted_ms: number(&numbers, "trusted_ms")? })
        })
    }

    /// Keeps trusted time, if it is later than what is kept.
    pub(crate) fn keep_trusted(&self, trusted_ms: u64) -> Result<(), StoreError> {
        self.write(|txn| raise_floors(txn, &Floors { floor: None, trusted_ms }))
    }

    /// Returns the highest number of a policy statement that was accepted; 0: none.
    pub(crate) fn policy_floor(&self) -> Result<u64, StoreError> {
        self.read(|txn| number(&txn.open_table(NUMBERS)?, "policy"))
    }

    /// Keeps the number of a policy statement, if it is higher than what is kept.
    pub(crate) fn raise_policy_floor(&self, accepted: u64) -> Result<(), StoreError> {
        if accepted <= self.policy_floor()? {
            return Ok(());
        }
        self.write(|txn| txn.open_table(NUMBERS)?.insert("policy", accepted).map(drop).map_err(Into::into))
    }

    /// Returns what tells this store from any that was or will be in its place.
    pub(crate) fn id(&self) -> Result<StoreId, StoreError> {
        if let Some(volatile) = &self.volatile {
            return Ok(volatile.id);
        }
        self.write(|txn| {
            let mut numbers = txn.open_table(NUMBERS)?;
            let mut id = number(&numbers, "id")?;
            if id == 0 {
                id = u64::from(u32::from_ne_bytes(random())).max(1);
                numbers.insert("id", id)?;
            }
            Ok(u32::try_from(id).unwrap_or(u32::MAX).to_be_bytes())
        })
    }

    /// Returns how often an agent was started on this store.
    pub(crate) fn boots(&self) -> Result<u64, StoreError> {
        self.read(|txn| number(&txn.open_table(NUMBERS)?, "boots"))
    }
}

/// Raises the floors; a lower value never replaces a higher one.
pub(super) fn raise_floors(txn: &WriteTransaction, floors: &Floors) -> Result<(), redb::Error> {
    let mut numbers = txn.open_table(NUMBERS)?;
    let stored = (number(&numbers, "epoch")?, number(&numbers, "generation")?);
    if let Some(floor) = floors.floor.filter(|floor| (floor.epoch, floor.generation) >= stored) {
        numbers.insert("epoch", floor.epoch)?;
        numbers.insert("generation", floor.generation)?;
        txn.open_table(TEXTS)?.insert("floor_digest", floor.manifest.to_string().as_str())?;
    }
    if floors.trusted_ms > number(&numbers, "trusted_ms")? {
        numbers.insert("trusted_ms", floors.trusted_ms)?;
    }
    Ok(())
}

/// Reads a number; 0 when it was never written.
pub(super) fn number(table: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, redb::Error> {
    Ok(table.get(name)?.map_or(0, |row| row.value()))
}

/// Adds one and returns the new value.
pub(super) fn raise(table: &mut Table<'_, &'static str, u64>, name: &str) -> Result<u64, redb::Error> {
    let next = number(table, name)?.saturating_add(1);
    table.insert(name, next)?;
    Ok(next)
}
