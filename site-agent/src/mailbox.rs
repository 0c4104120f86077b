//! What the loops send to `site`: one bounded queue, one owner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skerry_core::id::NamespacedName;
use skerry_xds::audit::Counts;

use crate::enrolment::Enrolment;
use crate::launcher::LauncherState;
use crate::layout::ProxyDir;
use crate::{ads, link, workloads};

/// How many letters wait: `site` handles one in microseconds to milliseconds, and who finds the
/// queue full waits for a place.
pub(crate) const CAPACITY: usize = 256;

/// A letter to `site`.
#[derive(Debug)]
pub(crate) enum Mail {
    /// From the core.
    Link(link::Event),
    /// From a proxy.
    Proxy(ads::Event),
    /// The workload folder changed.
    Workloads(workloads::Loaded),
    /// The site was enrolled, or what it has was renewed.
    Enrolment(Option<Arc<Enrolment>>),
    /// What the launchers run; all of them, whenever one changed.
    Launchers(BTreeMap<NamespacedName, LauncherState>),
    /// What the proxies' authorization counted.
    Counted(Counts),
    /// Why the Workload API is not served, or nothing once it is.
    WorkloadApi(Option<String>),
    /// The machine slept, or its clock was set.
    ClocksMoved,
    /// Folders that belong to no published proxy and that no launcher runs; whenever there are others.
    Vacant(BTreeSet<ProxyDir>),
}

/// Where letters are put.
pub(crate) type Sender = tokio::sync::mpsc::Sender<Mail>;
