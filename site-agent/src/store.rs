//! The store: what the agent must not forget, in one redb file. Every step is one fsynced
//! transaction, so a crash at any point leaves either the state before it or the state after it.
//!
//! Must not interpret what it keeps: slots are bytes that `site` verifies whenever they are read.

use std::cell::RefCell;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadTransaction, ReadableTable as _, StorageError, WriteTransaction};
use skerry_core::id::{Digest, SiteId};

use crate::clock::{StoreId, random};

mod counters;
mod medium;
mod outbox;
mod slots;
mod tables;
mod tail;
mod workload_files;

pub(crate) use counters::Floors;
use medium::{Medium, in_memory, move_aside, takes_writes};
pub(crate) use slots::{Refused, Saved, Slot};
use tables::{NUMBERS, TEXTS};
use tail::Tail;

/// A store that cannot be used, or a step that was not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another agent has the file open.
    #[error("{0}: another agent runs on this data folder; stop it, or give this one its own --data-dir")]
    InUse(PathBuf),
    /// The folder belongs to another site.
    #[error("{path}: this data folder belongs to site `{owner}`, not `{asked}`; use another --data-dir")]
    OtherSite {
        /// The store.
        path: PathBuf,
        /// The site that it was made for.
        owner: String,
        /// The site that was asked for.
        asked: SiteId,
    },
    /// The content is not what was written.
    #[error("{0}: the store is damaged: {1}")]
    Damaged(PathBuf, String),
    /// The disk refused: full, read-only, gone.
    #[error("{0}: the store cannot be used: {1}")]
    Disk(PathBuf, String),
}

/// How often a store that is in use is looked at: an agent that was killed holds it until the kernel has taken it down.
pub(crate) const LOOKS: u32 = 30;

/// Lets time pass between two looks; 3 s in all.
pub(crate) fn wait() {
    std::thread::sleep(Duration::from_millis(100));
}

/// The store of one site. Cheap reads, one writer at a time; safe to share.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    medium: Box<dyn Medium>,
    handle: RwLock<Handle>,
    /// The disk could not be written when the agent started.
    volatile: Option<Volatile>,
    /// Numbers of reports, and reports that are not on disk.
    tail: Mutex<Tail>,
    /// Held by who writes reports: numbers are given in the order in which they are written.
    writing: Mutex<()>,
    /// Why the last write failed; `None` once one has not.
    trouble: Mutex<Option<String>>,
}

/// What a store works on.
#[derive(Debug)]
enum Handle {
    /// The disk.
    Disk(Database),
    /// A copy of what was on the disk, to be read until that can be written again.
    Copy(Database),
    /// Nothing: redb refuses all work after an error of the disk. It is opened anew with the next use.
    Closed,
}

/// A store on a disk that takes nothing. What it holds can be read; nothing is kept but reports in memory, which are
/// counted as those of another store, until an agent that is started anew has its disk back.
#[derive(Debug)]
struct Volatile {
    id: StoreId,
    reason: String,
    /// Locked for as long as the agent runs: one agent to a folder.
    _lock: File,
}

impl Store {
    /// Opens or makes the store of a site. A damaged file is moved aside, its new name returned:
    /// the agent then starts as on its first day, and the core gives it everything anew. One that is on a disk which takes
    /// nothing is read into memory ([`Self::is_volatile`]).
    pub(crate) fn open(path: &Path, site: &SiteId) -> Result<(Self, Option<PathBuf>), StoreError> {
        match Self::open_on_disk(path, site) {
            Err(StoreError::Disk(_, reason)) if path.is_file() => {
                Ok((Self::open_volatile(path, site, reason)?, None))
            }
            outcome => outcome,
        }
    }

    fn open_on_disk(path: &Path, site: &SiteId) -> Result<(Self, Option<PathBuf>), StoreError> {
        let medium = path.to_owned();
        let (db, aside) = match medium.open() {
            Ok(db) => (db, None),
            Err(StoreError::Damaged(..)) => {
                let aside = move_aside(path)?;
                (medium.open()?, Some(aside))
            }
            Err(error) => return Err(error),
        };
        let store = Self::over(path, Box::new(medium), Handle::Disk(db));
        store.begin()?;
        store.claim(site)?;
        Ok((store, aside))
    }

    /// Reads the store of a site on a disk that takes nothing, for this `reason`.
    pub(crate) fn open_volatile(path: &Path, site: &SiteId, reason: String) -> Result<Self, StoreError> {
        let disk = |error: std::io::Error| StoreError::Disk(path.to_owned(), error.to_string());
        let lock = File::open(path).map_err(disk)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(disk(error)),
        }
        let db = in_memory(path, &std::fs::read(path).map_err(disk)?)?;
        let mut store = Self::over(path, Box::new(path.to_owned()), Handle::Copy(db));
        // In the copy: a store may be of an older release, or have been made and no more.
        store.change(|db| {
            let txn = db.begin_write()?;
            tables::create(&txn)?;
            Ok(txn.commit()?)
        })?;
        if let Some(owner) = store.site()?.filter(|owner| owner != site.as_str()) {
            return Err(StoreError::OtherSite { path: path.to_owned(), owner, asked: site.clone() });
        }
        store.tail = Mutex::new(Tail::without_disk());
        store.trouble = Mutex::new(Some(StoreError::Disk(path.to_owned(), reason.clone()).to_string()));
        store.volatile = Some(Volatile { id: random(), reason, _lock: lock });
        Ok(store)
    }

    /// As [`Self::open`]; one that is in use is tried again at most `looks` times, with `wait` between.
    pub(crate) fn open_patiently(
        path: &Path,
        site: &SiteId,
        looks: u32,
        mut wait: impl FnMut(),
    ) -> Result<(Self, Option<PathBuf>), StoreError> {
        for _ in 0..looks {
            match Self::open(path, site) {
                Err(StoreError::InUse(_)) => wait(),
                outcome => return outcome,
            }
        }
        Self::open(path, site)
    }

    /// Opens an existing store for a look, whoever's it is, and on whatever disk.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Disk(path.to_owned(), "there is no such file".to_owned()));
        }
        if fs_err::metadata(path).is_ok_and(|file| file.len() == 0) {
            // To open it would make a store of it, and what happened would be seen no more.
            return Err(StoreError::Damaged(path.to_owned(), "it is empty".to_owned()));
        }
        let store = Self::over(path, Box::new(path.to_owned()), Handle::Closed);
        store.open_to_read()?;
        Ok(store)
    }

    /// The site that a store was made for, where nothing else says which it is. One that is in use is waited for.
    pub(crate) fn owner(path: &Path) -> Option<SiteId> {
        for _ in 0..LOOKS {
            match Self::open_existing(path).and_then(|store| store.site()) {
                Err(StoreError::InUse(_)) => wait(),
                site => return site.ok().flatten().and_then(|site| SiteId::new(site).ok()),
            }
        }
        None
    }

    /// Works on a medium; `path` is what errors name.
    fn over(path: &Path, medium: Box<dyn Medium>, handle: Handle) -> Self {
        Self {
            path: path.to_owned(),
            medium,
            handle: RwLock::new(handle),
            volatile: None,
            tail: Mutex::default(),
            writing: Mutex::default(),
            trouble: Mutex::default(),
        }
    }

    /// Makes what is missing, and begins a run.
    fn begin(&self) -> Result<(), StoreError> {
        let numbers = self.write(|txn| {
            tables::create(txn)?;
            outbox::begin(txn)
        })?;
        *self.tail.lock() = Tail::after(numbers);
        Ok(())
    }

    /// Says whether the disk took nothing when the agent started: then nothing is kept, and what the disk holds is read.
    pub(crate) fn is_volatile(&self) -> bool {
        self.volatile.is_some()
    }

    /// Says whether the disk takes something now.
    pub(crate) fn takes_writes(&self) -> bool {
        takes_writes(&self.path)
    }

    /// Says why nothing is kept, while that is so.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    fn claim(&self, site: &SiteId) -> Result<(), StoreError> {
        let owner = self.write(|txn| {
            let mut texts = txn.open_table(TEXTS)?;
            let owner = texts.get("site")?.map(|row| row.value().to_owned());
            if owner.is_none() {
                texts.insert("site", site.as_str())?;
            }
            Ok(owner)
        })?;
        match owner {
            Some(owner) if owner != site.as_str() => {
                Err(StoreError::OtherSite { path: self.path.clone(), owner, asked: site.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The site that the store was made for.
    pub(crate) fn site(&self) -> Result<Option<String>, StoreError> {
        self.read(|txn| Ok(txn.open_table(TEXTS)?.get("site")?.map(|row| row.value().to_owned())))
    }

    fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.change(|db| look(&redb::ReadableDatabase::begin_read(db)?))
    }

    /// Works on what can be read: what it changes is kept only if that is the disk.
    fn change<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        self.open_to_read()?;
        self.using(work)
    }

    /// Runs one transaction on the disk; nothing of it is kept unless all of it is.
    fn write<T>(
        &self,
        step: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let outcome = self.open_to_write().and_then(|()| {
            self.using(|db| {
                let txn = db.begin_write()?;
                let outcome = step(&txn)?;
                txn.commit()?;
                Ok(outcome)
            })
        });
        *self.trouble.lock() = outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    fn open_to_read(&self) -> Result<(), StoreError> {
        if !matches!(&*self.handle.read(), Handle::Closed) {
            return Ok(());
        }
        let mut handle = self.handle.write();
        if matches!(&*handle, Handle::Closed) {
            *handle = match self.medium.open() {
                Ok(db) => Handle::Disk(db),
                Err(error @ StoreError::Disk(..)) => Handle::Copy(self.medium.copy().map_err(|_| error)?),
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    /// Fails if it is known now that the disk takes nothing.
    pub(crate) fn open_to_write(&self) -> Result<(), StoreError> {
        if let Some(Volatile { reason, .. }) = &self.volatile {
            return Err(StoreError::Disk(self.path.clone(), reason.clone()));
        }
        if matches!(&*self.handle.read(), Handle::Disk(_)) {
            return Ok(());
        }
        let mut handle = self.handle.write();
        if !matches!(&*handle, Handle::Disk(_)) {
            // A copy stays until there is something better.
            *handle = Handle::Disk(self.medium.open()?);
        }
        Ok(())
    }

    fn using<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let outcome = match &*self.handle.read() {
            Handle::Disk(db) | Handle::Copy(db) => work(db),
            Handle::Closed => Err(StorageError::PreviousIo.into()),
        };
        outcome.map_err(|error| {
            *self.handle.write() = Handle::Closed;
            self.explain(error)
        })
    }

    fn explain(&self, error: redb::Error) -> StoreError {
        match error {
            redb::Error::Corrupted(what) => StoreError::Damaged(self.path.clone(), what),
            other => StoreError::Disk(self.path.clone(), other.to_string()),
        }
    }

    /// Looks at fragments in one transaction: opening one costs more than reading a fragment. `look`
    /// gets a function that finds bytes by id; what is found is checked by whoever uses it.
    pub(crate) fn with_fragments<T>(
        &self,
        look: impl FnOnce(&dyn Fn(&Digest) -> Option<Arc<[u8]>>) -> T,
    ) -> Result<T, StoreError> {
        self.read(|txn| {
            let table = txn.open_table(tables::FRAGMENTS)?;
            let trouble = RefCell::new(None);
            let find = |id: &Digest| match table.get(id.as_bytes()) {
                Ok(row) => row.map(|row| Arc::from(row.value())),
                Err(error) => {
                    trouble.replace(Some(error));
                    None
                }
            };
            let seen = look(&find);
            // A fragment that cannot be read is not one that is missing.
            trouble.into_inner().map_or(Ok(seen), |error| Err(error.into()))
        })
    }

    /// Returns the bytes of a fragment.
    #[cfg(test)]
    pub(crate) fn fragment(&self, id: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.read(|txn| {
            let table = txn.open_table(tables::FRAGMENTS)?;
            Ok(table.get(id.as_bytes())?.map(|row| Arc::from(row.value())))
        })
    }

    /// Counts this start of the agent and returns the number.
    pub(crate) fn count_boot(&self) -> Result<u64, StoreError> {
        if self.is_volatile() {
            return Ok(self.boots()?.saturating_add(1));
        }
        self.write(|txn| {
            let mut numbers = txn.open_table(NUMBERS)?;
            counters::raise(&mut numbers, "boots")
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
