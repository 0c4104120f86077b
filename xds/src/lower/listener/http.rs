//! The HTTP connection manager: how a proxy treats requests before it routes them.

use crate::envoy::hcm::http_connection_manager::{
    PathWithEscapedSlashesAction, RouteSpecifier, ServerHeaderTransformation, UpgradeConfig,
};
use crate::envoy::hcm::{HttpConnectionManager, HttpFilter, Rds, http_filter};
use crate::envoy::listener::Filter;
use crate::envoy::listener::filter::ConfigType;
use crate::envoy::router::Router;
use crate::envoy::{BoolValue, Duration, from_ads, millis, pack};
use crate::lower::authorization::Guard;

/// The name of the filter, and of its type among a listener's filters.
pub(crate) const MANAGER: &str = "envoy.filters.network.http_connection_manager";

/// A request to an HTTP port in which nothing moves for so long is ended: five minutes, Envoy's default.
pub(crate) const STREAM_IDLE_TIMEOUT_MS: u64 = 300_000;

/// How long a silent request is kept.
#[derive(Clone, Copy)]
pub(crate) enum Idle {
    /// [`STREAM_IDLE_TIMEOUT_MS`], unless its route says otherwise.
    Ended,
    /// As long as both ends want.
    Kept,
}

/// Makes the filter that routes HTTP; its routes come by RDS, under the same name.
///
/// It is as transparent as it can be: the `server` header is the backend's, `x-envoy-*` headers are
/// neither read for nor added, the client's address is taken as it comes (`use_remote_address` is
/// off). Paths are normalized (RFC 3986 §6) so that `/a/../b` cannot pass a match on `/a`; slashes
/// are neither merged nor unescaped. Where a policy looks at paths, one with an escaped slash is
/// answered 400: `/a/..%2fb` is `/b` to some servers. WebSocket upgrades pass.
pub(crate) fn to_filter(name: &str, idle: Idle, guard: Option<&Guard>) -> Filter {
    let mut http_filters = guard.map(Guard::to_http_filters).unwrap_or_default();
    http_filters.push(router());
    let manager = HttpConnectionManager {
        stat_prefix: name.to_owned(),
        route_specifier: Some(RouteSpecifier::Rds(Rds {
            config_source: Some(from_ads()),
            route_config_name: name.to_owned(),
        })),
        http_filters,
        server_header_transformation: ServerHeaderTransformation::PassThrough.into(),
        normalize_path: Some(BoolValue { value: true }),
        path_with_escaped_slashes_action: escaped_slashes(guard).into(),
        stream_idle_timeout: Some(to_duration(idle)),
        upgrade_configs: vec![UpgradeConfig { upgrade_type: "websocket".to_owned(), ..Default::default() }],
        ..Default::default()
    };
    pack_manager(&manager)
}

/// Packs a connection manager as a listener's filter.
pub(crate) fn pack_manager(manager: &HttpConnectionManager) -> Filter {
    Filter { name: MANAGER.to_owned(), config_type: Some(ConfigType::TypedConfig(pack(manager))) }
}

fn to_duration(idle: Idle) -> Duration {
    match idle {
        Idle::Ended => millis(STREAM_IDLE_TIMEOUT_MS),
        Idle::Kept => millis(0),
    }
}

fn escaped_slashes(guard: Option<&Guard>) -> PathWithEscapedSlashesAction {
    match guard.is_some_and(Guard::has_paths) {
        true => PathWithEscapedSlashesAction::RejectRequest,
        false => PathWithEscapedSlashesAction::ImplementationSpecificDefault,
    }
}

fn router() -> HttpFilter {
    let router = Router { suppress_envoy_headers: true, ..Default::default() };
    HttpFilter {
        name: "envoy.filters.http.router".to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(pack(&router))),
        ..Default::default()
    }
}
