//! What one client asked for, has and refused of one kind of resources, and what follows from that.
//!
//! `request` changes it by what the client says, `response` by what the client is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skerry_core::id::Digest;

use super::interest::{Interest, MAX_NAMES};
use crate::bootstrap::AdsMode;
use crate::resource::{Resource, ResourceKind, Resources};

mod request;
mod response;

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
        Self {
            version: resource.version().to_owned(),
            resource: Some(Arc::clone(resource)),
            is_certain: true,
        }
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
        self.refused
            .retain(|name, version| wanted.get(name).is_some_and(|resource| resource.version() == version));
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

    /// The names that were asked for and do not exist.
    fn absent<'a>(&'a self, wanted: &'a Resources) -> impl Iterator<Item = &'a String> {
        self.owed.iter().filter(|name| self.interest.covers(name) && !wanted.contains_key(*name))
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
    let lines: Vec<String> =
        resources.map(|(name, resource)| format!("{name}\0{}\n", resource.version())).collect();
    Digest::of(lines.concat().as_bytes()).short()
}
