//! What one service becomes at one proxy. Kept for the next bundle, and used again as long as
//! everything that it was made of is the same. Must not look at what other services became.

use std::sync::Arc;

use skerry_core::bundle::Bundle;
use skerry_core::bundle::v1::Service;
use skerry_core::id::NamespacedName;

use super::listener::outbound::Outbound;
use super::{Draft, Scope, cluster, endpoint, listener, name};
use crate::resource::Named;

/// A question about another service that was asked on the way, with its answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lookup {
    /// The service.
    pub(super) service: NamespacedName,
    /// The number of one of its ports.
    pub(super) port: u32,
    /// Whether the bundle has both.
    pub(super) is_there: bool,
}

impl Lookup {
    /// Asks a bundle.
    pub(super) fn ask(bundle: &Bundle, service: NamespacedName, port: u32) -> Self {
        let is_there = is_there(bundle, &service, port);
        Self { service, port, is_there }
    }
}

fn is_there(bundle: &Bundle, service: &NamespacedName, port: u32) -> bool {
    bundle.services.get(service).is_some_and(|service| service.ports.iter().any(|known| known.port == port))
}

/// A service as it was lowered.
#[derive(Debug)]
pub(super) struct Piece {
    service: Arc<Service>,
    lookups: Vec<Lookup>,
    names_secrets: bool,
    clusters: Vec<Named>,
    endpoints: Vec<Named>,
    /// Its ports, or why there are none.
    ports: Result<Vec<Outbound>, String>,
}

impl Piece {
    /// Lowers a service.
    pub(super) fn of(scope: &Scope<'_>, service: &Arc<Service>) -> Self {
        let mut lookups = Vec::new();
        let ports = listener::outbound::lower(scope, service, &mut lookups);
        lookups.sort_unstable();
        lookups.dedup();
        let (clusters, names_secrets) = cluster::lower(scope, service);
        Self {
            service: Arc::clone(service),
            lookups,
            names_secrets,
            clusters,
            endpoints: endpoint::lower(scope, service),
            ports: ports.map_err(|error| format!("has no listener: {error}")),
        }
    }

    /// Says whether the service would become the same in this bundle, given the same local facts.
    pub(super) fn holds(&self, service: &Arc<Service>, bundle: &Bundle) -> bool {
        Arc::ptr_eq(&self.service, service)
            && self
                .lookups
                .iter()
                .all(|lookup| is_there(bundle, &lookup.service, lookup.port) == lookup.is_there)
    }

    /// Says whether the service names its address itself.
    pub(super) fn declares_address(&self) -> bool {
        !self.service.cluster_ip.is_empty()
    }

    /// Adds it to a result.
    pub(super) fn place(&self, draft: &mut Draft) {
        draft.set.names_secrets |= self.names_secrets;
        self.clusters.iter().for_each(|cluster| draft.set.insert(cluster));
        self.endpoints.iter().for_each(|endpoint| draft.set.insert(endpoint));
        match &self.ports {
            Ok(ports) => ports.iter().for_each(|port| port.place(&self.service, draft)),
            Err(problem) => draft.report(name::subject(&self.service), problem.clone()),
        }
    }
}
