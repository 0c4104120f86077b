//! What the database lies on: a file, a copy of it in memory, or a disk of a test.

use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, StorageBackend as _, StorageError};

use super::StoreError;

/// redb's cache in bytes; its default is 1 GiB. The hot rows (slots, counters) take a few pages.
const CACHE_BYTES: usize = 1 << 20;

/// What is written to see whether a disk takes anything: more than a store grows by when it is opened. Bytes.
const PROBE_BYTES: usize = 64 << 10;

/// How many damaged files are kept aside.
const MAX_DAMAGED: u32 = 3;

/// What a database lies on.
pub(super) trait Medium: std::fmt::Debug + Send + Sync {
    /// Opens it; what a crash left is put right.
    fn open(&self) -> Result<Database, StoreError>;

    /// Opens a copy of it in memory: of a disk that can be read and not written. It takes as much as the file, three
    /// slots and the reports that wait; what is written to it goes with the process.
    fn copy(&self) -> Result<Database, StoreError>;
}

impl Medium for PathBuf {
    fn open(&self) -> Result<Database, StoreError> {
        open_file(self)
    }

    fn copy(&self) -> Result<Database, StoreError> {
        let bytes = std::fs::read(self).map_err(|error| StoreError::Disk(self.clone(), error.to_string()))?;
        in_memory(self, &bytes)
    }
}

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// Opens a file's bytes in memory; `path` is what errors name.
pub(super) fn in_memory(path: &Path, bytes: &[u8]) -> Result<Database, StoreError> {
    let memory = InMemoryBackend::new();
    let filled = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, bytes));
    filled.map_err(|error| StoreError::Disk(path.to_owned(), error.to_string()))?;
    builder().create_with_backend(memory).map_err(|error| explain_open(path, error))
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    // Made first, so that it is never readable by others.
    let made = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map_err(|error| StoreError::Disk(path.to_owned(), error.to_string()))?;
    builder().create(path).map_err(|error| explain_open(path, error))
}

pub(super) fn explain_open(path: &Path, error: DatabaseError) -> StoreError {
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

/// Renames a damaged file to `<name>.damaged-<n>`, so that it can be looked into. The first of them and the newest two are
/// kept: a disk that damages one at each loss of power is not filled with them.
pub(super) fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let name = |n: u32| PathBuf::from(format!("{}.damaged-{n}", path.display()));
    let free = (1..=MAX_DAMAGED).map(name).find(|name| !name.exists());
    let aside = || match free {
        Some(free) => Ok(free),
        None => fs_err::rename(name(MAX_DAMAGED), name(MAX_DAMAGED - 1)).map(|()| name(MAX_DAMAGED)),
    };
    let moved = aside().and_then(|aside| fs_err::rename(path, &aside).map(|()| aside));
    moved.map_err(|error| StoreError::Disk(path.to_owned(), error.to_string()))
}

/// Says whether the disk takes something beside a file.
pub(super) fn takes_writes(beside: &Path) -> bool {
    use std::io::Write as _;
    let path = beside.with_extension("probe");
    let written = std::fs::File::create(&path)
        .and_then(|mut file| file.write_all(&[0; PROBE_BYTES]).and_then(|()| file.sync_all()));
    // What cannot be removed is written over the next time.
    let _is_gone = std::fs::remove_file(&path);
    written.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_do_not_pile_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.redb");
        for number in 1..=6 {
            fs_err::write(&store, format!("{number}")).unwrap();
            move_aside(&store).unwrap();
        }
        let kept = |n: u32| fs_err::read_to_string(format!("{}.damaged-{n}", store.display())).ok();
        let kept: Vec<Option<String>> = (1..=4).map(kept).collect();
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(kept, [text("1"), text("5"), text("6"), None], "the first and the newest two");
        assert!(!store.exists());
    }
}
