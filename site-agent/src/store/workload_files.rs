//! The last usable content of each Workload file, so that a file that is broken while the agent
//! restarts does not take its workloads away.

use std::collections::BTreeMap;

use redb::ReadableTable as _;

use super::tables::WORKLOAD_FILES;
use super::{Store, StoreError};

impl Store {
    /// Returns the kept files, by name.
    pub(crate) fn workload_files(&self) -> Result<BTreeMap<String, Vec<u8>>, StoreError> {
        self.read(|txn| {
            let table = txn.open_table(WORKLOAD_FILES)?;
            let mut files = BTreeMap::new();
            for row in table.iter()? {
                let (name, bytes) = row?;
                files.insert(name.value().to_owned(), bytes.value().to_vec());
            }
            Ok(files)
        })
    }

    /// Keeps these files, and no others. Writes only what differs.
    pub(crate) fn put_workload_files(&self, files: &BTreeMap<String, Vec<u8>>) -> Result<(), StoreError> {
        if self.workload_files()? == *files {
            return Ok(());
        }
        self.write(|txn| {
            let mut table = txn.open_table(WORKLOAD_FILES)?;
            table.retain(|name, _| files.contains_key(name))?;
            for (name, bytes) in files {
                table.insert(name.as_str(), bytes.as_slice())?;
            }
            Ok(())
        })
    }
}
