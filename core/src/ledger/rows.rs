//! Rows by site, for readers: copies share what they have in common, so one is handed out at each publication.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use super::Row;
use crate::id::SiteId;

/// Identifies a row that sites share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowId(u64);

impl RowId {
    /// Returns the id after this one.
    pub(super) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What each site was last told to run.
#[derive(Debug, Clone)]
pub struct Rows {
    by_id: RedBlackTreeMapSync<RowId, Arc<Row>>,
    by_site: RedBlackTreeMapSync<SiteId, RowId>,
}

impl Default for Rows {
    fn default() -> Self {
        Self { by_id: RedBlackTreeMapSync::new_sync(), by_site: RedBlackTreeMapSync::new_sync() }
    }
}

impl Rows {
    /// Returns the row of a site.
    pub fn get(&self, site: &SiteId) -> Option<&Arc<Row>> {
        self.by_id.get(self.by_site.get(site)?)
    }

    /// Lists the sites in order.
    pub fn sites(&self) -> impl Iterator<Item = &SiteId> {
        self.by_site.keys()
    }

    pub(super) fn set_row(&mut self, id: RowId, row: Arc<Row>) {
        self.by_id.insert_mut(id, row);
    }

    pub(super) fn drop_row(&mut self, id: RowId) {
        self.by_id.remove_mut(&id);
    }

    pub(super) fn set_site(&mut self, site: SiteId, id: RowId) {
        self.by_site.insert_mut(site, id);
    }

    pub(super) fn remove_site(&mut self, site: &SiteId) -> Option<RowId> {
        let id = *self.by_site.get(site)?;
        self.by_site.remove_mut(site);
        Some(id)
    }
}
