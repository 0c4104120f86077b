//! Outbound listeners: one for each port of each service, at its virtual address.
//!
//! Envoy checks each changed listener against those that run: two services that swap addresses in
//! one step are refused. Indexes never move, so only a `clusterIP` can do that.

use std::net::{IpAddr, SocketAddr};

use skerry_core::bundle::v1::{Protocol, Service, ServicePort};

use super::http::{self, Idle};
use super::{Connect, to_listener, to_tcp_proxy};
use crate::envoy::core::TrafficDirection;
use crate::envoy::listener::Filter;
use crate::lower::address::{self, AddressError};
use crate::lower::piece::Lookup;
use crate::lower::{Draft, Scope, name, route};
use crate::resource::{Named, Problem};

/// A port of a service as it was lowered, whether or not its address is free.
#[derive(Debug)]
pub(crate) struct Outbound {
    port: u32,
    /// Where it listens and with what; `None` if its number is none.
    listening: Option<Listening>,
}

#[derive(Debug)]
struct Listening {
    at: SocketAddr,
    listener: Named,
    routes: Option<Named>,
    /// What of its routes is left out.
    problems: Vec<Problem>,
}

/// Makes the listeners of a service, and the routes of its HTTP ports; `lookups` takes what was asked
/// about other services.
pub(crate) fn lower(
    scope: &Scope<'_>,
    service: &Service,
    lookups: &mut Vec<Lookup>,
) -> Result<Vec<Outbound>, AddressError> {
    let address = address::of_service(service, scope.cidr)?;
    let of = |port| lower_port(scope, service, port, address, lookups);
    Ok(service.ports.iter().map(of).collect())
}

fn lower_port(
    scope: &Scope<'_>,
    service: &Service,
    port: &ServicePort,
    address: IpAddr,
    lookups: &mut Vec<Lookup>,
) -> Outbound {
    let listening = socket(address, port.port).map(|at| {
        let name = name::outbound(service, port.port);
        let filter = to_filter(service, port, &name);
        let listener = Named::listener(&to_listener(&name, at, TrafficDirection::Outbound, vec![filter]));
        let mut problems = Vec::new();
        let is_http = port.protocol() != Protocol::Tcp;
        let routes = is_http.then(|| route::lower(scope, service, port, lookups, &mut problems));
        Listening { at, listener, routes, problems }
    });
    Outbound { port: port.port, listening }
}

impl Outbound {
    /// Adds it to a result, if its address is free.
    pub(crate) fn place(&self, service: &Service, draft: &mut Draft) {
        let port = self.port;
        let Some(Listening { at, listener, routes, problems }) = &self.listening else {
            return draft.report(name::subject(service), format!("port {port} is not a port number"));
        };
        if let Err(reason) = draft.claim(*at, listener.name()) {
            return draft.report(name::subject(service), format!("port {port} has no listener: {reason}"));
        }
        draft.set.insert(listener);
        routes.iter().for_each(|routes| draft.set.insert(routes));
        draft.set.problems.extend_from_slice(problems);
    }
}

fn socket(address: IpAddr, port: u32) -> Option<SocketAddr> {
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    Some(SocketAddr::new(address, port))
}

/// Streams on an HTTP/2 port (gRPC) may be silent for as long as both ends want. Who may call is decided where the
/// call arrives.
fn to_filter(service: &Service, port: &ServicePort, name: &str) -> Filter {
    let cluster = || name::cluster(&service.namespace, &service.name, port.port);
    let to_http = |idle| http::to_filter(name, idle, None);
    match port.protocol() {
        Protocol::Tcp => to_tcp_proxy(name, &cluster(), Connect::AtOnce),
        Protocol::Http => to_http(Idle::Ended),
        Protocol::Http2 => to_http(Idle::Kept),
    }
}
