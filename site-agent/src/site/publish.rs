//! Publishing: a bundle lowered for each local proxy, and handed to its stream and its snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use skerry_core::bundle::{Bundle, v1};
use skerry_core::id::{Digest, NamespacedName};
use skerry_core::workload::Workload;
use skerry_identity::lifetimes::DEFAULT_BUDGET;
use skerry_xds::lower::{Identity, LowerOptions, Lowering, name};
use skerry_xds::resource::{ResourceKind, ResourceSet};
use tokio::sync::watch;
use tracing::warn;

use super::Site;
use super::listening::{Addresses, Listening, Takes};
use crate::identity::Minter;
use crate::layout::{Layout, ProxyDir};
use crate::machine::Which;
use crate::snapshot::Snapshots;

/// What one proxy is served from.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    /// Its folder.
    pub(crate) folder: ProxyDir,
    /// Its resources.
    pub(crate) resources: watch::Receiver<Arc<ResourceSet>>,
}

/// What the supervisor shall see to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Desired {
    /// Whether the agent runs the proxies; `None` as long as there is no bundle that says so.
    pub(crate) supervision: Option<v1::Supervision>,
    /// How long a draining Envoy may take: seconds.
    pub(crate) drain_seconds: u32,
    /// How long the site shall do without the core; `None` as long as there is no bundle that says so.
    pub(crate) offline_budget: Option<Duration>,
    /// The workloads that have a proxy.
    pub(crate) proxies: BTreeMap<NamespacedName, ProxyDir>,
}

/// A bundle as each proxy gets it.
#[derive(Debug, Default)]
pub(crate) struct Lowered {
    /// The resources, with the inbound addresses among them.
    pub(super) sets: BTreeMap<NamespacedName, (ResourceSet, Addresses)>,
    /// Proxies that get nothing, and why.
    pub(super) failed: BTreeMap<NamespacedName, String>,
}

/// Which snapshots are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrite {
    /// All that differ.
    All,
    /// Those of proxies that have none.
    Missing,
}

/// What was lowered for each proxy before: the next bundle goes on from there.
pub(super) type Lowerings = BTreeMap<NamespacedName, Lowering>;

impl Site {
    /// Lowers a bundle for every proxy of the workloads.
    pub(super) fn lower(&mut self, bundle: &Bundle) -> Lowered {
        let mut lowered = Lowered::default();
        let mut before = std::mem::take(&mut self.lowerings);
        let proxied = || self.workloads.iter().filter(|workload| workload.proxy.is_some());
        let mut options = self.options();
        if self.identities.minter.handle_bundle(bundle) {
            self.publish_issued();
        }
        for workload in proxied() {
            options.unbound = self.unbound.of(&workload.name);
            options.identity = self.identities.minter.identity(&workload.name);
            let mut lowering = before.remove(&workload.name).unwrap_or_default();
            match lowering.lower(bundle, &self.workloads, &workload.name, &options) {
                Ok(mut set) => {
                    self.identities.minter.fill(&workload.name, &mut set);
                    let ports = workload.ports.iter().map(|port| (workload.endpoint(port.port), port.port));
                    let ports = ports.filter(|(at, _)| !options.unbound.contains_key(at));
                    let inbound =
                        ports.map(|(at, port)| (at, takes(&options.identity, &set, port))).collect();
                    lowered.sets.insert(workload.name.clone(), (set, inbound));
                }
                Err(error) => drop(lowered.failed.insert(workload.name.clone(), error.to_string())),
            }
            self.lowerings.insert(workload.name.clone(), lowering);
        }
        lowered
    }

    /// What is known of all inbound addresses of the site.
    fn options(&self) -> LowerOptions {
        let (mut options, listening) = (LowerOptions::default(), self.publisher.listening.all());
        for at in self.workloads.iter().filter(|workload| workload.proxy.is_some()).flat_map(inbound) {
            match listening.get(&at) {
                None => drop(options.silent.insert(at)),
                Some(Takes::Plain) => {
                    options.plain.insert(at);
                    options.lenient.insert(at);
                }
                Some(Takes::Closed) => drop(options.plain.insert(at)),
                Some(Takes::Mutual) => {}
            }
        }
        options.lenient.extend(self.identities.turning());
        options
    }

    /// Lowers what is published now anew, since something is known at the site that was not before.
    pub(super) fn publish_again(&mut self) {
        self.lower_again();
        self.snapshots_change();
    }

    /// The same without a word on snapshots.
    pub(super) fn lower_again(&mut self) {
        let held = match self.machine.published() {
            Which::Candidate => &self.candidate,
            Which::Current => &self.current,
        };
        let bundle = held.as_ref().map(|held| Arc::clone(&held.bundle));
        self.lowered = None;
        self.publish(bundle.as_deref());
    }

    /// A proxy has acknowledged something: if it listens at other addresses than it was known to, its
    /// peers are told.
    pub(super) fn note_listening(&mut self, name: &NamespacedName) {
        if !self.machine.proxies().is_ready(name) {
            return;
        }
        if let Some(turned) = self.publisher.note_listening(name) {
            self.turn(self.clock.now(), turned);
            self.publish_again();
        }
    }
}

/// What a port of a workload takes when its proxy has what was lowered.
fn takes(identity: &Identity, set: &ResourceSet, port: NonZeroU16) -> Takes {
    match identity {
        Identity::Held(_) => Takes::Mutual,
        Identity::Missing if !set.of(ResourceKind::Listener).contains_key(name::inbound(port).as_str()) => {
            Takes::Closed
        }
        Identity::NotEnrolled | Identity::Missing => Takes::Plain,
    }
}

/// Where a proxy listens for its workload's peers.
fn inbound(workload: &Workload) -> impl Iterator<Item = SocketAddr> {
    workload.ports.iter().map(|port| workload.endpoint(port.port))
}

struct Published {
    folder: ProxyDir,
    hash: Digest,
    /// The inbound addresses of what is published.
    inbound: Addresses,
    resources: watch::Sender<Arc<ResourceSet>>,
}

/// Lowers and hands out.
pub(crate) struct Publisher {
    layout: Layout,
    snapshots: Snapshots,
    published: BTreeMap<NamespacedName, Published>,
    problems: BTreeSet<String>,
    /// A proxy's folder could not be made: it gets nothing until that is tried again.
    has_unserved: bool,
    /// No proxy had taken what was published when snapshots were due.
    has_untaken: bool,
    listening: Listening,
    feeds: watch::Sender<BTreeMap<NamespacedName, Feed>>,
    desired: watch::Sender<Desired>,
}

impl Publisher {
    /// Starts with nothing published.
    pub(crate) fn new(
        layout: Layout,
        snapshots: Snapshots,
        feeds: watch::Sender<BTreeMap<NamespacedName, Feed>>,
        desired: watch::Sender<Desired>,
    ) -> Self {
        Self {
            layout,
            snapshots,
            published: BTreeMap::new(),
            problems: BTreeSet::new(),
            has_unserved: false,
            has_untaken: false,
            listening: Listening::default(),
            feeds,
            desired,
        }
    }

    /// Publishes a lowered bundle and returns each proxy's hash. A proxy that nothing can be lowered
    /// for keeps what it has; without a bundle nothing is served, since an empty answer would remove.
    pub(super) fn publish(
        &mut self,
        Lowered { sets, failed }: Lowered,
        settings: Option<&v1::Settings>,
    ) -> BTreeMap<NamespacedName, Digest> {
        self.published.retain(|name, _| sets.contains_key(name) || failed.contains_key(name));
        self.has_unserved = false;
        self.problems = failed.iter().map(|(name, reason)| format!("proxy {name}: {reason}")).collect();
        for (name, (set, inbound)) in sets {
            let problems = set.problems.iter().map(|problem| format!("proxy {name}: {problem}"));
            self.problems.extend(problems);
            self.publish_one(name, set, inbound);
        }
        self.announce(settings);
        self.published.iter().map(|(name, published)| (name.clone(), published.hash)).collect()
    }

    fn publish_one(&mut self, name: NamespacedName, set: ResourceSet, inbound: Addresses) {
        let hash = set.digest();
        if let Some(published) = self.published.get_mut(&name) {
            published.inbound = inbound;
            if published.hash != hash {
                published.hash = hash;
                published.resources.send_replace(Arc::new(set));
            }
            return;
        }
        let folder = self.layout.proxy(&name);
        if let Err(error) = self.snapshots.prepare(&name, &folder) {
            warn!(proxy = %name, "cannot be served: {error}");
            self.problems.insert(format!("proxy {name}: {error}"));
            self.has_unserved = true;
            return;
        }
        let resources = watch::Sender::new(Arc::new(set));
        self.published.insert(name, Published { folder, hash, inbound, resources });
    }

    /// Tells the servers and the supervisor, if anything changed for them.
    pub(super) fn announce(&self, settings: Option<&v1::Settings>) {
        self.feeds.send_if_modified(|feeds| {
            let is_same = feeds.keys().eq(self.published.keys());
            if !is_same {
                let feed = |published: &Published| Feed {
                    folder: published.folder.clone(),
                    resources: published.resources.subscribe(),
                };
                *feeds =
                    self.published.iter().map(|(name, published)| (name.clone(), feed(published))).collect();
            }
            !is_same
        });
        let desired = Desired {
            supervision: settings.map(v1::Settings::supervision),
            drain_seconds: settings.map_or(0, |settings| settings.drain_seconds),
            offline_budget: settings.map(|settings| match settings.offline_seconds {
                0 => DEFAULT_BUDGET,
                seconds => Duration::from_secs(seconds.into()),
            }),
            proxies: self
                .published
                .iter()
                .map(|(name, published)| (name.clone(), published.folder.clone()))
                .collect(),
        };
        self.desired.send_if_modified(|before| {
            let changed = *before != desired;
            *before = desired;
            changed
        });
    }

    /// Says whether a proxy gets nothing, since its folder could not be made.
    pub(super) fn has_unserved(&self) -> bool {
        self.has_unserved
    }

    /// Says whether snapshots are behind, since no proxy had taken what they would hold.
    pub(super) fn has_untaken(&self) -> bool {
        self.has_untaken
    }

    /// Says whether each proxy has a snapshot of this run of the agent, however old.
    pub(super) fn has_snapshots(&self) -> bool {
        self.published.keys().all(|name| self.snapshots.has(name))
    }

    /// Writes each proxy's snapshot of what is published now; false if one could not be written.
    pub(super) fn write_snapshots(&mut self, rewrite: Rewrite) -> bool {
        let mut all = true;
        self.has_untaken = rewrite == Rewrite::Missing;
        for (name, published) in &self.published {
            if rewrite == Rewrite::Missing && published.folder.static_bootstrap().exists() {
                continue;
            }
            let set = Arc::clone(&published.resources.borrow());
            if let Err(error) = self.snapshots.write(name, &published.folder, &set, published.hash) {
                warn!(proxy = %name, "the snapshot is not written: {error}");
                self.problems.insert(format!("proxy {name}: the snapshot is not written: {error}"));
                all = false;
            }
        }
        all
    }

    /// The folder of a workload's proxy.
    pub(super) fn folder(&self, name: &NamespacedName) -> ProxyDir {
        self.layout.proxy(name)
    }

    /// Takes note of the workloads that have a proxy.
    pub(super) fn set_proxied<'a>(&mut self, names: impl Iterator<Item = &'a NamespacedName>) {
        self.listening.set_proxied(&self.layout, names);
    }

    /// A proxy has everything that is published to it. Returns which of its ports take mutual TLS as of now; nothing if it
    /// listens as before.
    fn note_listening(&mut self, name: &NamespacedName) -> Option<BTreeSet<SocketAddr>> {
        let published = self.published.get(name)?;
        self.listening.note(name, &published.folder, &published.inbound)
    }

    /// Hands new secrets to these proxies, and returns each proxy's hash.
    pub(super) fn renew(
        &mut self,
        names: &BTreeSet<NamespacedName>,
        minter: &Minter,
    ) -> BTreeMap<NamespacedName, Digest> {
        for (name, published) in self.published.iter_mut().filter(|(name, _)| names.contains(*name)) {
            let mut set = ResourceSet::clone(&published.resources.borrow());
            minter.fill(name, &mut set);
            published.hash = set.digest();
            published.resources.send_replace(Arc::new(set));
        }
        self.published.iter().map(|(name, published)| (name.clone(), published.hash)).collect()
    }

    /// What proxies could not be given, for people.
    pub(super) fn problems(&self) -> impl Iterator<Item = &String> {
        self.problems.iter()
    }
}
