//! The start file that needs nobody: all resources of a set, with endpoints in their clusters and
//! routes in their listeners.

use std::collections::BTreeMap;

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
use crate::envoy::route::RouteConfiguration;
use crate::lower::listener::http::{MANAGER, pack_manager};
use crate::resource::ResourceSet;

/// Makes the start file that serves a set as it is, for ever.
pub fn static_bootstrap(set: &ResourceSet, node: &NodeId, options: &BootstrapOptions) -> Bootstrap {
    let mut endpoints: BTreeMap<_, _> =
        set.endpoints().map(|assignment| (assignment.cluster_name.clone(), assignment)).collect();
    let routes: BTreeMap<_, _> = set.routes().map(|routes| (routes.name.clone(), routes)).collect();
    let resources = StaticResources {
        clusters: set
            .clusters()
            .map(|cluster| secrets::fix_cluster(fix_endpoints(cluster, &mut endpoints), &options.secrets))
            .collect(),
        listeners: set
            .listeners()
            .map(|listener| secrets::fix_listener(fix_routes(listener, &routes), &options.secrets))
            .collect(),
        ..Default::default()
    };
    Bootstrap {
        node: Some(node.to_node()),
        static_resources: Some(resources),
        admin: options.to_admin(),
        layered_runtime: Some(runtime::layers()),
        ..Default::default()
    }
}

/// A cluster without endpoints stays without: Envoy answers 503 for it, as over EDS.
fn fix_endpoints(mut cluster: Cluster, endpoints: &mut BTreeMap<String, ClusterLoadAssignment>) -> Cluster {
    if cluster.eds_cluster_config.take().is_some() {
        let empty = || ClusterLoadAssignment { cluster_name: cluster.name.clone(), ..Default::default() };
        cluster.load_assignment = Some(endpoints.remove(&cluster.name).unwrap_or_else(empty));
        cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into()));
    }
    cluster
}

fn fix_routes(mut listener: Listener, routes: &BTreeMap<String, RouteConfiguration>) -> Listener {
    let chains = listener.filter_chains.iter_mut().chain(&mut listener.default_filter_chain);
    for filter in chains.flat_map(|chain| &mut chain.filters) {
        if let Some(mut manager) = to_manager(filter)
            && let Some(RouteSpecifier::Rds(named)) = &manager.route_specifier
        {
            let found = routes.get(&named.route_config_name).cloned().unwrap_or_default();
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
