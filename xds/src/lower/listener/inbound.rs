//! Inbound listeners: one for each port of the proxy's own workload, where other proxies reach it.
//!
//! They pass everything on as it comes: timeouts and retries are the calling proxy's business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;

use skerry_core::bundle::v1::{Protocol, ServicePort};

use super::http::{self, Idle, Routes};
use super::{to_listener, to_tcp_proxy};
use crate::envoy::core::TrafficDirection;
use crate::envoy::listener::Filter;
use crate::lower::cluster::{self, Upstream};
use crate::lower::{Draft, Scope, name, port, route};
use crate::resource::Named;

/// A port of the workload as it was lowered.
#[derive(Debug)]
pub(crate) struct Inbound {
    upstream: Upstream,
    cluster: Named,
    listener: Named,
}

/// What the ports became in the bundle before, by their number.
pub(crate) type Memory = BTreeMap<NonZeroU16, Inbound>;

/// Adds a listener and a cluster for every declared port of the workload. `memory` is of the same
/// workload and is brought up to date.
pub(crate) fn lower(scope: &Scope<'_>, memory: &mut Memory, draft: &mut Draft) {
    let ports: BTreeSet<NonZeroU16> = scope.owner.ports.iter().map(|port| port.port).collect();
    for port in ports {
        if let Err(message) = lower_port(scope, port, memory, draft) {
            draft.report(format!("workload {}", scope.owner.name), message);
        }
    }
}

fn lower_port(
    scope: &Scope<'_>,
    port: NonZeroU16,
    memory: &mut Memory,
    draft: &mut Draft,
) -> Result<(), String> {
    let name = name::inbound(port);
    let workload = SocketAddr::new(scope.owner.address, port.get());
    let at = scope.owner.endpoint(port);
    if at == workload {
        return Err(format!(
            "port {port} is not behind the proxy: the inbound ports run into it or end at 65535"
        ));
    }
    if let Some(other) = scope.owner.ports.iter().find(|other| other.port.get() == at.port()) {
        return Err(format!(
            "port {port} is not behind the proxy: its inbound port is the workload's own {}",
            other.port
        ));
    }
    draft.claim(at, &name).map_err(|reason| format!("port {port} is not behind the proxy: {reason}"))?;
    let upstream = upstream(scope, port);
    let make = || {
        let filter = to_filter(&name, upstream);
        let listener = to_listener(&name, at, TrafficDirection::Inbound, filter);
        let cluster = Named::cluster(&cluster::to_workload(&name, workload, upstream));
        Inbound { upstream, cluster, listener: Named::listener(&listener) }
    };
    let known = memory.remove(&port).filter(|known| known.upstream == upstream);
    let inbound = memory.entry(port).or_insert(known.unwrap_or_else(make));
    draft.set.insert(&inbound.cluster);
    draft.set.insert(&inbound.listener);
    Ok(())
}

/// Services say what a workload's port speaks; bytes if none does or one of them says so.
fn upstream(scope: &Scope<'_>, at: NonZeroU16) -> Upstream {
    let services = scope.bundle.services.values().filter(|service| port::selects(service, scope.owner));
    let ports = services.flat_map(|service| &service.ports);
    let protocols: BTreeSet<Protocol> = ports
        .filter(|service_port| port::resolve(service_port, scope.owner) == Some(at))
        .map(ServicePort::protocol)
        .collect();
    match protocols.into_iter().collect::<Vec<_>>().as_slice() {
        [Protocol::Http] => Upstream::Http1,
        [Protocol::Http2] => Upstream::Http2,
        [Protocol::Http, Protocol::Http2] => Upstream::LikeDownstream,
        _ => Upstream::Tcp,
    }
}

fn to_filter(name: &str, upstream: Upstream) -> Filter {
    if upstream == Upstream::Tcp {
        return to_tcp_proxy(name, name);
    }
    http::to_filter(name, Routes::Inline(Box::new(route::to_everything(name, name))), Idle::Kept)
}
