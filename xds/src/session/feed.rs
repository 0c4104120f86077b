//! What one client asked for, has and refused of one kind of resources, and what it is sent next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skerry_core::id::Digest;

use super::interest::{Interest, MAX_NAMES, WILDCARD, is_listed};
use super::variant::{Ask, Change};
use crate::bootstrap::AdsMode;
use crate::lower::endpoint;
use crate::resource::{Resource, ResourceKind, Resources};

/// A resource that the client has.
#[derive(Debug, Clone)]
struct Held {
    version: String,
    /// The resource itself, to repeat it in a SotW response; unknown if an earlier stream brought it.
    resource: Option<Arc<Resource>>,
    /// False after a refusal: Envoy may have taken a part of what it refused (trap).
    is_certain: bool,
}

impl Held {
    fn of(resource: &Arc<Resource>) -> Self {
        Self { version: resource.version().to_owned(), resource: Some(Arc::clone(resource)), is_certain: true }
    }
}

/// What a response brings.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What is new for the client.
    pub(super) new: Vec<(String, Arc<Resource>)>,
    /// What is no more, or never was.
    pub(super) removed: Vec<String>,
    /// SotW: all that the response holds.
    pub(super) whole: Vec<Arc<Resource>>,
    /// SotW: the version of all that the client then has.
    pub(super) version: String,
}

/// A response that is neither acknowledged nor refused yet.
#[derive(Debug)]
struct InFlight {
    nonce: String,
    new: Vec<(String, Arc<Resource>)>,
    removed: Vec<String>,
}

/// What became of a response.
#[derive(Debug)]
pub(super) enum Outcome {
    Acked { nonce: String },
    Nacked { resources: Vec<String>, detail: String },
}

/// The state of one kind.
#[derive(Debug)]
pub(super) struct Feed {
    kind: ResourceKind,
    mode: AdsMode,
    interest: Interest,
    /// What the client has, as far as it said; always within its interest.
    held: BTreeMap<String, Held>,
    /// The version of each resource that the client refused by itself: never sent again.
    refused: BTreeMap<String, String>,
    /// Names to be answered though the client may have them: it asked for them just now, or needs
    /// them again. May hold names that the client has not asked for yet.
    owed: BTreeSet<String>,
    /// Whether the client kept something from an earlier stream.
    has_kept: bool,
    /// SotW: whether the client has something of an earlier stream that we know nothing about.
    is_unknown: bool,
    /// Whether an answer is due even if there is nothing in it: the first to a client that takes
    /// everything (trap).
    owes_answer: bool,
    /// The most new resources in one response. Halved by a refusal of several, so that the bad one is
    /// found and the good ones arrive; doubled by an acknowledgement.
    window: usize,
    in_flight: Option<InFlight>,
    /// The nonce of the last response; a SotW request with another one is stale.
    last_nonce: String,
}

impl Feed {
    pub(super) fn new(kind: ResourceKind, mode: AdsMode) -> Self {
        Self {
            kind,
            mode,
            interest: Interest::default(),
            held: BTreeMap::new(),
            refused: BTreeMap::new(),
            owed: BTreeSet::new(),
            has_kept: false,
            is_unknown: false,
            owes_answer: false,
            window: usize::MAX,
            in_flight: None,
            last_nonce: String::new(),
        }
    }

    /// Forgets what was refused in other versions than the new ones.
    pub(super) fn handle_new_set(&mut self, wanted: &Resources) {
        self.refused.retain(|name, version| wanted.get(name).is_some_and(|resource| resource.version() == version));
        if self.is_open() {
            self.owed.retain(|name| wanted.contains_key(name) || self.interest.covers(name));
        }
        self.owes_answer |= self.is_unknown;
        self.window = usize::MAX;
    }

    /// Notes that the client needs a resource again, once it asks or has asked for it.
    pub(super) fn owe(&mut self, name: &str) {
        if self.owed.len() < MAX_NAMES {
            self.owed.insert(name.to_owned());
        }
    }

    /// Takes a request.
    ///
    /// A stale nonce says nothing about what is under way. In delta the names of such a request
    /// count all the same; in SotW the client repeats them with the newer nonce.
    pub(super) fn handle_ask(&mut self, ask: Ask, wanted: &Resources) -> Option<Outcome> {
        let is_stale = self.is_open() && !ask.nonce.is_empty() && ask.nonce != self.last_nonce;
        if is_stale && self.mode == AdsMode::Sotw {
            return None;
        }
        let outcome = self.settle(&ask.nonce, ask.error);
        match ask.change {
            Change::Delta { subscribe, unsubscribe, initial } => {
                self.change(&subscribe, &unsubscribe, initial, wanted);
            }
            Change::Whole { names, version } => self.replace(names, &version, wanted),
        }
        outcome
    }

    /// Ends what is under way, if the nonce is its.
    ///
    /// What was removed together with something that is refused is removed again; a removal that is
    /// refused by itself is not repeated.
    fn settle(&mut self, nonce: &str, error: Option<String>) -> Option<Outcome> {
        let InFlight { nonce, new, removed } = self.in_flight.take_if(|in_flight| in_flight.nonce == nonce)?;
        if error.is_none() || new.is_empty() {
            removed.iter().for_each(|name| drop(self.held.remove(name)));
        }
        match error {
            None => {
                self.accept(&new);
                Some(Outcome::Acked { nonce })
            }
            Some(detail) => Some(Outcome::Nacked { resources: self.refuse(new), detail }),
        }
    }

    fn accept(&mut self, new: &[(String, Arc<Resource>)]) {
        self.is_unknown = false;
        self.window = self.window.saturating_mul(2);
        for (name, resource) in new {
            self.refused.remove(name);
            if self.interest.covers(name) {
                self.held.insert(name.clone(), Held::of(resource));
            }
        }
    }

    fn refuse(&mut self, new: Vec<(String, Arc<Resource>)>) -> Vec<String> {
        self.window = (new.len() / 2).max(1);
        for (name, resource) in &new {
            // Perhaps it has it all the same.
            let unsure = Held { resource: None, ..Held::of(resource) };
            self.held.entry(name.clone()).or_insert(unsure).is_certain = false;
        }
        if let [(name, resource)] = new.as_slice() {
            self.refused.insert(name.clone(), resource.version().to_owned());
        }
        new.into_iter().map(|(name, _)| name).collect()
    }

    /// Delta: names come and go. A name that is asked for is answered, also one that was asked for
    /// before; in the first request not those that the client kept.
    fn change(
        &mut self,
        subscribe: &[String],
        unsubscribe: &[String],
        initial: BTreeMap<String, String>,
        wanted: &Resources,
    ) {
        let is_first = self.interest.open();
        let was_wildcard = self.interest.is_wildcard();
        self.interest.subscribe(self.kind, subscribe, is_first);
        let asks_for_all = subscribe.iter().any(|name| name == WILDCARD);
        self.owes_answer |= self.interest.is_wildcard() && (asks_for_all || !was_wildcard);
        if is_first {
            self.keep(initial);
        }
        for name in subscribe.iter().filter(|name| *name != WILDCARD && self.interest.covers(name)) {
            self.refused.remove(name);
            if !is_first || !self.held.contains_key(name) {
                self.owed.insert(name.clone());
            }
        }
        self.interest.unsubscribe(unsubscribe);
        self.forget(unsubscribe, wanted);
    }

    /// A client that kept something is not waiting for a first answer.
    fn keep(&mut self, initial: BTreeMap<String, String>) {
        self.has_kept = !initial.is_empty();
        self.owes_answer &= initial.is_empty();
        let kept = initial.into_iter().filter(|(name, _)| self.interest.covers(name));
        self.held = kept.map(|(name, version)| (name, Held { version, resource: None, is_certain: true })).collect();
    }

    /// A name that everything still covers is sent again: the client may have dropped it.
    fn forget(&mut self, unsubscribed: &[String], wanted: &Resources) {
        let interest = &self.interest;
        self.held.retain(|name, _| interest.covers(name));
        self.owed.retain(|name| interest.covers(name) || wanted.contains_key(name));
        for name in unsubscribed.iter().filter(|name| interest.covers(name) && wanted.contains_key(*name)) {
            self.held.remove(name);
        }
    }

    /// SotW: these are all the names. A first request with the version of what we would send needs
    /// nothing.
    fn replace(&mut self, names: Vec<String>, version: &str, wanted: &Resources) {
        let is_first = self.interest.open();
        let was_wildcard = self.interest.is_wildcard();
        let new = self.interest.replace(self.kind, names);
        let (interest, before) = (&self.interest, self.held.len());
        self.held.retain(|name, _| interest.covers(name));
        // What it names to the next session must not stand for something that it dropped.
        self.owes_answer |= self.held.len() < before;
        self.has_kept |= is_first && !version.is_empty();
        if is_first && !version.is_empty() && version == version_of(self.covered(wanted)) {
            self.held = self.covered(wanted).map(|(name, resource)| (name.clone(), Held::of(resource))).collect();
            return;
        }
        self.is_unknown |= is_first && !version.is_empty();
        self.owes_answer |= self.interest.is_wildcard() && !was_wildcard;
        for name in &new {
            self.refused.remove(name);
        }
        self.owed.extend(new);
    }

    /// Returns what is new for the client, if it is ready for it.
    pub(super) fn poll_update(&mut self, wanted: &Resources, nonce: &str) -> Option<Batch> {
        if self.in_flight.is_some() {
            return None;
        }
        let updates = self.updates(wanted).take(self.window);
        let mut new: Vec<_> = updates.map(|(name, resource)| (name.clone(), Arc::clone(resource))).collect();
        let mut removed = self.take_absent(wanted);
        if !self.can_remove() {
            new.extend(removed.drain(..).filter_map(|name| self.stand_in(name)));
        }
        if self.kind == ResourceKind::Listener {
            removed.extend(self.removals(wanted).filter(|name| !removed.contains(*name)).cloned().collect::<Vec<_>>());
        }
        if new.is_empty() && removed.is_empty() && !self.owes_answer {
            return None;
        }
        self.owes_answer = false;
        for (name, _) in &new {
            self.owed.remove(name);
        }
        Some(self.send(Batch { new, removed, ..Default::default() }, nonce))
    }

    /// Returns what the client has and shall no longer have, if it is ready for it.
    pub(super) fn poll_removal(&mut self, wanted: &Resources, nonce: &str) -> Option<Batch> {
        if self.in_flight.is_some() {
            return None;
        }
        let removed: Vec<String> = self.removals(wanted).cloned().collect();
        if !self.can_remove() {
            removed.iter().for_each(|name| drop(self.held.remove(name)));
            return None;
        }
        (!removed.is_empty()).then(|| self.send(Batch { removed, ..Default::default() }, nonce))
    }

    /// SotW has no message for endpoints or routes that do not exist; a client drops them with what
    /// named them.
    fn can_remove(&self) -> bool {
        self.mode == AdsMode::Delta || is_listed(self.kind)
    }

    /// Envoy holds back what it has to say about clusters while one waits for endpoints, so where it
    /// cannot be told that there are none, it is given an empty list of them.
    fn stand_in(&self, name: String) -> Option<(String, Arc<Resource>)> {
        (self.kind == ResourceKind::Endpoint).then(|| {
            let empty = Resource::of(&endpoint::assignment_at(&name, Vec::new()));
            (name, Arc::new(empty))
        })
    }

    fn send(&mut self, mut batch: Batch, nonce: &str) -> Batch {
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
            .filter_map(|(name, held)| Some((name.clone(), Arc::clone(held.resource.as_ref()?))))
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

    /// The names that were asked for and do not exist.
    fn absent<'a>(&'a self, wanted: &'a Resources) -> impl Iterator<Item = &'a String> {
        self.owed.iter().filter(|name| self.interest.covers(name) && !wanted.contains_key(*name))
    }

    fn take_absent(&mut self, wanted: &Resources) -> Vec<String> {
        let absent: Vec<String> = self.absent(wanted).cloned().collect();
        for name in &absent {
            self.owed.remove(name);
        }
        absent
    }

    fn covered<'a>(&'a self, wanted: &'a Resources) -> impl Iterator<Item = (&'a String, &'a Arc<Resource>)> {
        wanted.iter().filter(|(name, _)| self.interest.covers(name))
    }

    fn updates<'a>(&'a self, wanted: &'a Resources) -> impl Iterator<Item = (&'a String, &'a Arc<Resource>)> {
        self.covered(wanted).filter(|(name, resource)| {
            let is_due = self.owed.contains(*name) || !self.has(name, resource);
            is_due && self.refused.get(*name).is_none_or(|version| version != resource.version())
        })
    }

    fn removals<'a>(&'a self, wanted: &'a Resources) -> impl Iterator<Item = &'a String> {
        self.held.keys().filter(|name| !wanted.contains_key(*name))
    }

    pub(super) fn is_wildcard(&self) -> bool {
        self.interest.is_wildcard()
    }

    pub(super) fn is_open(&self) -> bool {
        self.interest.is_open()
    }

    pub(super) fn has_kept(&self) -> bool {
        self.has_kept
    }

    /// Says whether the client has this version for certain.
    pub(super) fn has(&self, name: &str, resource: &Resource) -> bool {
        self.held.get(name).is_some_and(|held| held.is_certain && held.version == resource.version())
    }

    /// Says whether the client asked for a resource and either has or refused this version.
    pub(super) fn is_done_with(&self, name: &str, resource: &Resource) -> bool {
        let has_refused = self.refused.get(name).is_some_and(|version| version == resource.version());
        self.has(name, resource) || (has_refused && self.interest.covers(name))
    }

    /// Says whether nothing new is under way or due.
    pub(super) fn is_settled(&self, wanted: &Resources) -> bool {
        self.in_flight.is_none()
            && !self.owes_answer
            && self.updates(wanted).next().is_none()
            && self.absent(wanted).next().is_none()
    }

    /// Says whether nothing is to be removed.
    pub(super) fn has_removed(&self, wanted: &Resources) -> bool {
        self.in_flight.is_none() && self.removals(wanted).next().is_none()
    }

    /// Says whether the client has what it asked for.
    pub(super) fn is_current(&self, wanted: &Resources) -> bool {
        self.is_settled(wanted)
            && self.has_removed(wanted)
            && self.covered(wanted).all(|(name, resource)| self.has(name, resource))
    }

    /// Says whether the client has all resources and no other.
    pub(super) fn has_exactly(&self, wanted: &Resources) -> bool {
        self.is_current(wanted) && self.held.len() == wanted.len()
    }
}

/// The version of a whole: equal resources have an equal one.
fn version_of<'a>(resources: impl Iterator<Item = (&'a String, &'a Arc<Resource>)>) -> String {
    let lines: Vec<String> = resources.map(|(name, resource)| format!("{name}\0{}\n", resource.version())).collect();
    Digest::of(lines.concat().as_bytes()).short()
}
