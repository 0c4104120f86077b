//! `Cluster` (CDS): one for each port of each service, and one for each port of the proxy's own workload.

use std::net::SocketAddr;

use skerry_core::bundle::v1::{ClusterPolicy, Protocol, RetryBudget, Service, ServicePort};

use super::identity::{self, Identity};
use super::{Scope, endpoint, name, tls};
use crate::envoy::cluster::circuit_breakers::{Thresholds, thresholds};
use crate::envoy::cluster::cluster::{
    ClusterDiscoveryType, DiscoveryType, EdsClusterConfig, TransportSocketMatch,
};
use crate::envoy::cluster::{CircuitBreakers, Cluster};
use crate::envoy::core::Metadata;
use crate::envoy::upstream_http::HttpProtocolOptions;
use crate::envoy::upstream_http::http_protocol_options::{
    ExplicitHttpConfig, UpstreamProtocolOptions, UseDownstreamHttpConfig,
    explicit_http_config::ProtocolConfig,
};
use crate::envoy::{UInt32Value, core, from_ads, millis, of_text, pack, value};
use crate::resource::Named;

/// Skerry's default for a service's connections; also Envoy's.
const CONNECT_TIMEOUT_MS: u32 = 5_000;

/// To the workload beside the proxy: a refusal comes at once, so this only bounds a full backlog.
const LOCAL_CONNECT_TIMEOUT_MS: u32 = 1_000;

/// Envoy allows 3 concurrent retries to a cluster when nobody says otherwise, which silently drops
/// the fourth. Without a budget the bound is that of requests.
const MAX_RETRIES: u32 = 1_024;

/// The key of HTTP options among a cluster's extensions.
const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// What a proxy speaks to an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// Bytes.
    Tcp,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 without negotiation.
    Http2,
    /// Whatever the client speaks.
    LikeDownstream,
}

impl From<Protocol> for Upstream {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp,
            Protocol::Http => Self::Http1,
            Protocol::Http2 => Self::Http2,
        }
    }
}

/// Makes a cluster for every port of a service; says whether they name secrets.
pub(super) fn lower(scope: &Scope<'_>, service: &Service) -> (Vec<Named>, bool) {
    let ids = match scope.identity {
        Identity::Held(domain) => identity::of_service(scope, domain, service),
        Identity::NotEnrolled | Identity::Missing => Vec::new(),
    };
    let metadata = if ids.is_empty() { None } else { not_yet_mutual(scope, service) };
    let of_port = |port| Cluster { metadata: metadata.clone(), ..of_service(service, port, &ids) };
    let clusters = service.ports.iter().map(|port| Named::cluster(&of_port(port))).collect();
    (clusters, !ids.is_empty() && !service.ports.is_empty())
}

/// Names the endpoints that take no mutual TLS yet. Envoy keeps the connections to an endpoint that is called otherwise
/// from now on, but not those of a cluster that differs: the last one in plain text goes when this changes.
fn not_yet_mutual(scope: &Scope<'_>, service: &Service) -> Option<Metadata> {
    let places = endpoint::not_yet_mutual(scope, service);
    let text: Vec<String> = places.iter().map(ToString::to_string).collect();
    let named = of_text("not-yet-mutual-tls", &text.join(" "));
    let metadata = Metadata { filter_metadata: [("skerry".to_owned(), named)].into(), ..Default::default() };
    (!places.is_empty()).then_some(metadata)
}

/// `ids` are those of whom it may meet; nobody is called by mutual TLS where there are none.
fn of_service(service: &Service, port: &ServicePort, ids: &[String]) -> Cluster {
    let policy = service.cluster.unwrap_or_default();
    let eds = EdsClusterConfig { eds_config: Some(from_ads()), service_name: String::new() };
    Cluster {
        name: name::cluster(&service.namespace, &service.name, port.port),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(eds),
        connect_timeout: Some(millis(connect_timeout(&policy).into())),
        circuit_breakers: Some(circuit_breakers(policy.retry_budget)),
        transport_socket_matches: mutual_tls(ids, port.protocol().into()),
        typed_extension_protocol_options: http_options(port.protocol().into()),
        ..Default::default()
    }
}

/// The socket of endpoints that say so; others are called in plain text.
fn mutual_tls(ids: &[String], upstream: Upstream) -> Vec<TransportSocketMatch> {
    if ids.is_empty() {
        return Vec::new();
    }
    vec![TransportSocketMatch {
        name: "mutual-tls".to_owned(),
        r#match: Some(tls::criterion()),
        transport_socket: Some(tls::client(ids, upstream)),
    }]
}

/// Makes the cluster of one port of the workload beside the proxy.
pub(crate) fn to_workload(name: &str, at: SocketAddr, upstream: Upstream) -> Cluster {
    Cluster {
        name: name.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        load_assignment: Some(endpoint::assignment(name, [at])),
        connect_timeout: Some(millis(LOCAL_CONNECT_TIMEOUT_MS.into())),
        circuit_breakers: Some(no_limits()),
        typed_extension_protocol_options: http_options(upstream),
        ..Default::default()
    }
}

fn connect_timeout(policy: &ClusterPolicy) -> u32 {
    if policy.connect_timeout_ms == 0 { CONNECT_TIMEOUT_MS } else { policy.connect_timeout_ms }
}

/// The workload's own limits count, not Envoy's 1,024 of each: a client's proxy bounds what it sends.
fn no_limits() -> CircuitBreakers {
    let most = || Some(UInt32Value { value: u32::MAX });
    let thresholds = Thresholds {
        max_connections: most(),
        max_pending_requests: most(),
        max_requests: most(),
        max_retries: most(),
        ..Default::default()
    };
    CircuitBreakers { thresholds: vec![thresholds], ..Default::default() }
}

/// Connections, pending requests and requests keep Envoy's 1,024 each.
fn circuit_breakers(budget: Option<RetryBudget>) -> CircuitBreakers {
    let thresholds = match budget {
        Some(budget) => Thresholds { retry_budget: Some(to_budget(budget)), ..Default::default() },
        None => Thresholds { max_retries: Some(UInt32Value { value: MAX_RETRIES }), ..Default::default() },
    };
    CircuitBreakers { thresholds: vec![thresholds], ..Default::default() }
}

fn to_budget(budget: RetryBudget) -> thresholds::RetryBudget {
    thresholds::RetryBudget {
        budget_percent: Some(value::Percent { value: f64::from(budget.percent.min(100)) }),
        min_retry_concurrency: Some(UInt32Value { value: budget.min_concurrency }),
        ..Default::default()
    }
}

/// Makes the options of a cluster, by the key under which Envoy looks for them; none for TCP.
pub(crate) fn http_options(upstream: Upstream) -> std::collections::HashMap<String, crate::envoy::Any> {
    let explicit = |protocol| {
        UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(protocol) })
    };
    let options = match upstream {
        Upstream::Tcp => return std::collections::HashMap::new(),
        Upstream::Http1 => {
            explicit(ProtocolConfig::HttpProtocolOptions(core::Http1ProtocolOptions::default()))
        }
        Upstream::Http2 => {
            explicit(ProtocolConfig::Http2ProtocolOptions(core::Http2ProtocolOptions::default()))
        }
        Upstream::LikeDownstream => {
            UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
                http_protocol_options: Some(core::Http1ProtocolOptions::default()),
                http2_protocol_options: Some(core::Http2ProtocolOptions::default()),
                ..Default::default()
            })
        }
    };
    let options = HttpProtocolOptions { upstream_protocol_options: Some(options), ..Default::default() };
    [(HTTP_OPTIONS.to_owned(), pack(&options))].into()
}
