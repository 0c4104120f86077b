//! The start file of a proxy that asks the agent, over ADS on a Unix socket.

use std::path::Path;

use super::{BootstrapOptions, NodeId, runtime, text};
use crate::envoy::bootstrap::Bootstrap;
use crate::envoy::bootstrap::bootstrap::{DynamicResources, StaticResources};
use crate::envoy::cluster::Cluster;
use crate::envoy::cluster::cluster::{ClusterDiscoveryType, DiscoveryType};
use crate::envoy::core::api_config_source::ApiType;
use crate::envoy::core::grpc_service::{EnvoyGrpc, TargetSpecifier};
use crate::envoy::core::{self, ApiConfigSource, ApiVersion, BackoffStrategy, ConfigSource, GrpcService};
use crate::envoy::{from_ads, millis, pipe};
use crate::lower::cluster::{Upstream, http_options};
use crate::lower::endpoint;

/// The static cluster that is the agent.
pub const ADS_CLUSTER: &str = "skerry-agent";

const CONNECT_TIMEOUT_MS: u64 = 1_000;

/// How soon Envoy asks again after the agent went away. The agent is on the same host and its restart
/// takes less than a second, so this is shorter than Envoy's 500 ms to 30 s.
const RECONNECT_BASE_MS: u64 = 100;
const RECONNECT_MAX_MS: u64 = 2_000;

/// How the agent answers: changes, or the whole state each time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AdsMode {
    /// Incremental xDS: a change costs what it changes.
    #[default]
    Delta,
    /// State of the world, for clients that know nothing else.
    Sotw,
}

/// Makes the start file of a proxy that asks the agent at a Unix socket.
///
/// It waits for its first clusters and listeners for ever: an Envoy that gave up would go live with
/// none, and in a hot restart would take over from one that serves.
pub fn ads_bootstrap(node: &NodeId, socket: &Path, mode: AdsMode, options: &BootstrapOptions) -> Bootstrap {
    let dynamic = DynamicResources {
        ads_config: Some(to_source(mode)),
        cds_config: Some(awaited()),
        lds_config: Some(awaited()),
        ..Default::default()
    };
    let agent = to_agent(socket);
    Bootstrap {
        node: Some(node.to_node()),
        static_resources: Some(StaticResources { clusters: vec![agent], ..Default::default() }),
        dynamic_resources: Some(dynamic),
        admin: options.to_admin(),
        layered_runtime: Some(runtime::layers()),
        ..Default::default()
    }
}

fn awaited() -> ConfigSource {
    ConfigSource { initial_fetch_timeout: Some(millis(0)), ..from_ads() }
}

/// The first request of each stream is 62 kB with the node in it; the others need not repeat it.
fn to_source(mode: AdsMode) -> ApiConfigSource {
    let api_type = match mode {
        AdsMode::Delta => ApiType::DeltaGrpc,
        AdsMode::Sotw => ApiType::Grpc,
    };
    ApiConfigSource {
        api_type: api_type.into(),
        transport_api_version: ApiVersion::V3.into(),
        grpc_services: vec![to_service()],
        set_node_on_first_message_only: true,
        ..Default::default()
    }
}

fn to_service() -> GrpcService {
    let pause = BackoffStrategy {
        base_interval: Some(millis(RECONNECT_BASE_MS)),
        max_interval: Some(millis(RECONNECT_MAX_MS)),
    };
    let target = EnvoyGrpc {
        cluster_name: ADS_CLUSTER.to_owned(),
        retry_policy: Some(core::RetryPolicy { retry_back_off: Some(pause), ..Default::default() }),
        ..Default::default()
    };
    GrpcService { target_specifier: Some(TargetSpecifier::EnvoyGrpc(target)), ..Default::default() }
}

fn to_agent(socket: &Path) -> Cluster {
    Cluster {
        name: ADS_CLUSTER.to_owned(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        load_assignment: Some(endpoint::assignment_at(ADS_CLUSTER, vec![pipe(text(socket), 0)])),
        connect_timeout: Some(millis(CONNECT_TIMEOUT_MS)),
        typed_extension_protocol_options: http_options(Upstream::Http2),
        ..Default::default()
    }
}
