//! The store: what the agent must not forget, in one redb file. Every step is one fsynced
//! transaction, so a crash at any point leaves either the state before it or the state after it.
//!
//! Must not interpret what it keeps: slots are bytes that `site` verifies whenever they are read.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableTable as _, StorageError, WriteTransaction,
};
use skerry_core::id::{Digest, SiteId};

mod counters;
mod outbox;
mod slots;
mod tables;
mod workload_files;

pub(crate) use counters::Floors;
pub(crate) use slots::{Refused, Saved, Slot};
use tables::{NUMBERS, TEXTS};

/// redb's cache in bytes; its default is 1 GiB. The hot rows (slots, counters) take a few pages.
const CACHE_BYTES: usize = 1 << 20;

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

/// The store of one site. Cheap reads, one writer at a time; safe to share.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    medium: Box<dyn Medium>,
    /// `None` after a disk error, until it opens again: redb refuses all work after one.
    db: RwLock<Option<Database>>,
}

impl Store {
    /// Opens or makes the store of a site. A damaged file is moved aside, its new name returned:
    /// the agent then starts as on its first day, and the core gives it everything anew.
    pub(crate) fn open(path: &Path, site: &SiteId) -> Result<(Self, Option<PathBuf>), StoreError> {
        let (db, aside) = match open_file(path) {
            Ok(db) => (db, None),
            Err(StoreError::Damaged(..)) => {
                let aside = move_aside(path)?;
                (open_file(path)?, Some(aside))
            }
            Err(error) => return Err(error),
        };
        let store =
            Self { path: path.to_owned(), medium: Box::new(path.to_owned()), db: RwLock::new(Some(db)) };
        store.write(tables::create)?;
        store.claim(site)?;
        Ok((store, aside))
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

    /// Opens an existing store for a look, whoever's it is.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::Disk(path.to_owned(), "there is no such file".to_owned()));
        }
        Self::over(path, Box::new(path.to_owned()))
    }

    /// Opens what lies on a medium; `path` is what errors name.
    fn over(path: &Path, medium: Box<dyn Medium>) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), db: RwLock::new(Some(medium.open()?)), medium })
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
        self.using(|db| look(&redb::ReadableDatabase::begin_read(db)?))
    }

    /// Runs one transaction; nothing of it is kept unless all of it is.
    fn write<T>(
        &self,
        step: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        self.using(|db| {
            let txn = db.begin_write()?;
            let outcome = step(&txn)?;
            txn.commit()?;
            Ok(outcome)
        })
    }

    fn using<T>(&self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        if self.db.read().is_none() {
            *self.db.write() = Some(self.medium.open()?);
        }
        let outcome = match &*self.db.read() {
            Some(db) => work(db),
            None => Err(StorageError::PreviousIo.into()),
        };
        outcome.map_err(|error| {
            let error = self.explain(error);
            *self.db.write() = None;
            error
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
        self.write(|txn| {
            let mut numbers = txn.open_table(NUMBERS)?;
            counters::raise(&mut numbers, "boots")
        })
    }
}

/// What the database lies on: a file, or a disk of a test.
trait Medium: std::fmt::Debug + Send + Sync {
    /// Opens it; what a crash left is put right.
    fn open(&self) -> Result<Database, StoreError>;
}

impl Medium for PathBuf {
    fn open(&self) -> Result<Database, StoreError> {
        open_file(self)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Made first, so that it is never readable by others.
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map_err(|error| StoreError::Disk(path.to_owned(), error.to_string()))?;
    builder().create(path).map_err(|error| explain_open(path, error))
}

fn explain_open(path: &Path, error: DatabaseError) -> StoreError {
    use std::io::ErrorKind::{InvalidData, UnexpectedEof};
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path),
        DatabaseError::Storage(StorageError::Corrupted(what)) => StoreError::Damaged(path, what),
        DatabaseError::Storage(StorageError::Io(error))
            if matches!(error.kind(), InvalidData | UnexpectedEof) =>
        {
            StoreError::Damaged(path, error.to_string())
        }
        other => StoreError::Disk(path, other.to_string()),
    }
}

/// Renames a damaged file to the first free `<name>.damaged-<n>`, so that it can be looked into.
fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let name = |n: u32| PathBuf::from(format!("{}.damaged-{n}", path.display()));
    let aside = (1..=u32::MAX).map(name).find(|name| !name.exists()).unwrap_or_else(|| name(0));
    fs_err::rename(path, &aside).map_err(|error| StoreError::Disk(path.to_owned(), error.to_string()))?;
    Ok(aside)
}

#[cfg(test)]
mod tests;
