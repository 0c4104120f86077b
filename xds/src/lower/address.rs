//! Virtual addresses: where a proxy listens for the clients of a service.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;
use skerry_core::bundle::v1;
use skerry_core::workload::Proxy;

use super::LowerError;

/// Why a service has no virtual address at a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `clusterIP` holds something else.
    #[error("`{0}` is not an IP address (clusterIP)")]
    NotAnAddress(String),
    /// Neither the proxy nor the mesh names a CIDR, and the service has no `clusterIP`.
    #[error("neither the proxy nor the mesh has an outbound CIDR, and the service has no clusterIP")]
    NoCidr,
    /// The service's index does not fit.
    #[error("its index {index} does not fit into the outbound CIDR {cidr}; use a wider one")]
    CidrTooSmall {
        /// The index.
        index: u32,
        /// The CIDR.
        cidr: Ipv4Net,
    },
}

/// Says where a proxy's virtual addresses are taken from: its own CIDR, else the mesh's, else nowhere.
pub fn outbound_cidr(settings: &v1::Settings, proxy: &Proxy) -> Result<Option<Ipv4Net>, LowerError> {
    match (proxy.outbound_cidr, settings.outbound_cidr.as_str()) {
        (Some(cidr), _) => Ok(Some(cidr)),
        (None, "") => Ok(None),
        (None, text) => text.parse().map(Some).map_err(|_| LowerError::InvalidCidr(text.to_owned())),
    }
}

/// Returns the virtual address of a service: its `clusterIP`, else by index in the CIDR.
///
/// The first address after the network's is the proxy's own; index 1 is the one after that.
pub fn of_service(service: &v1::Service, cidr: Option<Ipv4Net>) -> Result<IpAddr, AddressError> {
    if !service.cluster_ip.is_empty() {
        let parsed = service.cluster_ip.parse();
        return parsed.map_err(|_| AddressError::NotAnAddress(service.cluster_ip.clone()));
    }
    let cidr = cidr.ok_or(AddressError::NoCidr)?;
    let address = service.index.checked_add(1).and_then(|offset| nth(cidr, offset));
    address.map(IpAddr::V4).ok_or(AddressError::CidrTooSmall { index: service.index, cidr })
}

/// Returns the proxy's own address in its CIDR: the first after the network's.
pub fn of_proxy(cidr: Ipv4Net) -> Option<Ipv4Addr> {
    nth(cidr, 1)
}

/// Says whether an address can be bound on a Linux host that nobody configured it on.
pub(crate) fn is_always_local(address: IpAddr) -> bool {
    address.is_loopback()
}

fn nth(cidr: Ipv4Net, offset: u32) -> Option<Ipv4Addr> {
    let address = u32::from(cidr.network()).checked_add(offset).map(Ipv4Addr::from)?;
    cidr.contains(&address).then_some(address)
}
