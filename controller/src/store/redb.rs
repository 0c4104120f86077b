//! The state store in one redb file in the data folder.

use std::path::{Path, PathBuf};

use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable as _,
    TableDefinition, TableError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skerry_core::id::{Epoch, Generation, SiteId, Timestamp};

use super::record::{decode_event, decode_report, decode_row, encode_event, encode_report, encode_row};
use super::{Pending, Plan, ReportBatch, Restored, StateStore, StoreError};
use crate::report::{Event, ReportRow, fold};
use crate::step::step;

/// The schema that this version reads and writes.
const SCHEMA: u32 = 1;

/// redb's cache, 16 MiB instead of its 1 GiB: the upper pages of 100,000 rows and reports.
const CACHE_BYTES: usize = 16 << 20;

/// Single values, as JSON, by name.
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// What a site was told last, by site.
const ROWS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rows");
/// What a site reported, by site.
const REPORTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("reports");
/// Events, by site and place.
const EVENTS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("events");
/// When a site was last heard from, in milliseconds since 1970, by site.
const SEEN: TableDefinition<'_, &str, u64> = TableDefinition::new("seen");

/// The state store in one file.
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
}

impl RedbStore {
    /// Opens the file, or makes one that begins with `first_epoch`. The whole file is checked first.
    ///
    /// # Errors
    /// Another process has it, it is damaged, or of a newer version.
    pub fn open(path: &Path, first_epoch: Epoch) -> Result<Self, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.create(path).map_err(|error| to_open_error(path, &error))?;
        let store = Self { database };
        store.prepare(path, first_epoch)?;
        Ok(store)
    }

    fn prepare(&self, path: &Path, first_epoch: Epoch) -> Result<(), StoreError> {
        let write = self.begin_write()?;
        match get_meta::<u32>(&write, "schema")? {
            Some(found) if found > SCHEMA => {
                return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: SCHEMA });
            }
            Some(_) => {}
            None => {
                set_meta(&write, "schema", &SCHEMA)?;
                set_meta(&write, "epoch", &first_epoch)?;
            }
        }
        for table in [ROWS, REPORTS] {
            write.open_table(table).map_err(StoreError::failed)?;
        }
        write.open_table(EVENTS).map_err(StoreError::failed)?;
        write.open_table(SEEN).map_err(StoreError::failed)?;
        write.commit().map_err(StoreError::failed)
    }

    fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.database.begin_write().map_err(StoreError::failed)
    }

    fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.database.begin_read().map_err(StoreError::failed)
    }
}

impl StateStore for RedbStore {
    fn restore(&self) -> Result<Restored, StoreError> {
        let write = self.begin_write()?;
        let mut rows = Vec::new();
        let table = write.open_table(ROWS).map_err(StoreError::failed)?;
        for entry in table.iter().map_err(StoreError::failed)? {
            let (site, row) = entry.map_err(StoreError::failed)?;
            let site =
                SiteId::new(site.value()).map_err(|error| StoreError::damaged("a site's name", &error))?;
            rows.push((site, decode_row(row.value())?));
        }
        drop(table);
        Ok(Restored {
            epoch: get_meta(&write, "epoch")?.unwrap_or_default(),
            generation: get_meta(&write, "generation")?.unwrap_or_default(),
            rows,
            indexes: get_meta(&write, "indexes")?.unwrap_or_default(),
            accepted: get_meta(&write, "accepted")?,
            ages: get_meta(&write, "ages")?,
            pending: get_meta(&write, "pending")?.unwrap_or_default(),
        })
    }

    fn keep_plan(&self, plan: &Plan<'_>) -> Result<(), StoreError> {
        let write = self.begin_write()?;
        set_meta::<Generation>(&write, "generation", &plan.generation)?;
        set_meta(&write, "accepted", plan.accepted)?;
        if let Some(indexes) = plan.indexes {
            set_meta(&write, "indexes", indexes)?;
        }
        if let Some(ages) = plan.ages {
            set_meta(&write, "ages", ages)?;
        }
        let mut rows = write.open_table(ROWS).map_err(StoreError::failed)?;
        for (site, row) in plan.rows {
            rows.insert(site.as_str(), &*encode_row(row)).map_err(StoreError::failed)?;
        }
        drop(rows);
        step("core.commit.storing");
        write.commit().map_err(StoreError::failed)
    }

    fn keep_pending(&self, pending: &Pending) -> Result<(), StoreError> {
        let write = self.begin_write()?;
        set_meta(&write, "pending", pending)?;
        write.commit().map_err(StoreError::failed)
    }

    fn keep_reports(&self, batches: Vec<ReportBatch>) -> Result<Vec<u64>, StoreError> {
        let write = self.begin_write()?;
        let acknowledged =
            batches.into_iter().map(|batch| keep_batch(&write, batch)).collect::<Result<_, _>>()?;
        step("core.report.folded");
        write.commit().map_err(StoreError::failed)?;
        step("core.report.stored");
        Ok(acknowledged)
    }

    fn keep_seen(&self, seen: &[(SiteId, Timestamp)]) -> Result<(), StoreError> {
        let write = self.begin_write()?;
        let mut table = write.open_table(SEEN).map_err(StoreError::failed)?;
        for (site, at) in seen {
            table.insert(site.as_str(), at.0).map_err(StoreError::failed)?;
        }
        drop(table);
        write.commit().map_err(StoreError::failed)
    }

    fn report(&self, site: &SiteId) -> Result<Option<ReportRow>, StoreError> {
        let table = self.begin_read()?.open_table(REPORTS).map_err(StoreError::failed)?;
        let row = table.get(site.as_str()).map_err(StoreError::failed)?;
        row.map(|row| decode_report(row.value())).transpose()
    }

    fn seen(&self, site: &SiteId) -> Result<Option<Timestamp>, StoreError> {
        let table = self.begin_read()?.open_table(SEEN).map_err(StoreError::failed)?;
        let at = table.get(site.as_str()).map_err(StoreError::failed)?;
        Ok(at.map(|at| Timestamp(at.value())))
    }

    fn events(&self, site: &SiteId) -> Result<Vec<Event>, StoreError> {
        let table = self.begin_read()?.open_table(EVENTS).map_err(StoreError::failed)?;
        let range =
            table.range((site.as_str(), 0)..=(site.as_str(), u64::MAX)).map_err(StoreError::failed)?;
        range.rev().map(|entry| decode_event(entry.map_err(StoreError::failed)?.1.value())).collect()
    }
}

fn keep_batch(write: &WriteTransaction, batch: ReportBatch) -> Result<u64, StoreError> {
    let site = batch.site.as_str();
    let mut reports = write.open_table(REPORTS).map_err(StoreError::failed)?;
    let row =
        reports.get(site).map_err(StoreError::failed)?.map(|row| decode_report(row.value())).transpose()?;
    let row = row.unwrap_or_default();
    let first_before = row.first_event;
    let folded = fold(row, &batch.boot, batch.reports, batch.arrival);
    reports.insert(site, &*encode_report(&folded.row)).map_err(StoreError::failed)?;
    let mut events = write.open_table(EVENTS).map_err(StoreError::failed)?;
    for place in first_before..folded.row.first_event {
        events.remove((site, place)).map_err(StoreError::failed)?;
    }
    for (place, event) in &folded.events {
        events.insert((site, *place), &*encode_event(event)).map_err(StoreError::failed)?;
    }
    let mut seen = write.open_table(SEEN).map_err(StoreError::failed)?;
    seen.insert(site, batch.arrival.received_at.0).map_err(StoreError::failed)?;
    Ok(folded.row.acknowledged)
}

fn get_meta<T: DeserializeOwned>(write: &WriteTransaction, name: &str) -> Result<Option<T>, StoreError> {
    let table = write.open_table(META).map_err(StoreError::failed)?;
    let bytes = table.get(name).map_err(StoreError::failed)?;
    bytes
        .map(|bytes| serde_json::from_slice(bytes.value()).map_err(|error| StoreError::damaged(name, &error)))
        .transpose()
}

fn set_meta<T: Serialize>(write: &WriteTransaction, name: &str, value: &T) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(value).map_err(|error| StoreError::damaged(name, &error))?;
    let mut table = write.open_table(META).map_err(|error: TableError| StoreError::failed(error))?;
    table.insert(name, &*bytes).map_err(StoreError::failed)?;
    Ok(())
}

fn to_open_error(path: &Path, error: &DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::InUse(path.parent().map_or_else(PathBuf::new, Path::to_path_buf))
        }
        error => StoreError::Open { path: path.to_owned(), reason: error.to_string() },
    }
}
