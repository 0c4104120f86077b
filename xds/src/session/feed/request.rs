//! What a request changes: it settles what is under way, and says what the client wants from now on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Content, Feed, Held, InFlight, Name, Outcome, version_of};
use crate::bootstrap::AdsMode;
use crate::resource::{Resource, Resources};
use crate::session::interest::WILDCARD;
use crate::session::variant::{Ask, Change};

impl Feed {
    /// Takes a request.
    ///
    /// A stale nonce says nothing about what is under way. In delta the names of such a request
    /// count all the same; in SotW the client repeats them with the newer nonce.
    pub(in crate::session) fn handle_ask(&mut self, ask: Ask, wanted: &Resources) -> Option<Outcome> {
        let is_stale = self.is_open() && !ask.nonce.is_empty() && ask.nonce != self.last_nonce;
        if is_stale && self.mode == AdsMode::Sotw {
            return None;
        }
        self.plan.take();
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
        let InFlight { nonce, new, removed } =
            self.in_flight.take_if(|in_flight| in_flight.nonce == nonce)?;
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

    fn accept(&mut self, new: &[(Name, Arc<Resource>)]) {
        self.is_unknown = false;
        self.window = self.window.saturating_mul(2);
        for (name, resource) in new {
            self.refused.remove(name);
            if self.interest.covers(name) {
                self.held.insert(name.clone(), Held::of(resource));
            }
        }
    }

    fn refuse(&mut self, new: Vec<(Name, Arc<Resource>)>) -> Vec<String> {
        self.window = (new.len() / 2).max(1);
        for (name, resource) in &new {
            // Perhaps it has it all the same.
            let unsure = || Held { content: Content::Said(resource.version().to_owned()), is_certain: false };
            self.held.entry(Arc::clone(name)).or_insert_with(unsure).is_certain = false;
        }
        if let [(name, resource)] = new.as_slice() {
            self.refused.insert(name.clone(), resource.version().to_owned());
        }
        new.into_iter().map(|(name, _)| name.to_string()).collect()
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
        self.interest.subscribe(self.kind, subscribe, is_first && unsubscribe.is_empty());
        let asks_for_all = subscribe.iter().any(|name| name == WILDCARD);
        self.owes_answer |= self.interest.is_wildcard() && (asks_for_all || !was_wildcard);
        if is_first {
            self.keep(initial);
        }
        for name in subscribe.iter().filter(|name| *name != WILDCARD) {
            if !self.interest.covers(name) {
                continue; // there was no room for it
            }
            self.refused.remove(name.as_str());
            if !is_first || !self.held.contains_key(name.as_str()) {
                self.owe(&Name::from(name.as_str()));
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
        self.held = kept
            .map(|(name, version)| (name.into(), Held { content: Content::Said(version), is_certain: true }))
            .collect();
    }

    /// A name that everything still covers is answered, with the resource or with its absence: the client
    /// cannot tell whether to keep it ("Unsubscribing from Resources").
    fn forget(&mut self, unsubscribed: &[String], wanted: &Resources) {
        let interest = &self.interest;
        self.held.retain(|name, _| interest.covers(name));
        self.owed.retain(|name| interest.covers(name) || wanted.contains_key(name));
        for name in unsubscribed.iter().filter(|name| *name != WILDCARD) {
            if self.interest.covers(name) {
                self.held.remove(name.as_str());
                self.owe(&Name::from(name.as_str()));
            }
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
            self.held =
                self.covered(wanted).map(|(name, resource)| (name.clone(), Held::of(resource))).collect();
            return;
        }
        self.is_unknown |= is_first && !version.is_empty();
        // At once, and even if there is nothing: else that version might come to stand for what it has dropped since.
        self.owes_answer |= is_first && !version.is_empty();
        self.owes_answer |= self.interest.is_wildcard() && !was_wildcard;
        for name in &new {
            self.refused.remove(name.as_str());
            self.owe(&Name::from(name.as_str()));
        }
    }
}
