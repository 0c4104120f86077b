//! Looks at a set from the outside: does everything that is named exist? Envoy accepts dangling names
//! and then answers 503, so the check is ours. It shares no code with lowering's decisions.

use std::collections::{BTreeMap, BTreeSet};

use crate::bootstrap::to_manager;
use crate::envoy::core::Address;
use crate::envoy::core::address::Address as Kind;
use crate::envoy::core::socket_address::PortSpecifier;
use crate::envoy::hcm::http_connection_manager::RouteSpecifier;
use crate::envoy::listener::filter::ConfigType;
use crate::envoy::listener::{Filter, Listener};
use crate::envoy::network_rbac::Rbac;
use crate::envoy::route::route::Action;
use crate::envoy::route::route_action::ClusterSpecifier;
use crate::envoy::route::{RouteAction, RouteConfiguration};
use crate::envoy::tcp_proxy::TcpProxy;
use crate::envoy::tcp_proxy::tcp_proxy::ClusterSpecifier as TcpCluster;
use crate::lower::name::INVALID_CLUSTER;
use crate::resource::{ResourceKind, ResourceSet};

/// Returns what is wrong with a set, one line each; nothing if all references hold.
pub fn check(set: &ResourceSet) -> Vec<String> {
    let mut findings = endpoints(set);
    findings.extend(listeners(set));
    let routes =
        set.routes().flat_map(|routes| clusters_of_routes(&format!("route `{}`", routes.name), &routes));
    findings.extend(dangling(set, routes));
    findings.extend(addresses(set));
    findings
}

fn endpoints(set: &ResourceSet) -> Vec<String> {
    let by_eds: BTreeSet<String> = set
        .clusters()
        .filter(|cluster| cluster.eds_cluster_config.is_some())
        .map(|cluster| cluster.name)
        .collect();
    let given = set.of(ResourceKind::Endpoint);
    let missing = by_eds.iter().filter(|name| !given.contains_key(name.as_str()));
    let unused = given.keys().filter(|name| !by_eds.contains(&***name));
    missing
        .map(|name| format!("cluster `{name}` has no endpoints"))
        .chain(unused.map(|name| format!("endpoints `{name}` belong to no cluster")))
        .collect()
}

fn listeners(set: &ResourceSet) -> Vec<String> {
    let mut findings = Vec::new();
    let mut named = BTreeSet::new();
    for listener in set.listeners() {
        let subject = format!("listener `{}`", listener.name);
        let chains = listener.filter_chains.iter().chain(&listener.default_filter_chain);
        for filter in chains.flat_map(|chain| &chain.filters) {
            match to_target(filter) {
                Target::Routes(name) => {
                    if !set.of(ResourceKind::Route).contains_key(name.as_str()) {
                        findings.push(format!("{subject} names routes `{name}`, which do not exist"));
                    }
                    named.insert(name);
                }
                Target::Inline(routes) => {
                    findings.extend(dangling(set, clusters_of_routes(&subject, &routes)));
                }
                Target::Cluster(cluster) => findings.extend(dangling(set, vec![(subject.clone(), cluster)])),
                Target::Guard => {}
                Target::Unknown => findings.push(format!("{subject} has a filter that leads nowhere")),
            }
        }
    }
    let unused = set.of(ResourceKind::Route).keys().filter(|name| !named.contains(&***name));
    findings.extend(unused.map(|name| format!("routes `{name}` belong to no listener")));
    findings
}

/// Where a network filter sends what it gets.
enum Target {
    Routes(String),
    Inline(Box<RouteConfiguration>),
    Cluster(String),
    /// To the filter behind it, or nowhere.
    Guard,
    Unknown,
}

fn to_target(filter: &Filter) -> Target {
    use prost::{Message as _, Name as _};
    if let Some(manager) = to_manager(filter) {
        return match manager.route_specifier {
            Some(RouteSpecifier::Rds(named)) => Target::Routes(named.route_config_name),
            Some(RouteSpecifier::RouteConfig(routes)) => Target::Inline(Box::new(routes)),
            Some(RouteSpecifier::ScopedRoutes(_)) | None => Target::Unknown,
        };
    }
    let Some(ConfigType::TypedConfig(any)) = &filter.config_type else { return Target::Unknown };
    if any.type_url == Rbac::type_url() {
        return Target::Guard;
    }
    if any.type_url != TcpProxy::type_url() {
        return Target::Unknown;
    }
    match TcpProxy::decode(any.value.as_slice()).map(|proxy| proxy.cluster_specifier) {
        Ok(Some(TcpCluster::Cluster(cluster))) => Target::Cluster(cluster),
        _ => Target::Unknown,
    }
}

/// Who names a cluster, and which.
type Reference = (String, String);

fn clusters_of_routes(subject: &str, routes: &RouteConfiguration) -> Vec<Reference> {
    let routes = routes.virtual_hosts.iter().flat_map(|host| &host.routes);
    let actions = routes.filter_map(|route| match &route.action {
        Some(Action::Route(action)) => Some((route.name.as_str(), action)),
        _ => None,
    });
    let references = actions.flat_map(|(route, action)| {
        clusters_of_action(action).into_iter().map(move |cluster| (format!("{subject}, `{route}`"), cluster))
    });
    references.collect()
}

fn clusters_of_action(action: &RouteAction) -> Vec<String> {
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(cluster)) => vec![cluster.clone()],
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            weighted.clusters.iter().map(|cluster| cluster.name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

fn dangling(set: &ResourceSet, references: impl IntoIterator<Item = Reference>) -> Vec<String> {
    let is_missing = |(_, cluster): &Reference| {
        cluster != INVALID_CLUSTER && !set.of(ResourceKind::Cluster).contains_key(cluster.as_str())
    };
    let missing = references.into_iter().filter(is_missing);
    missing
        .map(|(subject, cluster)| format!("{subject} names cluster `{cluster}`, which does not exist"))
        .collect()
}

fn addresses(set: &ResourceSet) -> Vec<String> {
    let mut owners: BTreeMap<(i32, String, u32), String> = BTreeMap::new();
    let mut findings = Vec::new();
    for listener in set.listeners() {
        let Some(at) = to_key(&listener) else {
            findings.push(format!("listener `{}` has no address", listener.name));
            continue;
        };
        let text = format!("{}, port {}", at.1, at.2);
        if let Some(owner) = owners.insert(at, listener.name.clone()) {
            findings
                .push(format!("listeners `{owner}` and `{}` have the same address {text}", listener.name));
        }
    }
    findings
}

/// Protocol, address and port.
fn to_key(listener: &Listener) -> Option<(i32, String, u32)> {
    let Some(Address { address: Some(Kind::SocketAddress(socket)) }) = &listener.address else { return None };
    match socket.port_specifier {
        Some(PortSpecifier::PortValue(port)) => Some((socket.protocol, socket.address.clone(), port)),
        _ => None,
    }
}
