//! Rows by site in shards that are replaced whole: readers take no lock, a write costs its shards.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use skerry_core::bundle::Contents;
use skerry_core::id::SiteId;
use skerry_core::ledger::Row;

/// With 100,000 sites a shard has about 400, and a change of one site copies 400 pairs of pointers.
const SHARDS: usize = 256;

/// What a site shall run.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its place in the ledger. Shared by sites that were given the same at once.
    pub row: Arc<Row>,
    /// `None` after a start, until the source was compiled.
    pub contents: Option<Arc<Contents>>,
}

type Shard = BTreeMap<SiteId, Entry>;

/// Entries of all sites.
#[derive(Debug)]
pub struct Shards(Vec<ArcSwap<Shard>>);

impl Default for Shards {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| ArcSwap::default()).collect())
    }
}

impl Shards {
    /// Looks up a site.
    pub fn get(&self, site: &SiteId) -> Option<Entry> {
        self.0[shard_of(site)].load().get(site).cloned()
    }

    /// Lists all sites, in order.
    pub fn sites(&self) -> Vec<SiteId> {
        let mut sites: Vec<SiteId> =
            self.0.iter().flat_map(|shard| shard.load().keys().cloned().collect::<Vec<_>>()).collect();
        sites.sort_unstable();
        sites
    }

    /// Sets entries, or takes them out. Only one thread may call this at a time.
    pub fn update(&self, changes: impl IntoIterator<Item = (SiteId, Option<Entry>)>) {
        let mut by_shard: BTreeMap<usize, Vec<(SiteId, Option<Entry>)>> = BTreeMap::new();
        for (site, entry) in changes {
            by_shard.entry(shard_of(&site)).or_default().push((site, entry));
        }
        for (number, changes) in by_shard {
            let mut shard = Shard::clone(&self.0[number].load());
            for (site, entry) in changes {
                match entry {
                    Some(entry) => drop(shard.insert(site, entry)),
                    None => drop(shard.remove(&site)),
                }
            }
            self.0[number].store(Arc::new(shard));
        }
    }
}

fn shard_of(site: &SiteId) -> usize {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(site);
    usize::try_from(hash % SHARDS as u64).unwrap_or_default()
}
