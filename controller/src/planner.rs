//! The owner of the index: turns changes of the source into publications.
//!
//! One thread, one loop, in this order: apply, compile, number, keep on disk, show, wake. A crash
//! between any two of these loses nothing, since the same change leads to the same publication.
//! Must not fetch, and must not talk to sites.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use skerry_core::bundle::FragmentKey;
use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{Digest, Kind, ObjectKey, SiteId};
use skerry_core::index::{Change, Index};
use skerry_core::ledger::{Declared, Ledger, Origin, Publication, Row};
use skerry_core::world::ServiceIndexes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::clock::Clock;
use crate::presence::Presence;
use crate::publish::{Edition, Published, World};
use crate::source::event::{Confirmed, Scope, SourceEvent};
use crate::source::status::{Keeper, SourceBoard};
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
    around: Surroundings<S>,
}

impl<S: StateStore> Planner<S> {
    /// Makes a planner of an empty index (with the address indexes given so far) and a restored ledger.
    pub fn new(index: Index, ledger: Ledger, around: Surroundings<S>) -> Self {
        let stored_indexes = index.indexes().clone();
        Self { index, ledger, stored_indexes, around }
    }

    /// Takes events until there are no more, or until it is told to stop.
    pub fn run(mut self, mut events: mpsc::Receiver<SourceEvent>, cancel: &CancellationToken) {
        let runtime = tokio::runtime::Handle::current();
        while let Some(event) = runtime.block_on(cancel.run_until_cancelled(events.recv())).flatten() {
            let (plan, edition) = self.plan(event);
            while let Err(error) = plan.keep(&*self.around.store) {
                error!(%error, help = error.help(), "cannot keep the publication, so no site is told");
                self.around.board.set_store_error(Keeper::Plans, Some(&error));
                if runtime.block_on(cancel.run_until_cancelled(tokio::time::sleep(STORE_RETRY))).is_none() {
                    return;
                }
            }
            step("core.commit.stored");
            self.around.board.set_store_error(Keeper::Plans, None);
            self.show(plan, edition);
        }
    }

    /// Applies an event and works out what it changes. Nothing is kept or shown yet.
    fn plan(&mut self, event: SourceEvent) -> (Prepared, Edition) {
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
            self.index.apply(Change::Upsert(aged.object, aged.age));
        }
        for key in deletes {
            self.index.apply(Change::Delete(key));
        }
        let compiled = self.index.compile();
        step("core.commit.compiled");
        let now = self.around.clock.now();
        let published = &self.around.published;
        let previous = |list: &Digest| published.contents(list);
        let origin = Origin { revision: &accepted.revision, provenance: &accepted.signature.provenance };
        let publication = self.ledger.publish(&compiled, previous, declared, origin, now);
        step("core.commit.numbered");
        let changed = self.ledger.changed(&publication);
        let rows = changed.map(|(site, row)| (site.clone(), Arc::clone(row))).collect();
        let contents = compiled.all_contents().cloned().collect();
        let mut all = Diagnostics::clone(&compiled.diagnostics);
        all.extend(diagnostics);
        let (revision, signature) = (accepted.revision.clone(), accepted.signature.clone());
        let world = World { compiled, revision, signature, compiled_at: now, diagnostics: all, foreign };
        let indexes = (*self.index.indexes() != self.stored_indexes).then(|| self.index.indexes().clone());
        let (generation, rows_shown) = (publication.generation, self.ledger.rows().clone());
        let edition = Edition { world, generation, rows: rows_shown, contents };
        (Prepared { publication, rows, accepted, ages, indexes }, edition)
    }

    fn show(&mut self, plan: Prepared, edition: Edition) {
        let Prepared { publication, accepted, indexes, .. } = plan;
        if let Some(indexes) = indexes {
            self.stored_indexes = indexes;
        }
        let before = self.around.published.world();
        let diagnostics = edition.world.diagnostics.len();
        self.around.published.publish(edition);
        step("core.commit.published");
        let rows = self.ledger.rows();
        let is_gone =
            |site: &SiteId| before.as_ref().is_some_and(|world| world.compiled.class(site).is_some());
        self.around.presence.wake_those(|site| match rows.get(site) {
            Some(row) => before.is_none() || publication.is_new(row),
            None => is_gone(site),
        });
        step("core.commit.woken");
        let (generation, changed) = (publication.generation, publication.changed);
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
    rows: Vec<(SiteId, Arc<Row>)>,
    accepted: crate::store::Accepted,
    ages: Option<crate::store::LearnedAges>,
    indexes: Option<ServiceIndexes>,
}

impl Prepared {
    fn keep(&self, store: &impl StateStore) -> Result<(), StoreError> {
        store.keep_plan(&Plan {
            generation: self.publication.generation,
            rows: &self.rows,
            indexes: self.indexes.as_ref(),
            accepted: &self.accepted,
            ages: self.ages.as_ref(),
        })
    }
}

#[cfg(test)]
mod tests;
