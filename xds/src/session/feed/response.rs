//! What a client is sent next, and what its state is while that is under way.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Batch, Feed, InFlight, Name, version_of};
use crate::bootstrap::AdsMode;
use crate::lower::endpoint;
use crate::resource::{Resource, ResourceKind, Resources};
use crate::session::interest::is_listed;

impl Feed {
    /// Returns what is new for the client, if it is ready for it.
    pub(in crate::session) fn poll_update(&mut self, wanted: &Resources, nonce: &str) -> Option<Batch> {
        if self.in_flight.is_some() {
            return None;
        }
        let plan = self.plan(wanted);
        let gone: &[Name] = if self.kind == ResourceKind::Listener { &plan.removals } else { &[] };
        if plan.updates.is_empty() && plan.absent.is_empty() && gone.is_empty() && !self.owes_answer {
            return None;
        }
        let mut new: Vec<_> = plan.updates.iter().take(self.window).cloned().collect();
        let mut removed = plan.absent.clone();
        removed.extend(gone.iter().filter(|name| !plan.absent.contains(*name)).cloned());
        let answered: BTreeSet<Name> =
            plan.absent.iter().chain(new.iter().map(|(name, _)| name)).cloned().collect();
        self.owed.retain(|name| !answered.contains(name));
        if !self.can_remove() {
            new.extend(removed.drain(..).filter_map(|name| self.stand_in(name)));
        }
        self.plan.take();
        if new.is_empty() && removed.is_empty() && !self.owes_answer {
            return None;
        }
        self.owes_answer = false;
        Some(self.send(Batch { new, removed, ..Default::default() }, nonce))
    }

    /// Returns what the client has and shall no longer have, if it is ready for it.
    pub(in crate::session) fn poll_removal(&mut self, wanted: &Resources, nonce: &str) -> Option<Batch> {
        if self.in_flight.is_some() || self.plan(wanted).removals.is_empty() {
            return None;
        }
        let removed = self.plan(wanted).removals.clone();
        if self.can_remove() {
            return Some(self.send(Batch { removed, ..Default::default() }, nonce));
        }
        removed.iter().for_each(|name| drop(self.held.remove(name)));
        Some(self.send(Batch::default(), nonce))
    }

    /// SotW has no message for endpoints or routes that do not exist; a client drops them with what
    /// named them. It is still sent the version of what is left, to name to the next session.
    fn can_remove(&self) -> bool {
        self.mode == AdsMode::Delta || is_listed(self.kind)
    }

    /// Envoy holds back what it has to say about clusters while one waits for endpoints, so where it
    /// cannot be told that there are none, it is given an empty list of them.
    fn stand_in(&self, name: Name) -> Option<(Name, Arc<Resource>)> {
        (self.kind == ResourceKind::Endpoint).then(|| {
            let empty = Resource::of(&endpoint::assignment_at(&name, Vec::new()));
            (name, Arc::new(empty))
        })
    }

    fn send(&mut self, mut batch: Batch, nonce: &str) -> Batch {
        self.plan.take();
        if self.mode == AdsMode::Sotw {
            self.fill_whole(&mut batch);
        }
        self.last_nonce = nonce.to_owned();
        let (nonce, new, removed) = (nonce.to_owned(), batch.new.clone(), batch.removed.clone());
        self.in_flight = Some(InFlight { nonce, new, removed });
        batch
    }

    /// All that the client has, with what is new and without what is gone. What it shall lose later is
    /// still in it, and what it refused is there as it was.
    fn fill_whole(&self, batch: &mut Batch) {
        let mut whole: Resources = self
            .held
            .iter()
            .filter_map(|(name, held)| Some((Arc::clone(name), Arc::clone(held.resource()?))))
            .collect();
        whole.extend(batch.new.iter().cloned());
        whole.retain(|name, _| !batch.removed.contains(name));
        batch.version = version_of(whole.iter());
        batch.whole = if is_listed(self.kind) {
            whole.into_values().collect()
        } else {
            batch.new.iter().map(|(_, resource)| Arc::clone(resource)).collect()
        };
    }
}
