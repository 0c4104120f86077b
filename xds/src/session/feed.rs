//! What one client asked for, has and refused of one kind of resources, and what follows from that.
//!
//! `request` changes it by what the client says, `response` by what the client is sent.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skerry_core::id::Digest;

use super::interest::{Interest, MAX_NAMES};
use crate::bootstrap::AdsMode;
use crate::resource::{Resource, ResourceKind, Resources};

mod request;
mod response;

/// The name of a resource, shared with the set that it is of.
pub(super) type Name = Arc<str>;

/// A resource that the client has.
#[derive(Debug, Clone)]
struct Held {
    content: Content,
    /// False after a refusal: Envoy may have taken a part of what it refused (trap).
    is_certain: bool,
}

/// What is known of a resource that the client has.
#[derive(Debug, Clone)]
enum Content {
    /// All of it, to repeat it in a SotW response.
    Sent(Arc<Resource>),
    /// Its version: an earlier stream brought it.
    Said(String),
}

impl Held {
    fn of(resource: &Arc<Resource>) -> Self {
        Self { content: Content::Sent(Arc::clone(resource)), is_certain: true }
    }

    fn resource(&self) -> Option<&Arc<Resource>> {
        match &self.content {
            Content::Sent(resource) => Some(resource),
            Content::Said(_) => None,
        }
    }

    /// Says whether the client has this version for certain.
    fn is(&self, resource: &Resource) -> bool {
        self.is_certain
            && match &self.content {
                Content::Sent(sent) => {
                    std::ptr::eq(&**sent, resource) || sent.version() == resource.version()
                }
                Content::Said(version) => version == resource.version(),
            }
    }
}

/// What a response brings.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// What is new for the client.
    pub(super) new: Vec<(Name, Arc<Resource>)>,
    /// What is no more, or never was.
    pub(super) removed: Vec<Name>,
    /// SotW: all that the response holds.
    pub(super) whole: Vec<Arc<Resource>>,
    /// SotW: the version of all that the client then has.
    pub(super) version: String,
}

/// A response that is neither acknowledged nor refused yet.
#[derive(Debug)]
struct InFlight {
    nonce: String,
    new: Vec<(Name, Arc<Resource>)>,
    removed: Vec<Name>,
}

/// What there is to do, as it follows from a feed and what the client shall have.
#[derive(Debug, Default)]
struct Plan {
    /// What is new for the client.
    updates: Vec<(Name, Arc<Resource>)>,
    /// What it asked for and does not exist.
    absent: Vec<Name>,
    /// What it has and shall no longer have.
    removals: Vec<Name>,
    /// Whether it lacks nothing that it asked for, refused or not.
    has_all: bool,
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
    held: BTreeMap<Name, Held>,
    /// The version of each resource that the client refused by itself: never sent again.
    refused: BTreeMap<Name, String>,
    /// Names to be answered though the client may have them: it asked for them just now, or needs
    /// them again. May hold names that the client has not asked for yet.
    owed: BTreeSet<Name>,
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
    /// Worked out when it is asked for; every method that changes anything else empties it.
    plan: OnceCell<Plan>,
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
            plan: OnceCell::new(),
        }
    }

    /// Forgets what was refused in other versions than the new ones.
    pub(super) fn handle_new_set(&mut self, wanted: &Resources) {
        self.plan.take();
        self.refused
            .retain(|name, version| wanted.get(name).is_some_and(|resource| resource.version() == version));
        if self.is_open() {
            self.owed.retain(|name| wanted.contains_key(name) || self.interest.covers(name));
        }
        self.owes_answer |= self.is_unknown;
        self.window = usize::MAX;
    }

    /// Notes that the client needs a resource again, once it asks or has asked for it.
    pub(super) fn owe(&mut self, name: &Name) {
        self.plan.take();
        if self.owed.len() < MAX_NAMES {
            self.owed.insert(Arc::clone(name));
        }
    }

    /// What there is to do. `wanted` is that of the last `handle_new_set`.
    fn plan(&self, wanted: &Resources) -> &Plan {
        self.plan.get_or_init(|| self.work_out(wanted))
    }

    /// Walks through what the client shall have and what it has, both in order.
    fn work_out(&self, wanted: &Resources) -> Plan {
        let mut plan = Plan { has_all: true, ..Plan::default() };
        let mut held = self.held.iter().peekable();
        for (name, resource) in wanted {
            let before = std::iter::from_fn(|| held.next_if(|(known, _)| *known < name));
            plan.removals.extend(before.map(|(known, _)| Arc::clone(known)));
            let has = held.next_if(|(known, _)| *known == name).is_some_and(|(_, held)| held.is(resource));
            if !self.interest.covers(name) {
                continue;
            }
            plan.has_all &= has;
            if (!has || self.owed.contains(name)) && !self.has_refused(name, resource) {
                plan.updates.push((Arc::clone(name), Arc::clone(resource)));
            }
        }
        plan.removals.extend(held.map(|(known, _)| Arc::clone(known)));
        let absent =
            self.owed.iter().filter(|name| self.interest.covers(name) && !wanted.contains_key(*name));
        plan.absent = absent.cloned().collect();
        plan
    }

    fn covered<'a>(&'a self, wanted: &'a Resources) -> impl Iterator<Item = (&'a Name, &'a Arc<Resource>)> {
        wanted.iter().filter(|(name, _)| self.interest.covers(name))
    }

    fn has_refused(&self, name: &str, resource: &Resource) -> bool {
        self.refused.get(name).is_some_and(|version| version == resource.version())
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
        self.held.get(name).is_some_and(|held| held.is(resource))
    }

    /// Says whether the client asked for a resource and either has or refused this version.
    pub(super) fn is_done_with(&self, name: &str, resource: &Resource) -> bool {
        self.has(name, resource) || (self.has_refused(name, resource) && self.interest.covers(name))
    }

    /// Says whether nothing new is under way or due.
    pub(super) fn is_settled(&self, wanted: &Resources) -> bool {
        let plan = self.plan(wanted);
        self.in_flight.is_none() && !self.owes_answer && plan.updates.is_empty() && plan.absent.is_empty()
    }

    /// Says whether nothing is to be removed.
    pub(super) fn has_removed(&self, wanted: &Resources) -> bool {
        self.in_flight.is_none() && self.plan(wanted).removals.is_empty()
    }

    /// Says whether the client has what it asked for.
    pub(super) fn is_current(&self, wanted: &Resources) -> bool {
        self.is_settled(wanted) && self.has_removed(wanted) && self.plan(wanted).has_all
    }

    /// Says whether the client has all resources and no other.
    pub(super) fn has_exactly(&self, wanted: &Resources) -> bool {
        self.is_current(wanted) && self.held.len() == wanted.len()
    }
}

/// The version of a whole: equal resources have an equal one.
fn version_of<'a>(resources: impl Iterator<Item = (&'a Name, &'a Arc<Resource>)>) -> String {
    let lines: Vec<String> =
        resources.map(|(name, resource)| format!("{name}\0{}\n", resource.version())).collect();
    Digest::of(lines.concat().as_bytes()).short()
}
