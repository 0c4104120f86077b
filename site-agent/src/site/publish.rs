//! Publishing: a bundle lowered for each local proxy, and handed to its stream and its snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skerry_core::bundle::{Bundle, v1};
use skerry_core::id::{Digest, NamespacedName};
use skerry_core::workload::Workload;
use skerry_xds::lower::{LowerOptions, lower};
use skerry_xds::resource::ResourceSet;
use tokio::sync::watch;
use tracing::warn;

use crate::layout::{Layout, ProxyDir};
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
    /// The resources.
    pub(super) sets: BTreeMap<NamespacedName, ResourceSet>,
    /// Proxies that get nothing, and why.
    pub(super) failed: BTreeMap<NamespacedName, String>,
}

/// Lowers a bundle for every proxy of the workloads.
pub(super) fn lower_all(bundle: &Bundle, workloads: &[Workload]) -> Lowered {
    let mut lowered = Lowered::default();
    for workload in workloads.iter().filter(|workload| workload.proxy.is_some()) {
        match lower(bundle, workloads, &workload.name, &LowerOptions::default()) {
            Ok(set) => drop(lowered.sets.insert(workload.name.clone(), set)),
            Err(error) => drop(lowered.failed.insert(workload.name.clone(), error.to_string())),
        }
    }
    lowered
}

struct Published {
    folder: ProxyDir,
    hash: Digest,
    resources: watch::Sender<Arc<ResourceSet>>,
}

/// Lowers and hands out.
pub(crate) struct Publisher {
    layout: Layout,
    snapshots: Snapshots,
    published: BTreeMap<NamespacedName, Published>,
    problems: BTreeSet<String>,
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
        Self { layout, snapshots, published: BTreeMap::new(), problems: BTreeSet::new(), feeds, desired }
    }

    /// Publishes a lowered bundle and returns each proxy's hash. A proxy that nothing can be lowered
    /// for keeps what it has; without a bundle nothing is served, since an empty answer would remove.
    pub(super) fn publish(
        &mut self,
        Lowered { sets, failed }: Lowered,
        settings: Option<&v1::Settings>,
    ) -> BTreeMap<NamespacedName, Digest> {
        self.published.retain(|name, _| sets.contains_key(name) || failed.contains_key(name));
        self.problems = failed.iter().map(|(name, reason)| format!("proxy {name}: {reason}")).collect();
        for (name, set) in sets {
            let problems = set.problems.iter().map(|problem| format!("proxy {name}: {problem}"));
            self.problems.extend(problems);
            self.publish_one(name, set);
        }
        self.announce(settings);
        self.published.iter().map(|(name, published)| (name.clone(), published.hash)).collect()
    }

    fn publish_one(&mut self, name: NamespacedName, set: ResourceSet) {
        let hash = set.digest();
        if let Some(published) = self.published.get_mut(&name) {
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
            return;
        }
        let resources = watch::Sender::new(Arc::new(set));
        self.published.insert(name, Published { folder, hash, resources });
    }

    /// Tells the servers and the supervisor, if anything changed for them.
    fn announce(&self, settings: Option<&v1::Settings>) {
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

    /// Writes each proxy's snapshot of what is published now.
    pub(super) fn write_snapshots(&mut self) {
        for (name, published) in &self.published {
            let set = Arc::clone(&published.resources.borrow());
            if let Err(error) = self.snapshots.write(name, &published.folder, &set, published.hash) {
                warn!(proxy = %name, "the snapshot is not written: {error}");
                self.problems.insert(format!("proxy {name}: the snapshot is not written: {error}"));
            }
        }
    }

    /// The folder of a workload's proxy.
    pub(super) fn folder(&self, name: &NamespacedName) -> ProxyDir {
        self.layout.proxy(name)
    }

    /// What proxies could not be given, for people.
    pub(super) fn problems(&self) -> impl Iterator<Item = &String> {
        self.problems.iter()
    }
}
