//! `Listener` (LDS): the shape that all TCP listeners share, and their network filters.

use std::net::SocketAddr;

use super::address::is_always_local;
use crate::envoy::core::TrafficDirection;
use crate::envoy::listener::filter::ConfigType;
use crate::envoy::listener::{Filter, FilterChain, Listener};
use crate::envoy::tcp_proxy::UpstreamConnectMode;
use crate::envoy::{BoolValue, UInt32Value, pack, tcp, tcp_proxy};

pub(crate) mod dns;
pub(crate) mod http;
pub(crate) mod inbound;
mod mutual;
pub(crate) mod outbound;

/// Makes a listener with filters, the last of which leads somewhere.
///
/// An outbound address outside the loopback network is bound before (or without) somebody
/// configuring it on the host: `IP_FREEBIND`, which needs no privilege.
fn to_listener(name: &str, at: SocketAddr, direction: TrafficDirection, filters: Vec<Filter>) -> Listener {
    let is_foreign = direction == TrafficDirection::Outbound && !is_always_local(at.ip());
    Listener {
        name: name.to_owned(),
        address: Some(tcp(at)),
        stat_prefix: name.to_owned(),
        filter_chains: vec![FilterChain { filters, ..Default::default() }],
        freebind: is_foreign.then_some(BoolValue { value: true }),
        traffic_direction: direction.into(),
        ..Default::default()
    }
}

/// When the connection to the cluster is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connect {
    /// As soon as somebody calls.
    AtOnce,
    /// When the caller has said something. What stands before the proxy judges a caller by its first bytes, and until
    /// then a refused one would hear what the server says.
    AfterFirstBytes,
}

/// What a caller may say before the connection to the cluster is there; then it waits.
const MAX_EARLY_BYTES: u32 = 16 << 10;

/// Makes the filter that copies bytes to a cluster. Envoy's idle timeout of one hour holds.
fn to_tcp_proxy(stat_prefix: &str, cluster: &str, connect: Connect) -> Filter {
    let waits = connect == Connect::AfterFirstBytes;
    let mode = if waits { UpstreamConnectMode::OnDownstreamData } else { UpstreamConnectMode::Immediate };
    let proxy = tcp_proxy::TcpProxy {
        stat_prefix: stat_prefix.to_owned(),
        upstream_connect_mode: mode.into(),
        max_early_data_bytes: waits.then_some(UInt32Value { value: MAX_EARLY_BYTES }),
        cluster_specifier: Some(tcp_proxy::tcp_proxy::ClusterSpecifier::Cluster(cluster.to_owned())),
        ..Default::default()
    };
    Filter {
        name: "envoy.filters.network.tcp_proxy".to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack(&proxy))),
    }
}
