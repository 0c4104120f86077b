//! The owner of the index: turns changes of the source into publications.
//!
//! One thread, one loop, in this order: apply, compile, number, keep on disk, show, wake. A crash
//! between any two of these loses nothing, since the same change leads to the same publication.
//! Must not fetch, and must not talk to sites.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use prost::Message as _;
use skerry_core::bundle::v1::FragmentList;
use skerry_core::bundle::{Contents, FragmentKey};
use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{Digest, Kind, ObjectKey, SiteId, Timestamp};
use skerry_core::index::{Change, Compiled, Index};
use skerry_core::ledger::{Declared, Ledger, Publication, Row};
use skerry_core::world::ServiceIndexes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::Clock;
use crate::presence::Presence;
use crate::publish::shards::Entry;
use crate::publish::{Edition, Published, World};
use crate::source::event::{Confirmed, Scope, SourceEvent};
use crate::source::status::SourceBoard;
use crate::step::step;
use crate::store::{Plan, StateStore, StoreError};

/// How long the planner waits before it tries again to write: a full disk needs hands.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// What a publication touches.
#[derive(Debug)]
pub struct Surroundings<S> {
    /// The state store.
    pub store: Arc<S>,
    /// What is shown to sites.
    pub published: Arc<Published>,
    /// Who is to be woken.
    pub presence: Arc<Presence>,
    /// What is shown of the source.
    pub board: Arc<SourceBoard>,
    /// The time.
    pub clock: Clock,
}

/// The owner of index and ledger.
#[derive(Debug)]
pub struct Planner<S> {
    index: Index,
    ledger: Ledger,
    /// Address indexes as they are stored.
    stored_indexes: ServiceIndexes,
    /// Contents that are in force, by list: removals are counted against them.
    in_force: BTreeMap<Digest, Weak<Contents>>,
    around: Surroundings<S>,
}

impl<S: StateStore> Planner<S> {
    /// Makes a planner of an empty index (with the address indexes given so far) and a restored ledger.
    pub fn new(index: Index, ledger: Ledger, around: Surroundings<S>) -> Self {
        let stored_indexes = index.indexes().clone();
        Self { index, ledger, stored_indexes, in_force: BTreeMap::new(), around }
    }

    /// Takes events until there are no more, or until it is told to stop.
    pub fn run(mut self, mut events: mpsc::Receiver<SourceEvent>, cancel: &CancellationToken) {
        let runtime = tokio::runtime::Handle::current();
        while let Some(event) = runtime.block_on(cancel.run_until_cancelled(events.recv())).flatten() {
            let (plan, edition) = self.plan(event);
            while let Err(error) = plan.keep(&*self.around.store) {
                error!(%error, help = error.help(), "cannot keep the publication, so no site is told");
                self.around.board.set_store_error(Some(&error));
                if runtime.block_on(cancel.run_until_cancelled(tokio::time::sleep(STORE_RETRY))).is_none() {
                    return;
                }
            }
            step("core.commit.stored");
            self.around.board.set_store_error(None);
            self.show(plan, edition);
        }
    }

    /// Applies an event and works out what it changes. Nothing is kept or shown yet.
    fn plan(&mut self, event: SourceEvent) -> (Prepared, Edition) {
        let sites_changed = event.scope == Scope::Whole || event.touches(Kind::Site);
        let SourceEvent { scope, upserts, mut deletes, accepted, ages, diagnostics, foreign, confirmed } =
            event;
        let named: BTreeSet<String> =
            deletes.iter().filter(|key| key.kind == Kind::Service).map(to_fragment_key).collect();
        let declared = match confirmed {
            Confirmed::No => Declared::Named(&named),
            Confirmed::Change => Declared::Confirmed,
            Confirmed::InForce => Declared::Everywhere,
        };
        if scope == Scope::Whole {
            let present: BTreeSet<&ObjectKey> = upserts.iter().map(|aged| &aged.object.key).collect();
            deletes.extend(self.index.keys().filter(|key| !present.contains(key)).cloned());
        }
        for aged in upserts {
            self.index.apply(Change::Upsert(Box::new(Arc::unwrap_or_clone(aged.object)), aged.age));
        }
        for key in deletes {
            self.index.apply(Change::Delete(key));
        }
        let compiled = self.index.compile();
        step("core.commit.compiled");
        let now = self.around.clock.now();
        let in_force = &self.in_force;
        let previous = |list: &Digest| FragmentList::decode(&*in_force.get(list)?.upgrade()?.list).ok();
        let publication = self.ledger.publish(&compiled, previous, declared, &accepted.revision, now);
        step("core.commit.numbered");
        let (entries, removed) = self.entries(&compiled, &publication, sites_changed);
        let mut all = Diagnostics::clone(&compiled.diagnostics);
        all.extend(diagnostics);
        let revision = accepted.revision.clone();
        let world = World { compiled, revision, compiled_at: now, diagnostics: all, foreign };
        let indexes = (*self.index.indexes() != self.stored_indexes).then(|| self.index.indexes().clone());
        (Prepared { publication, accepted, ages, indexes }, Edition { world, entries, removed })
    }

    /// Collects the entries that are new or different, and the sites that are gone. When sites came or
    /// went all of them are looked at, otherwise only those that the publication names.
    fn entries(
        &self,
        compiled: &Compiled,
        publication: &Publication,
        sites_changed: bool,
    ) -> (BTreeMap<SiteId, Entry>, Vec<SiteId>) {
        let mut shared = SharedRows::default();
        let mut entry = |site: &SiteId| {
            let row = shared.get(self.ledger.row(site)?);
            Some((site.clone(), Entry { row, contents: compiled.contents(site).cloned() }))
        };
        if !sites_changed {
            return (publication.rows.keys().filter_map(entry).collect(), Vec::new());
        }
        let published = &self.around.published;
        let is_new = |site: &&SiteId| {
            let shown = published.entry(site).and_then(|entry| entry.contents);
            shown.is_none() || publication.rows.contains_key(*site)
        };
        let entries = compiled.sites().filter(is_new).filter_map(&mut entry).collect();
        let is_gone = |site: &SiteId| compiled.labels(site).is_none();
        (entries, published.sites().into_iter().filter(is_gone).collect())
    }

    fn show(&mut self, plan: Prepared, edition: Edition) {
        let Prepared { publication, accepted, indexes, .. } = plan;
        if let Some(indexes) = indexes {
            self.stored_indexes = indexes;
        }
        let contents = edition.entries.values().filter_map(|entry| entry.contents.as_ref());
        self.in_force.extend(contents.map(|contents| (contents.digest, Arc::downgrade(contents))));
        let woken: Vec<SiteId> = edition.entries.keys().chain(&edition.removed).cloned().collect();
        let diagnostics = edition.world.diagnostics.len();
        self.around.published.publish(edition);
        step("core.commit.published");
        self.in_force.retain(|_, contents| contents.strong_count() > 0);
        woken.iter().for_each(|site| self.around.presence.wake(site));
        step("core.commit.woken");
        let (generation, changed) = (publication.generation, publication.rows.len());
        info!(revision = %accepted.revision, %generation, changed, diagnostics, "published");
    }
}

fn to_fragment_key(service: &ObjectKey) -> String {
    FragmentKey::Service(service.namespaced_name()).to_string()
}

/// A publication that waits to be kept.
#[derive(Debug)]
struct Prepared {
    publication: Publication,
    accepted: crate::store::Accepted,
    ages: Option<skerry_gitops::age::Ages>,
    indexes: Option<ServiceIndexes>,
}

impl Prepared {
    fn keep(&self, store: &impl StateStore) -> Result<(), StoreError> {
        store.keep_plan(&Plan {
            generation: self.publication.generation,
            rows: &self.publication.rows,
            indexes: self.indexes.as_ref(),
            accepted: &self.accepted,
            ages: self.ages.as_ref(),
        })
    }
}

/// Rows that are equal for many sites, kept once. Those of one publication differ only in these.
#[derive(Debug, Default)]
struct SharedRows(BTreeMap<(u64, Digest, u32, Timestamp), Arc<Row>>);

impl SharedRows {
    fn get(&mut self, row: &Row) -> Arc<Row> {
        let key = (row.generation.0, row.list, row.removals, row.issued_at);
        Arc::clone(self.0.entry(key).or_insert_with(|| Arc::new(row.clone())))
    }
}

#[cfg(test)]
mod tests;
