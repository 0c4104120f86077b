//! Publishing: a bundle lowered for each local proxy, and handed to its stream and its snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use skerry_core::bundle::{Bundle, v1};
use skerry_core::id::{Digest, NamespacedName};
use skerry_core::workload::Workload;
use skerry_xds::lower::{LowerOptions, Lowering};
use skerry_xds::resource::ResourceSet;
use tokio::sync::watch;
use tracing::warn;

use super::Site;
use crate::layout::{Layout, ProxyDir, replace_file};
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

type Addresses = BTreeSet<SocketAddr>;

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
        let listening: Addresses = self.publisher.listening.values().flatten().copied().collect();
        let silent = proxied().flat_map(inbound).filter(|at| !listening.contains(at)).collect();
        let mut options = LowerOptions { silent, ..Default::default() };
        for workload in proxied() {
            options.unbound = self.unbound.of(&workload.name);
            let mut lowering = before.remove(&workload.name).unwrap_or_default();
            match lowering.lower(bundle, &self.workloads, &workload.name, &options) {
                Ok(set) => {
                    let inbound = inbound(workload).filter(|at| !options.unbound.contains_key(at)).collect();
                    lowered.sets.insert(workload.name.clone(), (set, inbound));
                }
                Err(error) => drop(lowered.failed.insert(workload.name.clone(), error.to_string())),
            }
            self.lowerings.insert(workload.name.clone(), lowering);
        }
        lowered
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
        if self.machine.proxies().is_ready(name) && self.publisher.note_listening(name) {
            self.publish_again();
        }
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
    /// Where proxies were seen to listen. Kept in their folders, so that a restarted agent serves the
    /// same; a proxy that is down for a while is none that does not listen yet.
    listening: BTreeMap<NamespacedName, Addresses>,
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
            listening: BTreeMap::new(),
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

    /// Takes note of the workloads that have a proxy: where those that are new were seen to listen is
    /// in their folders.
    pub(super) fn set_proxied<'a>(&mut self, names: impl Iterator<Item = &'a NamespacedName>) {
        let before = std::mem::take(&mut self.listening);
        for name in names {
            let read = || {
                let text = fs_err::read_to_string(self.layout.proxy(name).listening()).unwrap_or_default();
                text.lines().filter_map(|line| line.parse().ok()).collect()
            };
            self.listening.insert(name.clone(), before.get(name).cloned().unwrap_or_else(read));
        }
        for name in before.keys().filter(|name| !self.listening.contains_key(*name)) {
            // It goes with the folder at the latest.
            let _is_gone = fs_err::remove_file(self.layout.proxy(name).listening());
        }
    }

    /// A proxy has everything that is published to it; true when it listens elsewhere than before.
    fn note_listening(&mut self, name: &NamespacedName) -> bool {
        let Some(published) = self.published.get(name) else { return false };
        if self.listening.get(name) == Some(&published.inbound) {
            return false;
        }
        let lines: String = published.inbound.iter().map(|at| format!("{at}\n")).collect();
        if let Err(error) = replace_file(&published.folder.listening(), lines.as_bytes()) {
            warn!(proxy = %name, "a restarted agent will not know that it listens: {error}");
        }
        self.listening.insert(name.clone(), published.inbound.clone());
        true
    }

    /// What proxies could not be given, for people.
    pub(super) fn problems(&self) -> impl Iterator<Item = &String> {
        self.problems.iter()
    }
}
