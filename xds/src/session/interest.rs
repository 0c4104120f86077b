//! What a client asked for of one kind: names, or everything.

use std::collections::BTreeSet;

use crate::resource::ResourceKind;

/// Everything, as a name.
pub(super) const WILDCARD: &str = "*";

/// The most names that a client may subscribe to in one kind; further ones are ignored. Ten ports of
/// each of the 10,000 fragments that a site may have.
pub(super) const MAX_NAMES: usize = 100_000;

/// What a client asked for of one kind.
#[derive(Debug, Default)]
pub(super) struct Interest {
    wildcard: bool,
    names: BTreeSet<String>,
    /// Whether there was a request; the first one has a meaning of its own.
    is_open: bool,
    /// Whether any request named anything: until then an empty one stands for everything.
    was_named: bool,
}

impl Interest {
    pub(super) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Says whether a name was asked for, by itself or with everything.
    pub(super) fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Notes a request; says whether it was the first.
    pub(super) fn open(&mut self) -> bool {
        !std::mem::replace(&mut self.is_open, true)
    }

    /// Adds names to a delta subscription. A first request for clusters or listeners that names
    /// nothing asks for everything, as before there was `*`.
    pub(super) fn subscribe(&mut self, kind: ResourceKind, names: &[String], is_first: bool) {
        if is_first && names.is_empty() && is_listed(kind) {
            self.wildcard = true;
        }
        for name in names {
            if name == WILDCARD {
                self.wildcard = true;
            } else if self.names.len() < MAX_NAMES {
                self.names.insert(name.clone());
            }
        }
    }

    /// Takes names from a delta subscription.
    pub(super) fn unsubscribe(&mut self, names: &[String]) {
        for name in names {
            if name == WILDCARD {
                self.wildcard = false;
            }
            self.names.remove(name);
        }
    }

    /// Replaces the names of a SotW subscription; returns those that are new.
    ///
    /// No names stand for everything until a request named something; from then on for nothing.
    pub(super) fn replace(&mut self, kind: ResourceKind, names: Vec<String>) -> BTreeSet<String> {
        self.was_named |= !names.is_empty();
        let is_implicit = names.is_empty() && !self.was_named && is_listed(kind);
        self.wildcard = is_implicit || names.iter().any(|name| name == WILDCARD);
        let names: BTreeSet<String> =
            names.into_iter().filter(|name| name != WILDCARD).take(MAX_NAMES).collect();
        let new = names.difference(&self.names).cloned().collect();
        self.names = names;
        new
    }
}

/// Clusters and listeners are what a client lists; endpoints and routes are found through them.
pub(super) fn is_listed(kind: ResourceKind) -> bool {
    matches!(kind, ResourceKind::Cluster | ResourceKind::Listener)
}
