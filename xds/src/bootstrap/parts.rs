//! A start file whose listeners stand apart, so that who cannot read protobuf can leave some of them out: those whose
//! address somebody else has would stop the whole Envoy.

use std::net::SocketAddr;
use std::ops::Range;

use prost::Message as _;

use super::snapshot::{clusters, frame, listeners};
use super::{BootstrapOptions, NodeId};
use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::bootstrap::bootstrap::StaticResources;
use crate::envoy::core::address::Address;
use crate::envoy::core::socket_address::PortSpecifier;
use crate::envoy::listener::Listener;
use crate::resource::ResourceSet;

/// A start file in bytes, and where its listeners are in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The whole file, for `envoy -c FILE.pb`.
    pub bytes: Vec<u8>,
    /// The listeners that bind an address. Without the bytes of any of them it is a start file still: fields of messages
    /// that stand several times are merged (protobuf, "Last One Wins").
    pub listeners: Vec<Part>,
}

/// A listener in a start file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its bytes.
    pub range: Range<usize>,
    /// What it binds.
    pub at: SocketAddr,
    /// Whether it binds an address that no interface has.
    pub is_free: bool,
}

/// Encodes the start file of [`static_bootstrap`](super::static_bootstrap) in parts. What is decoded at once is one resource.
pub fn static_parts(set: &ResourceSet, node: &NodeId, options: &BootstrapOptions) -> Parts {
    let mut parts = Parts { bytes: frame(node, options).encode_to_vec(), listeners: Vec::new() };
    for cluster in clusters(set, options) {
        parts.add(StaticResources { clusters: vec![cluster], ..Default::default() });
    }
    for listener in listeners(set, options) {
        let (at, is_free) = (address_of(&listener), listener.freebind.is_some_and(|freebind| freebind.value));
        let range = parts.add(StaticResources { listeners: vec![listener], ..Default::default() });
        parts.listeners.extend(at.map(|at| Part { range, at, is_free }));
    }
    parts
}

impl Parts {
    /// Adds resources, and says where they are.
    fn add(&mut self, resources: StaticResources) -> Range<usize> {
        let start = self.bytes.len();
        let part = Bootstrap { static_resources: Some(resources), ..Default::default() };
        part.encode(&mut self.bytes).expect("a vector has room for everything");
        start..self.bytes.len()
    }
}

fn address_of(listener: &Listener) -> Option<SocketAddr> {
    let Some(Address::SocketAddress(socket)) = &listener.address.as_ref()?.address else { return None };
    let Some(PortSpecifier::PortValue(port)) = socket.port_specifier else { return None };
    Some(SocketAddr::new(socket.address.parse().ok()?, u16::try_from(port).ok()?))
}
