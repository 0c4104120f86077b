//! `ClusterLoadAssignment` (EDS): where the workloads of a service listen. `Service` means this site.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;

use skerry_core::bundle::v1::{Service, ServicePort};
use skerry_core::workload::Workload;

use super::identity::Identity;
use super::{Scope, name, port, tls};
use crate::envoy::core::Address;
use crate::envoy::endpoint::lb_endpoint::HostIdentifier;
use crate::envoy::endpoint::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints};
use crate::envoy::tcp;
use crate::resource::Named;

/// Makes the endpoints of every port of a service, also when there are none: Envoy then answers 503
/// at once instead of waiting for them.
pub(super) fn lower(scope: &Scope<'_>, service: &Service) -> Vec<Named> {
    let selected: Vec<&Workload> =
        scope.workloads.values().copied().filter(|workload| port::selects(service, workload)).collect();
    let of = |service_port: &ServicePort| {
        let name = name::cluster(&service.namespace, &service.name, service_port.port);
        let places = places(scope, &selected, service_port);
        let endpoints = places.into_iter().map(|(at, way)| lb_endpoint(tcp(at), way)).collect();
        Named::endpoint(&of_endpoints(&name, endpoints))
    };
    service.ports.iter().map(of).collect()
}

/// Lists the endpoints of a service that have a proxy and are called in plain text all the same.
pub(super) fn not_yet_mutual(scope: &Scope<'_>, service: &Service) -> BTreeSet<SocketAddr> {
    let selected: Vec<&Workload> =
        scope.workloads.values().copied().filter(|workload| port::selects(service, workload)).collect();
    let places = service.ports.iter().map(|port| places(scope, &selected, port));
    places
        .flatten()
        .filter_map(|(at, way)| (way == Way::Plain && scope.plain.contains(&at)).then_some(at))
        .collect()
}

/// How an endpoint is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Plain,
    Mutual,
}

fn places(
    scope: &Scope<'_>,
    selected: &[&Workload],
    service_port: &ServicePort,
) -> BTreeMap<SocketAddr, Way> {
    let at =
        |workload: &&Workload| port::resolve(service_port, workload).map(|port| place(scope, workload, port));
    selected.iter().filter_map(at).collect()
}

/// The proxy of a workload that calls itself does not go out and in again, and a proxy that does not
/// listen yet is passed by: make before break, when a workload gets a proxy.
fn place(scope: &Scope<'_>, workload: &Workload, port: NonZeroU16) -> (SocketAddr, Way) {
    let (itself, behind) = (SocketAddr::new(workload.address, port.get()), workload.endpoint(port));
    if workload.name == scope.owner.name || scope.silent.contains(&behind) || behind == itself {
        return (itself, Way::Plain);
    }
    let is_mutual = matches!(scope.identity, Identity::Held(_)) && !scope.plain.contains(&behind);
    (behind, if is_mutual { Way::Mutual } else { Way::Plain })
}

/// Makes the assignment of a cluster: TCP addresses of equal weight, in the given order.
pub(crate) fn assignment(
    cluster: &str,
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> ClusterLoadAssignment {
    assignment_at(cluster, addresses.into_iter().map(tcp).collect())
}

/// Makes the assignment of a cluster of any addresses; without any it has no locality either.
pub(crate) fn assignment_at(cluster: &str, addresses: Vec<Address>) -> ClusterLoadAssignment {
    of_endpoints(cluster, addresses.into_iter().map(|address| lb_endpoint(address, Way::Plain)).collect())
}

fn of_endpoints(cluster: &str, lb_endpoints: Vec<LbEndpoint>) -> ClusterLoadAssignment {
    let locality = LocalityLbEndpoints { lb_endpoints, ..Default::default() };
    let endpoints = if locality.lb_endpoints.is_empty() { Vec::new() } else { vec![locality] };
    ClusterLoadAssignment { cluster_name: cluster.to_owned(), endpoints, ..Default::default() }
}

fn lb_endpoint(address: Address, way: Way) -> LbEndpoint {
    let endpoint = Endpoint { address: Some(address), ..Default::default() };
    LbEndpoint {
        host_identifier: Some(HostIdentifier::Endpoint(endpoint)),
        metadata: (way == Way::Mutual).then(tls::metadata),
        ..Default::default()
    }
}
