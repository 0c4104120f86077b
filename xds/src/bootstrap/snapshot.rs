//! The start file that needs nobody: all resources of a set, with endpoints in their clusters and
//! routes in their listeners.

use prost::Message as _;

use super::{BootstrapOptions, NodeId, runtime, secrets};
use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::bootstrap::bootstrap::StaticResources;
use crate::envoy::cluster::Cluster;
use crate::envoy::cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
use crate::envoy::endpoint::ClusterLoadAssignment;
use crate::envoy::hcm::HttpConnectionManager;
use crate::envoy::hcm::http_connection_manager::RouteSpecifier;
use crate::envoy::listener::filter::ConfigType;
use crate::envoy::listener::{Filter, Listener};
use crate::lower::listener::http::{MANAGER, pack_manager};
use crate::resource::ResourceSet;

/// Makes the start file that serves a set as it is, for ever.
pub fn static_bootstrap(set: &ResourceSet, node: &NodeId, options: &BootstrapOptions) -> Bootstrap {
    let mut bootstrap = frame(node, options);
    bootstrap.static_resources = Some(StaticResources {
        clusters: clusters(set, options).collect(),
        listeners: listeners(set, options).collect(),
        ..Default::default()
    });
    bootstrap
}

/// All of it but the resources.
pub(super) fn frame(node: &NodeId, options: &BootstrapOptions) -> Bootstrap {
    Bootstrap {
        node: Some(node.to_node()),
        static_resources: Some(StaticResources::default()),
        admin: options.to_admin(),
        layered_runtime: Some(runtime::layers()),
        ..Default::default()
    }
}

/// Its clusters, each decoded when it is asked for: all at once they are many times what they are encoded.
pub(super) fn clusters(set: &ResourceSet, options: &BootstrapOptions) -> impl Iterator<Item = Cluster> {
    set.clusters().map(|cluster| secrets::fix_cluster(fix_endpoints(cluster, set), &options.secrets))
}

/// Its listeners, as its clusters.
pub(super) fn listeners(set: &ResourceSet, options: &BootstrapOptions) -> impl Iterator<Item = Listener> {
    set.listeners().map(|listener| secrets::fix_listener(fix_routes(listener, set), &options.secrets))
}

/// A cluster without endpoints stays without: Envoy answers 503 for it, as over EDS.
fn fix_endpoints(mut cluster: Cluster, set: &ResourceSet) -> Cluster {
    if cluster.eds_cluster_config.take().is_some() {
        let empty = || ClusterLoadAssignment { cluster_name: cluster.name.clone(), ..Default::default() };
        cluster.load_assignment = Some(set.endpoint(&cluster.name).unwrap_or_else(empty));
        cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into()));
    }
    cluster
}

fn fix_routes(mut listener: Listener, set: &ResourceSet) -> Listener {
    let chains = listener.filter_chains.iter_mut().chain(&mut listener.default_filter_chain);
    for filter in chains.flat_map(|chain| &mut chain.filters) {
        if let Some(mut manager) = to_manager(filter)
            && let Some(RouteSpecifier::Rds(named)) = &manager.route_specifier
        {
            let found = set.route(&named.route_config_name).unwrap_or_default();
            manager.route_specifier = Some(RouteSpecifier::RouteConfig(found));
            *filter = pack_manager(&manager);
        }
    }
    listener
}

/// Decodes a filter that is a connection manager.
pub(crate) fn to_manager(filter: &Filter) -> Option<HttpConnectionManager> {
    match &filter.config_type {
        Some(ConfigType::TypedConfig(any)) if filter.name == MANAGER => {
            HttpConnectionManager::decode(any.value.as_slice()).ok()
        }
        _ => None,
    }
}
