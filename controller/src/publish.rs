//! What each site shall run, for readers: looked up without a lock, replaced site by site.
//!
//! The planner alone writes. A reader never sees half a publication of its own site: row and
//! contents change in one step. Must not decide who is told, and must not know of streams.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{Digest, Revision, SiteId, Timestamp};
use skerry_core::index::Compiled;
use skerry_core::ledger::{self, Row, Terms};

pub mod delta;
pub mod encoded;
pub mod history;
pub mod shards;

use delta::{Base, Delta, Deltas};
use encoded::EncodedFragments;
use history::History;
use shards::{Entry, Shards};

/// A compiled revision.
#[derive(Debug)]
pub struct World {
    /// Sites, their labels and contents.
    pub compiled: Arc<Compiled>,
    /// The revision.
    pub revision: Revision,
    /// When it was compiled.
    pub compiled_at: Timestamp,
    /// Everything that is wrong with it: the source's and the compiler's.
    pub diagnostics: Diagnostics,
    /// Documents of other systems, by kind.
    pub foreign: BTreeMap<String, u32>,
}

/// What a site shall run.
#[derive(Debug, Clone)]
pub struct Target {
    /// The canonical bytes of the manifest.
    pub manifest: Vec<u8>,
    /// Their BLAKE3.
    pub digest: Digest,
    /// The fragment list and the fragments.
    pub contents: Arc<Contents>,
}

/// What is known of a site.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// It is not in the policy repository.
    Unknown,
    /// The core has just started: it knows what it told the site last, and has not compiled yet.
    /// `None` when it does not even know the site.
    Starting(Option<Digest>),
    /// It shall run this.
    Known(Target),
}

/// Everything that is published.
#[derive(Debug)]
pub struct Published {
    terms: Terms,
    shards: Shards,
    world: ArcSwapOption<World>,
    history: History,
    deltas: Deltas,
    encoded: EncodedFragments,
}

/// One publication, ready to be shown.
#[derive(Debug)]
pub struct Edition {
    /// The compiled revision.
    pub world: World,
    /// Sites whose entry is new or different.
    pub entries: BTreeMap<SiteId, Entry>,
    /// Sites that are in the repository no more.
    pub removed: Vec<SiteId>,
}

impl Published {
    /// Shows the rows that were restored: enough to tell a site that it is current.
    pub fn restore(terms: Terms, rows: impl IntoIterator<Item = (SiteId, Row)>) -> Self {
        let entry = |row| Entry { row: Arc::new(row), contents: None };
        let shards = Shards::default();
        shards.update(rows.into_iter().map(|(site, row)| (site, Some(entry(row)))));
        Self {
            terms,
            shards,
            world: ArcSwapOption::empty(),
            history: History::default(),
            deltas: Deltas::default(),
            encoded: EncodedFragments::default(),
        }
    }

    /// Shows a publication. What its sites ran before goes to the history.
    pub fn publish(&self, edition: Edition) {
        let replaced = edition.entries.keys().filter_map(|site| self.shards.get(site)?.contents);
        self.history.keep(replaced);
        self.deltas.clear();
        let upserts = edition.entries.into_iter().map(|(site, entry)| (site, Some(entry)));
        self.shards.update(upserts.chain(edition.removed.into_iter().map(|site| (site, None))));
        self.world.store(Some(Arc::new(edition.world)));
    }

    /// Returns the compiled revision; `None` until the first one after a start.
    pub fn world(&self) -> Option<Arc<World>> {
        self.world.load_full()
    }

    /// Returns a site's row and contents.
    pub fn entry(&self, site: &SiteId) -> Option<Entry> {
        self.shards.get(site)
    }

    /// Lists the sites that are shown, in order.
    pub fn sites(&self) -> Vec<SiteId> {
        self.shards.sites()
    }

    /// Looks up what a site shall run.
    pub fn lookup(&self, site: &SiteId) -> Lookup {
        match (self.shards.get(site), self.world.load().is_some()) {
            (Some(Entry { row, contents: Some(contents) }), _) => {
                let (manifest, digest) = self.manifest(site, &row);
                Lookup::Known(Target { manifest, digest, contents })
            }
            (Some(Entry { row, contents: None }), _) => Lookup::Starting(Some(self.manifest(site, &row).1)),
            (None, false) => Lookup::Starting(None),
            (None, true) => Lookup::Unknown,
        }
    }

    /// Writes a site's manifest; returns its bytes and digest.
    pub fn manifest(&self, site: &SiteId, row: &Row) -> (Vec<u8>, Digest) {
        ledger::encode(&row.manifest(site, self.terms))
    }

    /// Says what a site has that tells of a fragment list: nothing, one that is still known, or another.
    pub fn base(&self, list: Option<&Digest>, target: &Contents) -> Base {
        match list {
            None => Base::Nothing,
            Some(list) if *list == target.digest || self.history.get(list).is_some() => Base::Known(*list),
            Some(_) => Base::Unknown,
        }
    }

    /// Returns what leads from a base to contents. Computed once for all sites that need it.
    pub fn delta(&self, base: Base, target: &Contents) -> Arc<Delta> {
        self.deltas.get(base, target, |list| self.history.get(list))
    }

    /// Returns the form of a fragment that is sent in chunks. Computed once for all sites that need it.
    pub fn encoded(&self, fragment: &EncodedFragment) -> Arc<[u8]> {
        self.encoded.get(fragment)
    }
}

#[cfg(test)]
mod tests;
