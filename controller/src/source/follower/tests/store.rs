//! A store that remembers what waits for a confirmation, and can be told to fail.

use parking_lot::Mutex;
use skerry_core::id::{Epoch, SiteId, Timestamp};

use crate::report::{Event, ReportRow};
use crate::store::{Pending, Plan, ReportBatch, Restored, StateStore, StoreError};

#[derive(Debug, Default)]
pub(super) struct PendingStore {
    pub(super) pending: Mutex<Pending>,
    pub(super) is_full: Mutex<bool>,
}

impl StateStore for PendingStore {
    fn keep_pending(&self, pending: &Pending) -> Result<(), StoreError> {
        if *self.is_full.lock() {
            return Err(StoreError::Failed("the disk is full".to_owned()));
        }
        *self.pending.lock() = pending.clone();
        Ok(())
    }

    fn restore(&self) -> Result<Restored, StoreError> {
        Ok(Restored::default())
    }

    fn keep_epoch(&self, _: Epoch) -> Result<(), StoreError> {
        Ok(())
    }

    fn keep_plan(&self, _: &Plan<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn keep_reports(&self, _: Vec<ReportBatch>) -> Result<Vec<u64>, StoreError> {
        Ok(Vec::new())
    }

    fn keep_seen(&self, _: &[(SiteId, Timestamp)]) -> Result<(), StoreError> {
        Ok(())
    }

    fn report(&self, _: &SiteId) -> Result<Option<ReportRow>, StoreError> {
        Ok(None)
    }

    fn seen(&self, _: &SiteId) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    fn events(&self, _: &SiteId) -> Result<Vec<Event>, StoreError> {
        Ok(Vec::new())
    }
}
