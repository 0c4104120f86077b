//! `Service` (core/v1): a mesh service.

use std::net::IpAddr;

use crate::bundle::v1::Protocol;
use crate::bundle::v1::service_port::Target;
use crate::selector::Labels;

/// A mesh service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// `spec.clusterIP`, if it is an address.
    pub cluster_ip: Option<IpAddr>,
    /// `spec.selector`; empty selects no workload.
    pub selector: Labels,
    /// `spec.ports`, TCP ones, in order.
    pub ports: Vec<Port>,
}

/// One port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name, or empty.
    pub name: String,
    /// Its number, 1 to 65535.
    pub port: u16,
    /// The port of the workload.
    pub target: Target,
    /// What it speaks, from `appProtocol`, else from the first word of the name (`http-admin`).
    /// `None`: HTTP when a route attaches to it, TCP otherwise.
    pub protocol: Option<Protocol>,
    /// Whether the server speaks first, from `appProtocol` alone (`mysql`, `smtp`, …).
    pub server_first: bool,
}

impl Service {
    /// Finds a port by number.
    pub fn port(&self, number: u16) -> Option<&Port> {
        self.ports.iter().find(|port| port.port == number)
    }
}
