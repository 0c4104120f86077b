//! A model of Envoy as an xDS client: what it asks for, when it answers, what it keeps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;
use skerry_xds::bootstrap::AdsMode;
use skerry_xds::resource::ResourceKind;

use super::wire::{Payload, Say, Wire};

/// The proxy.
pub(super) struct Proxy<V: Wire> {
    /// What it runs.
    pub(super) has: BTreeMap<ResourceKind, BTreeMap<String, Any>>,
    /// The names that it asked for; a kind is here once it asked at all.
    pub(super) asked: BTreeMap<ResourceKind, BTreeSet<String>>,
    /// Requests that are on their way.
    pub(super) outbox: VecDeque<V::Request>,
    /// Clusters that wait for endpoints. While there are any, answers about clusters are held back.
    warming: BTreeSet<String>,
    held_back: Vec<V::Request>,
    version: BTreeMap<ResourceKind, String>,
    nonce: BTreeMap<ResourceKind, String>,
    /// Whether it was ever told of clusters; only then does it ask for listeners.
    has_clusters: bool,
    /// Which resources it refuses.
    refuses: fn(&Any) -> bool,
    /// Whether order must hold: not where something is refused, since what leads to that leads nowhere,
    /// and not after a SotW stream broke, since a new session cannot know what
    /// the whole was that it replaces.
    is_in_order: bool,
}

impl<V: Wire> Proxy<V> {
    pub(super) fn new(refuses: fn(&Any) -> bool) -> Self {
        let mut proxy = Self {
            has: ResourceKind::ALL.map(|kind| (kind, BTreeMap::new())).into(),
            asked: [(ResourceKind::Cluster, BTreeSet::new())].into(),
            outbox: VecDeque::new(),
            warming: BTreeSet::new(),
            held_back: Vec::new(),
            version: BTreeMap::new(),
            nonce: BTreeMap::new(),
            has_clusters: false,
            refuses,
            is_in_order: true,
        };
        proxy.connect();
        proxy.is_in_order = refuses as usize == never as fn(&Any) -> bool as usize;
        proxy
    }

    /// Opens a stream: says for each kind what it wants and what it kept.
    ///
    /// A cluster that waited for endpoints when the last stream broke gets none if nothing changed;
    /// Envoy gives up waiting after a while and uses those that it has.
    pub(super) fn connect(&mut self) {
        self.is_in_order &= V::MODE == AdsMode::Delta;
        self.outbox.clear();
        self.held_back.clear();
        self.warming.clear();
        self.nonce.clear();
        for (kind, names) in self.asked.clone() {
            let request = V::say(&Say {
                kind,
                nonce: String::new(),
                version: self.version.get(&kind).cloned().unwrap_or_default(),
                before: &BTreeSet::new(),
                after: &names,
                refusal: None,
                kept: Some(&self.has[&kind]),
            });
            self.outbox.push_back(request);
        }
        self.ask_for_listeners();
    }

    /// Takes a response; panics if it breaks the order of make before break.
    pub(super) fn take(&mut self, response: V::Response) {
        let payload = V::read(response);
        self.nonce.insert(payload.kind, payload.nonce.clone());
        self.has_clusters |= payload.kind == ResourceKind::Cluster;
        let refused = payload.new.values().any(self.refuses);
        if !refused {
            self.version.insert(payload.kind, payload.version.clone());
        }
        // A listener that is refused leaves its siblings, as a semantic error does; of the other kinds
        // nothing is taken, as when a field breaks a rule.
        if !refused || payload.kind == ResourceKind::Listener {
            self.apply(&payload);
        }
        self.answer(payload.kind, refused.then_some("it is bad"));
        self.ask_for_listeners();
    }

    fn apply(&mut self, payload: &Payload) {
        let refuses = self.refuses;
        let is_listed = matches!(payload.kind, ResourceKind::Cluster | ResourceKind::Listener);
        let asked = self.asked[&payload.kind].clone();
        let is_taken = |(name, any): &(&String, &Any)| !refuses(any) && (is_listed || asked.contains(*name));
        for (name, any) in payload.new.iter().filter(is_taken) {
            self.add(payload.kind, name, any);
        }
        let gone = |name: &String| {
            payload.removed.contains(name) || (payload.is_whole && !payload.new.contains_key(name))
        };
        if payload.kind == ResourceKind::Endpoint {
            // To be told that there are none is an answer too.
            self.warming.retain(|name| !payload.removed.contains(name));
        }
        let gone: Vec<String> = self.has[&payload.kind].keys().filter(|name| gone(name)).cloned().collect();
        gone.iter().for_each(|name| self.remove(payload.kind, name));
    }

    fn add(&mut self, kind: ResourceKind, name: &str, any: &Any) {
        match kind {
            ResourceKind::Cluster if self.has[&kind].get(name) != Some(any) => {
                self.warming.insert(name.to_owned());
            }
            ResourceKind::Endpoint => {
                self.warming.remove(name);
            }
            ResourceKind::Route => self.check_target(any),
            ResourceKind::Secret | ResourceKind::Cluster | ResourceKind::Listener => {}
        }
        self.has.get_mut(&kind).unwrap().insert(name.to_owned(), any.clone());
        for partner in partners(kind) {
            let mut names = self.asked.get(partner).cloned().unwrap_or_default();
            if names.insert(name.to_owned()) {
                self.ask(*partner, names);
            }
        }
    }

    fn remove(&mut self, kind: ResourceKind, name: &str) {
        if kind == ResourceKind::Cluster {
            let routes = self.has[&ResourceKind::Route].values();
            assert!(
                !self.is_in_order || routes.clone().all(|route| target(route) != name),
                "a live cluster goes"
            );
            self.warming.remove(name);
        }
        self.has.get_mut(&kind).unwrap().remove(name);
        for partner in partners(kind) {
            let mut names = self.asked[partner].clone();
            names.remove(name);
            self.has.get_mut(partner).unwrap().remove(name);
            self.ask(*partner, names);
        }
    }

    fn check_target(&self, route: &Any) {
        let target = target(route);
        let is_there =
            self.has[&ResourceKind::Cluster].contains_key(&target) && !self.warming.contains(&target);
        assert!(is_there || !self.is_in_order, "a route leads to `{target}`, which is not there");
    }

    fn ask(&mut self, kind: ResourceKind, names: BTreeSet<String>) {
        let before = self.asked.get(&kind).cloned().unwrap_or_default();
        let request = self.say(kind, &before, &names, None);
        self.asked.insert(kind, names);
        self.outbox.push_back(request);
    }

    fn ask_for_listeners(&mut self) {
        let is_up = self.has_clusters && self.warming.is_empty();
        if is_up && !self.asked.contains_key(&ResourceKind::Listener) {
            self.ask(ResourceKind::Listener, BTreeSet::new());
        }
    }

    fn answer(&mut self, kind: ResourceKind, refusal: Option<&str>) {
        let names = self.asked.get(&kind).cloned().unwrap_or_default();
        let request = self.say(kind, &names, &names, refusal);
        if kind == ResourceKind::Cluster {
            self.held_back.push(request);
        } else {
            self.outbox.push_back(request);
        }
        if self.warming.is_empty() {
            self.outbox.extend(self.held_back.drain(..));
        }
    }

    fn say(
        &self,
        kind: ResourceKind,
        before: &BTreeSet<String>,
        after: &BTreeSet<String>,
        refusal: Option<&str>,
    ) -> V::Request {
        let nonce = self.nonce.get(&kind).cloned().unwrap_or_default();
        let version = self.version.get(&kind).cloned().unwrap_or_default();
        V::say(&Say { kind, nonce, version, before, after, refusal, kept: None })
    }
}

/// Refuses nothing.
pub(super) fn never(_: &Any) -> bool {
    false
}

/// The kinds that a proxy asks for by the names of another. Its clusters have a secret each.
fn partners(kind: ResourceKind) -> &'static [ResourceKind] {
    match kind {
        ResourceKind::Cluster => &[ResourceKind::Secret, ResourceKind::Endpoint],
        ResourceKind::Listener => &[ResourceKind::Route],
        ResourceKind::Secret | ResourceKind::Endpoint | ResourceKind::Route => &[],
    }
}

/// The cluster that the model's routes lead to.
fn target(route: &Any) -> String {
    RouteConfiguration::decode(route.value.as_slice()).unwrap().request_headers_to_remove.concat()
}
