//! Inbound listeners: one for each port of the proxy's own workload, where other proxies reach it.
//!
//! They pass on as it comes what may come in: timeouts and retries are the calling proxy's business.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::num::NonZeroU16;

use skerry_core::bundle::v1::{MtlsMode, Protocol, ServicePort};

use super::http::{self, Idle};
use super::mutual::{Mutual, Takes};
use super::{Connect, to_listener, to_tcp_proxy};
use crate::envoy::core::TrafficDirection;
use crate::envoy::listener::Filter;
use crate::lower::authorization::{Carries, Guard};
use crate::lower::cluster::{self, Upstream};
use crate::lower::{Draft, Scope, name, port, route};
use crate::resource::Named;

/// A port of the workload as it was lowered.
#[derive(Debug)]
pub(crate) struct Inbound {
    plan: Plan,
    cluster: Named,
    listener: Named,
    /// Of a port that carries requests.
    routes: Option<Named>,
}

/// All that a port's resources depend on besides the workload.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    upstream: Upstream,
    /// Who is let in.
    guard: Guard,
    /// How callers say who they are.
    mutual: Mutual,
    connect: Connect,
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
    let plan = Plan::of(scope, port).map_err(|reason| format!("port {port} is closed: {reason}"))?;
    draft.claim(at, &name).map_err(|reason| format!("port {port} is not behind the proxy: {reason}"))?;
    draft.set.names_secrets |= plan.mutual.takes != Takes::Plain;
    let known = memory.remove(&port).filter(|known| known.plan == plan);
    let make = || {
        let mut listener = to_listener(&name, at, TrafficDirection::Inbound, plan.to_filters(&name));
        plan.mutual.guard(&mut listener, plan.upstream);
        let cluster = Named::cluster(&cluster::to_workload(&name, workload, plan.upstream));
        let routes = plan.to_routes(&name);
        Inbound { plan, cluster, listener: Named::listener(&listener), routes }
    };
    let inbound = memory.entry(port).or_insert(known.unwrap_or_else(make));
    draft.set.insert(&inbound.cluster);
    draft.set.insert(&inbound.listener);
    inbound.routes.iter().for_each(|routes| draft.set.insert(routes));
    Ok(())
}

/// Lists the ports of services that stand for a port of the workload, each with the service's mode of mutual TLS.
fn ports<'a>(scope: &Scope<'a>, at: NonZeroU16) -> impl Iterator<Item = (MtlsMode, &'a ServicePort)> {
    let (bundle, owner) = (scope.bundle, scope.owner);
    let services = bundle.services.values().filter(move |service| port::selects(service, owner));
    let ports = services.flat_map(|service| service.ports.iter().map(|port| (service.mtls(), port)));
    ports.filter(move |(_, service_port)| port::resolve(service_port, owner) == Some(at))
}

/// Services say what a workload's port speaks; bytes if none does or one of them says so.
fn upstream(scope: &Scope<'_>, at: NonZeroU16) -> Upstream {
    let protocols: BTreeSet<Protocol> = ports(scope, at).map(|(_, port)| port.protocol()).collect();
    match protocols.into_iter().collect::<Vec<_>>().as_slice() {
        [Protocol::Http] => Upstream::Http1,
        [Protocol::Http2] => Upstream::Http2,
        [Protocol::Http, Protocol::Http2] => Upstream::LikeDownstream,
        _ => Upstream::Tcp,
    }
}

impl Plan {
    fn of(scope: &Scope<'_>, at: NonZeroU16) -> Result<Self, &'static str> {
        let upstream = upstream(scope, at);
        let carries = if upstream == Upstream::Tcp { Carries::Bytes } else { Carries::Requests };
        let guard = Guard::of(scope, at, carries);
        let waits = guard.refuses() && ports(scope, at).all(|(_, port)| !port.server_first);
        let connect = if waits { Connect::AfterFirstBytes } else { Connect::AtOnce };
        let is_lenient = scope.lenient.contains(&scope.owner.endpoint(at));
        let mutual = Mutual::of(scope, is_lenient, ports(scope, at))?;
        Ok(Self { upstream, guard, mutual, connect })
    }

    fn to_filters(&self, name: &str) -> Vec<Filter> {
        if self.upstream == Upstream::Tcp {
            let mut filters = self.guard.to_network_filters(name);
            filters.push(to_tcp_proxy(name, name, self.connect));
            return filters;
        }
        vec![http::to_filter(name, Idle::Kept, Some(&self.guard))]
    }

    /// Everything that may come in goes to the workload.
    fn to_routes(&self, name: &str) -> Option<Named> {
        if self.upstream == Upstream::Tcp {
            return None;
        }
        let mut routes = route::to_everything(name, name);
        self.guard.enforce_in(&mut routes);
        Some(Named::route(&routes))
    }
}
