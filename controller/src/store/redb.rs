//! The state store in one redb file in the data folder.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase as _, ReadableTable, TableDefinition,
    TableError, WriteTransaction,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use skerry_core::id::{Epoch, Generation, SiteId, Timestamp};
use skerry_core::ledger::Row;
use skerry_gitops::age::Ages;
use skerry_gitops::snapshot::kept::KeptFiles;
use tracing::error;

use super::record::{
    decode_age, decode_event, decode_report, decode_row, encode_age, encode_event, encode_report, encode_row,
};
use super::{Accepted, LearnedAges, Pending, Plan, ReportBatch, Restored, StateStore, StoreError};
use crate::report::{Event, Folded, ReportRow, begin_anew, fold, unreadable};
use crate::step::step;

mod identity;
mod policy;

pub use identity::SeldomOpen;

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
/// Ages of objects, by kind and name.
const AGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("ages");
/// Files that holds are of, by blob.
const KEPT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("kept");
/// Events, by site and place.
const EVENTS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("events");
/// When a site was last heard from, in milliseconds since 1970, by site.
const SEEN: TableDefinition<'_, &str, u64> = TableDefinition::new("seen");

/// How long nothing is written after a write that failed: what cannot be written now is refused at once, and
/// what can be read is read. redb is of no use after an error of the disk until it is opened anew.
const PAUSE: Duration = Duration::from_secs(2);

/// The state store in one file.
#[derive(Debug)]
pub struct RedbStore {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` after an error, until the next use.
    database: Option<Arc<Database>>,
    /// When a write failed last, and why.
    failed: Option<(Instant, String)>,
}

impl RedbStore {
    /// Opens the file, or makes one that begins with `first_epoch`. The whole file is checked first.
    ///
    /// # Errors
    /// Another process has it, it is damaged, or of a newer version.
    pub fn open(path: &Path, first_epoch: Epoch) -> Result<Self, StoreError> {
        let database = open(path, Check::Whole)?;
        prepare(&database, path, first_epoch)?;
        let inner = Inner { database: Some(Arc::new(database)), failed: None };
        Ok(Self { path: path.to_owned(), inner: Mutex::new(inner) })
    }

    /// Reads; after an error the file is opened anew the next time.
    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let database = self.database()?;
        let outcome = database.begin_read().map_err(StoreError::failed).and_then(|read| work(&read));
        self.handle_outcome(&database, outcome.as_ref().err());
        outcome
    }

    /// Writes: all or nothing.
    fn write<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if let Some((at, reason)) = &self.inner.lock().failed
            && at.elapsed() < PAUSE
        {
            return Err(StoreError::Failed(reason.clone()));
        }
        let database = self.database()?;
        let outcome = write_whole(&database, work);
        self.handle_outcome(&database, outcome.as_ref().err());
        self.inner.lock().failed = match &outcome {
            Err(StoreError::Failed(reason)) => Some((Instant::now(), reason.clone())),
            _ => None,
        };
        outcome
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let mut inner = self.inner.lock();
        if let Some(database) = &inner.database {
            return Ok(Arc::clone(database));
        }
        // Who still reads has it open for a moment: that is no other core.
        let opened =
            open(&self.path, Check::AsNeeded).map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Arc::clone(inner.database.insert(Arc::new(opened))))
    }

    fn handle_outcome(&self, used: &Arc<Database>, error: Option<&StoreError>) {
        let mut inner = self.inner.lock();
        let is_current = inner.database.as_ref().is_some_and(|database| Arc::ptr_eq(database, used));
        if is_current && matches!(error, Some(StoreError::Failed(_))) {
            inner.database = None;
        }
    }
}

/// How much is checked when the file is opened.
#[derive(Clone, Copy)]
enum Check {
    Whole,
    /// What redb needs to go on after it was not closed well.
    AsNeeded,
}

fn open(path: &Path, check: Check) -> Result<Database, StoreError> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(matches!(check, Check::Whole));
    builder.create(path).map_err(|error| to_open_error(path, &error))
}

fn prepare(database: &Database, path: &Path, first_epoch: Epoch) -> Result<(), StoreError> {
    write_whole(database, |write| {
        match get_meta::<u32>(write, "schema")? {
            Some(found) if found > SCHEMA => {
                return Err(StoreError::NewerSchema { path: path.to_owned(), found, known: SCHEMA });
            }
            Some(_) => {}
            None => {
                set_meta(write, "schema", &SCHEMA)?;
                set_meta(write, "epoch", &first_epoch)?;
            }
        }
        identity::prepare(write)?;
        for table in [ROWS, REPORTS, AGES, KEPT, policy::POLICY] {
            write.open_table(table).map_err(StoreError::failed)?;
        }
        write.open_table(EVENTS).map_err(StoreError::failed)?;
        write.open_table(SEEN).map_err(StoreError::failed)?;
        Ok(())
    })
}

fn write_whole<T>(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let write = database.begin_write().map_err(StoreError::failed)?;
    let done = work(&write)?;
    write.commit().map_err(StoreError::failed)?;
    Ok(done)
}

impl StateStore for RedbStore {
    fn restore(&self) -> Result<Restored, StoreError> {
        self.write(|write| {
            let kept = read_kept(write)?;
            let accepted: Option<Accepted> = get_meta(write, "accepted")?;
            Ok(Restored {
                epoch: get_meta(write, "epoch")?.unwrap_or_default(),
                generation: get_meta(write, "generation")?.unwrap_or_default(),
                rows: read_rows(write)?,
                indexes: get_meta(write, "indexes")?.unwrap_or_default(),
                accepted: accepted.map(|accepted| Accepted { kept, ..accepted }),
                ages: read_ages(write)?,
                pending: get_meta(write, "pending")?.unwrap_or_default(),
            })
        })
    }

    fn keep_epoch(&self, epoch: Epoch) -> Result<(), StoreError> {
        self.write(|write| set_meta(write, "epoch", &epoch))
    }

    fn keep_plan(&self, plan: &Plan<'_>) -> Result<(), StoreError> {
        self.write(|write| {
            set_meta::<Generation>(write, "generation", &plan.generation)?;
            set_meta(write, "accepted", plan.accepted)?;
            keep_files(write, &plan.accepted.kept)?;
            if let Some(indexes) = plan.indexes {
                set_meta(write, "indexes", indexes)?;
            }
            if let Some(ages) = plan.ages {
                keep_ages(write, ages)?;
            }
            let mut rows = write.open_table(ROWS).map_err(StoreError::failed)?;
            for (site, row) in plan.rows {
                rows.insert(site.as_str(), &*encode_row(row)).map_err(StoreError::failed)?;
            }
            step("core.commit.storing");
            Ok(())
        })
    }

    fn keep_pending(&self, pending: &Pending) -> Result<(), StoreError> {
        self.write(|write| set_meta(write, "pending", pending))
    }

    fn keep_reports(&self, batches: Vec<ReportBatch>) -> Result<Vec<u64>, StoreError> {
        let acknowledged = self.write(|write| {
            let acknowledged = batches.into_iter().map(|batch| keep_batch(write, batch)).collect();
            step("core.report.folded");
            acknowledged
        })?;
        step("core.report.stored");
        Ok(acknowledged)
    }

    fn keep_seen(&self, seen: &[(SiteId, Timestamp)]) -> Result<(), StoreError> {
        self.write(|write| {
            let mut table = write.open_table(SEEN).map_err(StoreError::failed)?;
            for (site, at) in seen {
                table.insert(site.as_str(), at.0).map_err(StoreError::failed)?;
            }
            Ok(())
        })
    }

    fn report(&self, site: &SiteId) -> Result<Option<ReportRow>, StoreError> {
        self.read(|read| {
            let table = read.open_table(REPORTS).map_err(StoreError::failed)?;
            let row = table.get(site.as_str()).map_err(StoreError::failed)?;
            row.map(|row| decode_report(row.value())).transpose()
        })
    }

    fn seen(&self, site: &SiteId) -> Result<Option<Timestamp>, StoreError> {
        self.read(|read| {
            let table = read.open_table(SEEN).map_err(StoreError::failed)?;
            let at = table.get(site.as_str()).map_err(StoreError::failed)?;
            Ok(at.map(|at| Timestamp(at.value())))
        })
    }

    fn events(&self, site: &SiteId) -> Result<Vec<Event>, StoreError> {
        self.read(|read| {
            let table = read.open_table(EVENTS).map_err(StoreError::failed)?;
            let range = table.range(places_of(site.as_str())).map_err(StoreError::failed)?;
            let events = range.rev().map(|entry| {
                let (_, bytes) = entry.map_err(StoreError::failed)?;
                // One that cannot be read hides no other. Nobody knows when it was.
                let event = decode_event(bytes.value());
                Ok(event.unwrap_or_else(|error| unreadable(&error.to_string(), Timestamp::default())))
            });
            events.collect()
        })
    }
}

/// Where the events of a site are.
fn places_of(site: &str) -> RangeInclusive<(&str, u64)> {
    (site, 0)..=(site, u64::MAX)
}

fn read_rows(write: &WriteTransaction) -> Result<Vec<(SiteId, Row)>, StoreError> {
    let table = write.open_table(ROWS).map_err(StoreError::failed)?;
    let rows = table.iter().map_err(StoreError::failed)?.map(|entry| {
        let (site, row) = entry.map_err(StoreError::failed)?;
        let site = SiteId::new(site.value()).map_err(|error| StoreError::damaged("a site's name", &error))?;
        Ok((site, decode_row(row.value())?))
    });
    rows.collect()
}

/// Writes the objects that are new: a commit costs what it brought, however many objects there are.
fn keep_ages(write: &WriteTransaction, learned: &LearnedAges) -> Result<(), StoreError> {
    set_meta(write, "ages", &(&learned.path, learned.at))?;
    let mut table = write.open_table(AGES).map_err(StoreError::failed)?;
    for (key, first) in &learned.objects {
        table.insert(&*key.to_string(), &*encode_age(key, *first)).map_err(StoreError::failed)?;
    }
    Ok(())
}

fn read_ages(write: &WriteTransaction) -> Result<Option<Ages>, StoreError> {
    let Some((path, at)) = get_meta::<(String, _)>(write, "ages")? else { return Ok(None) };
    let table = write.open_table(AGES).map_err(StoreError::failed)?;
    let objects = table.iter().map_err(StoreError::failed)?;
    let objects = objects.map(|entry| decode_age(entry.map_err(StoreError::failed)?.1.value()));
    Ok(Some(Ages::restore(&path, at, objects.collect::<Result<Vec<_>, _>>()?)))
}

/// Writes the files that are new, and forgets those that nothing needs any more.
fn keep_files(write: &WriteTransaction, kept: &KeptFiles) -> Result<(), StoreError> {
    let mut table = write.open_table(KEPT).map_err(StoreError::failed)?;
    let is_needed = |blob: &str| blob.parse().is_ok_and(|blob| kept.contains(blob));
    table.retain(|blob, _| is_needed(blob)).map_err(StoreError::failed)?;
    for (blob, bytes) in kept.iter() {
        let blob = blob.to_string();
        if table.get(&*blob).map_err(StoreError::failed)?.is_none() {
            table.insert(&*blob, bytes).map_err(StoreError::failed)?;
        }
    }
    Ok(())
}

fn read_kept(write: &WriteTransaction) -> Result<KeptFiles, StoreError> {
    let table = write.open_table(KEPT).map_err(StoreError::failed)?;
    let files = table.iter().map_err(StoreError::failed)?.map(|entry| {
        let (blob, bytes) = entry.map_err(StoreError::failed)?;
        let blob = blob.value().parse().map_err(|error| StoreError::damaged("a blob", &error))?;
        Ok((blob, bytes.value().to_vec()))
    });
    Ok(KeptFiles::restore(files.collect::<Result<Vec<_>, StoreError>>()?))
}

fn keep_batch(write: &WriteTransaction, batch: ReportBatch) -> Result<u64, StoreError> {
    let site = batch.site.as_str();
    let mut reports = write.open_table(REPORTS).map_err(StoreError::failed)?;
    let mut events = write.open_table(EVENTS).map_err(StoreError::failed)?;
    let stored = reports.get(site).map_err(StoreError::failed)?.map(|row| decode_report(row.value()));
    let Folded { row, events: lost } = match stored.transpose() {
        Ok(row) => Folded { row: row.unwrap_or_default(), events: Vec::new() },
        Err(error) => {
            error!(site, %error, "what a site reported is lost: it begins anew");
            begin_anew(kept_places(&events, site)?, &error.to_string(), batch.arrival.received_at)
        }
    };
    let first_before = row.first_event;
    let folded = fold(row, &batch.boot, batch.reports, batch.arrival);
    reports.insert(site, &*encode_report(&folded.row)).map_err(StoreError::failed)?;
    for (place, event) in lost.iter().chain(&folded.events) {
        events.insert((site, *place), &*encode_event(event)).map_err(StoreError::failed)?;
    }
    for place in first_before..folded.row.first_event {
        events.remove((site, place)).map_err(StoreError::failed)?;
    }
    let mut seen = write.open_table(SEEN).map_err(StoreError::failed)?;
    seen.insert(site, batch.arrival.received_at.0).map_err(StoreError::failed)?;
    Ok(folded.row.acknowledged)
}

/// The places of the events that are kept of a site.
fn kept_places(
    events: &impl ReadableTable<(&'static str, u64), &'static [u8]>,
    site: &str,
) -> Result<Range<u64>, StoreError> {
    let mut kept = events.range(places_of(site)).map_err(StoreError::failed)?;
    let first = kept.next().transpose().map_err(StoreError::failed)?;
    let last = kept.next_back().transpose().map_err(StoreError::failed)?;
    let Some((first, _)) = first else { return Ok(0..0) };
    let first = first.value().1;
    let last = last.map_or(first, |(last, _)| last.value().1);
    Ok(first..last + 1)
}

fn get_meta<T: DeserializeOwned>(write: &WriteTransaction, name: &str) -> Result<Option<T>, StoreError> {
    let table = write.open_table(META).map_err(StoreError::failed)?;
    let bytes = table.get(name).map_err(StoreError::failed)?;
    bytes.map(|bytes| from_json(name, bytes.value())).transpose()
}

fn set_meta<T: Serialize>(write: &WriteTransaction, name: &str, value: &T) -> Result<(), StoreError> {
    let bytes = to_json(name, value)?;
    let mut table = write.open_table(META).map_err(|error: TableError| StoreError::failed(error))?;
    table.insert(name, &*bytes).map_err(StoreError::failed)?;
    Ok(())
}

fn from_json<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::damaged(what, &error))
}

fn to_json<T: Serialize + ?Sized>(what: &str, value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::damaged(what, &error))
}

fn to_open_error(path: &Path, error: &DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StoreError::InUse(path.parent().map_or_else(PathBuf::new, Path::to_path_buf))
        }
        error => StoreError::Open { path: path.to_owned(), reason: error.to_string() },
    }
}
