//! One proxy's xDS session (delta or SotW ADS) as a synchronous state machine: requests in, responses
//! and events out. It owns no socket, task or clock; a task around it moves messages.
//!
//! The client is told what it asked for, once, in an order in which nothing is named before it is
//! there: secrets, clusters, endpoints, listeners, routes, then removals. At most one response of a kind is
//! under way, and what is sent next is worked out when it is asked for: a client that is slow, or
//! never acknowledges, makes nothing pile up and gets the newest state when it is ready.
//!
//! Rules of the protocol that are not obvious are cited where they are held; "trap" is one that was
//! seen with Envoy 1.40 and has a test.

use std::cell::OnceCell;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;

use skerry_core::id::Digest;

use crate::bootstrap::NodeId;
use crate::resource::{ResourceKind, ResourceSet};

mod delta;
mod feed;
mod interest;
mod sotw;
mod stranger;
mod variant;

pub use delta::Delta;
pub use sotw::Sotw;
pub use variant::Variant;

use feed::{Batch, Feed, Outcome};
use stranger::Strangers;
use variant::{Answer, Ask};

/// A session over incremental xDS.
pub type DeltaSession = Session<Delta>;

/// A session over state-of-the-world xDS.
pub type SotwSession = Session<Sotw>;

/// Events that nobody asked for are dropped, the oldest first, beyond this number.
const MAX_EVENTS: usize = 1_024;

/// Something that the owner of a session may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The client said who it is, in the first request of the stream.
    NodeKnown(NodeId),
    /// The client took a response.
    Acked {
        /// Of which kind.
        kind: ResourceKind,
        /// The response's nonce.
        nonce: String,
    },
    /// The client refused a response.
    Nacked {
        /// Of which kind.
        kind: ResourceKind,
        /// What was new in it. One name: this version of it is not sent again. Several: they are sent
        /// again in halves until the bad one is found.
        resources: Vec<String>,
        /// What the client said.
        detail: String,
    },
    /// The client has all of the set of this digest, and nothing else.
    Synced(Digest),
}

/// What may be sent, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Update(ResourceKind),
    Remove(ResourceKind),
}

/// Make before break: what is named comes first, and goes last. Listeners, which nothing names, go
/// when others come, since those may need their addresses.
const PHASES: [Phase; 9] = [
    Phase::Update(ResourceKind::Secret),
    Phase::Update(ResourceKind::Cluster),
    Phase::Update(ResourceKind::Endpoint),
    Phase::Update(ResourceKind::Listener),
    Phase::Update(ResourceKind::Route),
    Phase::Remove(ResourceKind::Route),
    Phase::Remove(ResourceKind::Cluster),
    Phase::Remove(ResourceKind::Endpoint),
    Phase::Remove(ResourceKind::Secret),
];

/// The state of one stream of one proxy. A new stream takes a new session.
#[derive(Debug)]
pub struct Session<V> {
    /// What the client shall have.
    set: Arc<ResourceSet>,
    digest: Digest,
    /// What it asked for, has and refused, in the order of [`ResourceKind::ALL`].
    feeds: [Feed; 5],
    strangers: Strangers,
    node: Option<NodeId>,
    events: VecDeque<Event>,
    last_nonce: u64,
    /// The digest of the set, once it was reported as synced.
    synced: Option<Digest>,
    /// Whether the client has what belongs to each cluster, and to each listener; worked out when it is
    /// asked for, and anew after every request, response and set.
    complete: [OnceCell<bool>; 2],
    variant: PhantomData<V>,
}

impl<V: Variant> Session<V> {
    /// Opens a session that serves a set.
    pub fn new(set: Arc<ResourceSet>) -> Self {
        Self {
            digest: set.digest(),
            set,
            feeds: ResourceKind::ALL.map(|kind| Feed::new(kind, V::MODE)),
            strangers: Strangers::default(),
            node: None,
            events: VecDeque::new(),
            last_nonce: 0,
            synced: None,
            complete: Default::default(),
            variant: PhantomData,
        }
    }

    /// Returns who the client is, once it said so.
    pub fn node(&self) -> Option<&NodeId> {
        self.node.as_ref()
    }

    /// Takes the newest set. What was not sent of an older one never will be.
    pub fn set_resources(&mut self, set: Arc<ResourceSet>) {
        self.digest = set.digest();
        self.set = set;
        self.synced = None;
        self.complete = Default::default();
        for (kind, feed) in ResourceKind::ALL.into_iter().zip(&mut self.feeds) {
            feed.handle_new_set(self.set.of(kind));
        }
    }

    /// Takes a request of the client.
    pub fn handle_request(&mut self, request: V::Request) {
        let ask = V::to_ask(request);
        if let Some(node) = ask.node.clone().filter(|_| self.node.is_none()) {
            self.node = Some(node.clone());
            self.report(Event::NodeKnown(node));
        }
        match ResourceKind::from_type_url(&ask.type_url) {
            Some(kind) => self.handle_ask(kind, ask),
            None => self.strangers.handle_ask(ask),
        }
    }

    fn handle_ask(&mut self, kind: ResourceKind, ask: Ask) {
        self.complete = Default::default();
        let feed = &mut self.feeds[kind as usize];
        match feed.handle_ask(ask, self.set.of(kind)) {
            Some(Outcome::Acked { nonce }) => self.report(Event::Acked { kind, nonce }),
            Some(Outcome::Nacked { resources, detail }) => {
                self.report(Event::Nacked { kind, resources, detail });
            }
            None => {}
        }
    }

    /// Returns the next response to send; `None` until another request or set is taken.
    pub fn poll_response(&mut self) -> Option<V::Response> {
        let nonce = (self.last_nonce + 1).to_string();
        let answer = self.next_answer(nonce.clone()).or_else(|| self.strangers.poll(nonce))?;
        self.last_nonce += 1;
        Some(V::to_response(answer))
    }

    fn next_answer(&mut self, nonce: String) -> Option<Answer> {
        let (kind, batch) = PHASES.into_iter().find_map(|phase| self.poll_phase(phase, &nonce))?;
        self.complete = Default::default();
        if kind == ResourceKind::Cluster {
            // Trap: a changed cluster waits for its endpoints without asking for them again.
            let with_endpoints =
                batch.new.iter().filter(|(name, _)| self.set.of(ResourceKind::Endpoint).contains_key(name));
            for (name, _) in with_endpoints {
                self.feeds[ResourceKind::Endpoint as usize].owe(name);
            }
        }
        Some(Answer {
            type_url: kind.type_url().to_owned(),
            nonce,
            system_version: self.digest.short(),
            batch,
        })
    }

    fn poll_phase(&mut self, phase: Phase, nonce: &str) -> Option<(ResourceKind, Batch)> {
        if !self.may_enter(phase) {
            return None;
        }
        let (Phase::Update(kind) | Phase::Remove(kind)) = phase;
        let wanted = self.set.of(kind);
        let feed = &mut self.feeds[kind as usize];
        let batch = match phase {
            Phase::Update(_) => feed.poll_update(wanted, nonce),
            Phase::Remove(_) => feed.poll_removal(wanted, nonce),
        };
        batch.map(|batch| (kind, batch))
    }

    /// Clusters and endpoints may always be sent, and endpoints must not wait for clusters: Envoy
    /// acknowledges a cluster only when it has its endpoints (trap). Secrets are waited for by both clusters and listeners.
    fn may_enter(&self, phase: Phase) -> bool {
        match phase {
            Phase::Update(ResourceKind::Secret | ResourceKind::Cluster | ResourceKind::Endpoint) => true,
            Phase::Update(ResourceKind::Listener | ResourceKind::Route) => self.has_clusters(),
            Phase::Remove(kind) => {
                self.has_updates() && self.knows_listeners() && self.has_removed_before(kind)
            }
        }
    }

    fn has_clusters(&self) -> bool {
        self.is_settled(ResourceKind::Cluster)
            && self.is_settled(ResourceKind::Endpoint)
            && *self.complete[0]
                .get_or_init(|| self.is_complete(ResourceKind::Cluster, ResourceKind::Endpoint))
    }

    fn has_updates(&self) -> bool {
        self.has_clusters()
            && self.is_settled(ResourceKind::Listener)
            && self.is_settled(ResourceKind::Route)
            && *self.complete[1].get_or_init(|| self.is_complete(ResourceKind::Listener, ResourceKind::Route))
    }

    /// A client that kept clusters from an earlier stream may have listeners that lead to them, and has
    /// yet to say so.
    fn knows_listeners(&self) -> bool {
        self.feed(ResourceKind::Listener).is_open() || !self.feed(ResourceKind::Cluster).has_kept()
    }

    fn has_removed_before(&self, kind: ResourceKind) -> bool {
        let order = [
            ResourceKind::Listener,
            ResourceKind::Route,
            ResourceKind::Cluster,
            ResourceKind::Endpoint,
            ResourceKind::Secret,
        ];
        order
            .into_iter()
            .take_while(|other| *other != kind)
            .all(|other| self.feed(other).has_removed(self.set.of(other)))
    }

    fn is_settled(&self, kind: ResourceKind) -> bool {
        self.feed(kind).is_settled(self.set.of(kind))
    }

    /// Says whether a client that has all of one kind also has what belongs to each of another: it
    /// asks for those by name once it knows the first. Other clients go their own way.
    fn is_complete(&self, first: ResourceKind, second: ResourceKind) -> bool {
        let asks_by_itself = self.feed(first).is_wildcard();
        let mut names = self.set.of(first).iter().filter_map(|(name, resource)| {
            let partner = self.set.of(second).get(name)?;
            self.feed(first).has(name, resource).then_some((name, partner))
        });
        !asks_by_itself || names.all(|(name, partner)| self.feed(second).is_done_with(name, partner))
    }

    fn feed(&self, kind: ResourceKind) -> &Feed {
        &self.feeds[kind as usize]
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| {
            let is_news = self.synced != Some(self.digest) && self.is_synced();
            is_news.then(|| {
                self.synced = Some(self.digest);
                Event::Synced(self.digest)
            })
        })
    }

    /// A proxy, which takes all clusters and all listeners, shall have every resource; a client that
    /// names what it wants shall have that.
    fn is_synced(&self) -> bool {
        let is_proxy = self.feeds.iter().any(Feed::is_wildcard);
        let is_current = |kind: ResourceKind| {
            let wanted = self.set.of(kind);
            if is_proxy { self.feed(kind).has_exactly(wanted) } else { self.feed(kind).is_current(wanted) }
        };
        let takes_lists =
            [ResourceKind::Cluster, ResourceKind::Listener].iter().all(|kind| self.feed(*kind).is_open());
        // Who has asked for secrets alone so far has yet to say what for.
        let has_said = |kind: &ResourceKind| *kind != ResourceKind::Secret && self.feed(*kind).is_open();
        (takes_lists || !is_proxy)
            && ResourceKind::ALL.iter().any(has_said)
            && ResourceKind::ALL.into_iter().all(is_current)
    }

    fn report(&mut self, event: Event) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}
