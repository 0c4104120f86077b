//! A store in memory that can be told to fail.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use skerry_core::id::{Epoch, Generation, SiteId, Timestamp};

use crate::report::{Event, ReportRow, fold};
use crate::store::{Pending, Plan, ReportBatch, Restored, StateStore, StoreError};

/// What was kept, and what fails.
#[derive(Debug, Default)]
pub(crate) struct FakeStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    generations: Vec<Generation>,
    rows: BTreeMap<SiteId, ReportRow>,
    is_full: bool,
    damaged: Option<SiteId>,
}

impl FakeStore {
    /// Lets writes fail, or work again.
    pub(crate) fn set_full(&self, is_full: bool) {
        self.0.lock().is_full = is_full;
    }

    /// Lets reports of one site fail.
    pub(crate) fn damage(&self, site: SiteId) {
        self.0.lock().damaged = Some(site);
    }

    /// The generations of the plans that were kept.
    pub(crate) fn generations(&self) -> Vec<u64> {
        self.0.lock().generations.iter().map(|generation| generation.0).collect()
    }
}

impl StateStore for FakeStore {
    fn restore(&self) -> Result<Restored, StoreError> {
        Ok(Restored::default())
    }

    fn keep_epoch(&self, _: Epoch) -> Result<(), StoreError> {
        Ok(())
    }

    fn keep_plan(&self, plan: &Plan<'_>) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        if state.is_full {
            return Err(StoreError::Failed("the disk is full".to_owned()));
        }
        state.generations.push(plan.generation);
        Ok(())
    }

    fn keep_pending(&self, _: &Pending) -> Result<(), StoreError> {
        Ok(())
    }

    fn keep_reports(&self, batches: Vec<ReportBatch>) -> Result<Vec<u64>, StoreError> {
        let mut state = self.0.lock();
        if state.is_full {
            return Err(StoreError::Failed("the disk is full".to_owned()));
        }
        if batches.iter().any(|batch| Some(&batch.site) == state.damaged.as_ref()) {
            return Err(StoreError::Failed("a row is damaged".to_owned()));
        }
        let mut acknowledged = Vec::new();
        for ReportBatch { site, boot, reports, arrival } in batches {
            let row = state.rows.remove(&site).unwrap_or_default();
            let folded = fold(row, &boot, reports, arrival);
            acknowledged.push(folded.row.acknowledged);
            state.rows.insert(site, folded.row);
        }
        Ok(acknowledged)
    }

    fn keep_seen(&self, _: &[(SiteId, Timestamp)]) -> Result<(), StoreError> {
        Ok(())
    }

    fn report(&self, site: &SiteId) -> Result<Option<ReportRow>, StoreError> {
        Ok(self.0.lock().rows.get(site).cloned())
    }

    fn seen(&self, _: &SiteId) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    fn events(&self, _: &SiteId) -> Result<Vec<Event>, StoreError> {
        Ok(Vec::new())
    }
}
