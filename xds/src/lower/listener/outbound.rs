//! Outbound listeners: one for each port of each service, at its virtual address.
//!
//! Envoy checks each changed listener against those that run: two services that swap addresses in
//! one step are refused. Indexes never move, so only a `clusterIP` can do that.

use std::net::{IpAddr, SocketAddr};

use skerry_core::bundle::v1::{Protocol, Service, ServicePort};

use super::http::{self, Idle, Routes};
use super::{to_listener, to_tcp_proxy};
use crate::envoy::core::TrafficDirection;
use crate::envoy::listener::Filter;
use crate::lower::{Draft, Scope, address, name, route};

/// Adds the listeners of a service, and the routes of its HTTP ports.
pub(crate) fn lower(scope: &Scope<'_>, service: &Service, draft: &mut Draft) {
    match address::of_service(service, scope.cidr) {
        Ok(address) => {
            for port in &service.ports {
                lower_port(scope, service, port, address, draft);
            }
        }
        Err(error) => draft.report(name::subject(service), format!("has no listener: {error}")),
    }
}

fn lower_port(scope: &Scope<'_>, service: &Service, port: &ServicePort, address: IpAddr, draft: &mut Draft) {
    let name = name::outbound(service, port.port);
    let Some(at) = socket(address, port.port) else {
        return draft.report(name::subject(service), format!("port {} is not a port number", port.port));
    };
    if let Err(owner) = draft.claim(at, &name) {
        let message = format!("port {} has no listener: {at} is already that of `{owner}`", port.port);
        return draft.report(name::subject(service), message);
    }
    let filter = to_filter(service, port, &name);
    draft.set.add_listener(&to_listener(&name, at, TrafficDirection::Outbound, filter));
    if port.protocol() != Protocol::Tcp {
        route::lower(scope, service, port, draft);
    }
}

fn socket(address: IpAddr, port: u32) -> Option<SocketAddr> {
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    Some(SocketAddr::new(address, port))
}

/// Streams on an HTTP/2 port (gRPC) may be silent for as long as both ends want.
fn to_filter(service: &Service, port: &ServicePort, name: &str) -> Filter {
    let routes = || Routes::Named(name.to_owned());
    match port.protocol() {
        Protocol::Tcp => to_tcp_proxy(name, &name::cluster(&service.namespace, &service.name, port.port)),
        Protocol::Http => http::to_filter(name, routes(), Idle::Ended),
        Protocol::Http2 => http::to_filter(name, routes(), Idle::Kept),
    }
}
