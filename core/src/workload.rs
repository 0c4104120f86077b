//! `Workload`: a local process or pod of a site. A local fact, not in Git: lowering joins it to a bundle.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use ipnet::Ipv4Net;

use crate::id::NamespacedName;
use crate::selector::Labels;

/// The inbound port of a proxy that names none.
pub const DEFAULT_INBOUND_PORT: u16 = 15006;

/// A local process or pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Namespace and name.
    pub name: NamespacedName,
    /// What services select it by.
    pub labels: Labels,
    /// The service account of its identity.
    pub service_account: String,
    /// Where it listens.
    pub address: IpAddr,
    /// The ports that it listens on.
    pub ports: Vec<WorkloadPort>,
    /// The Unix user whose processes are this workload, if they may ask who they are.
    pub uid: Option<u32>,
    /// Its own Envoy, if it has one.
    pub proxy: Option<Proxy>,
}

/// One port of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadPort {
    /// Its name, or empty.
    pub name: String,
    /// Its number.
    pub port: NonZeroU16,
}

/// What a proxy is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProxyRole {
    /// One workload.
    #[default]
    Sidecar,
}

/// The Envoy of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// What it is for.
    pub role: ProxyRole,
    /// Where virtual addresses of services are taken from; `None`: the mesh's.
    pub outbound_cidr: Option<Ipv4Net>,
    /// The port for the workload's first port; each further port has the next one.
    pub inbound_port: NonZeroU16,
}

impl Workload {
    /// Lists where workload and proxy listen: the workload's ports, and one inbound port for each of them.
    pub fn listeners(&self) -> impl Iterator<Item = SocketAddr> {
        let own = self.ports.iter().map(|port| SocketAddr::new(self.address, port.port.get()));
        let inbound = self.proxy.iter().flat_map(|_| self.ports.iter().map(|port| self.endpoint(port.port)));
        own.chain(inbound)
    }

    /// Says where other proxies reach the given port: at its own proxy if it has one, else at itself.
    ///
    /// A port that is not among `ports` is not behind the proxy.
    pub fn endpoint(&self, port: NonZeroU16) -> SocketAddr {
        let behind = self.proxy.as_ref().and_then(|proxy| {
            let at = self.ports.iter().position(|known| known.port == port)?;
            proxy.inbound_port.get().checked_add(u16::try_from(at).ok()?)
        });
        SocketAddr::new(self.address, behind.unwrap_or(port.get()))
    }
}
