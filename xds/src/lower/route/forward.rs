//! Sending a request on: to one cluster, or by weight to several.

use skerry_core::bundle::v1::{Backend, Forward, PathMatch, Protocol};
use skerry_core::id::NamespacedName;

use super::header::{Changes, is_value};
use super::path::PathChange;
use super::timeout::Limits;
use super::{Context, answer, retry};
use crate::envoy::route::route::Action;
use crate::envoy::route::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier,
};
use crate::envoy::route::weighted_cluster::{ClusterWeight, cluster_weight};
use crate::envoy::route::{RouteAction, WeightedCluster};
use crate::envoy::{Duration, UInt32Value, millis};
use crate::lower::listener::http::STREAM_IDLE_TIMEOUT_MS;
use crate::lower::name;
use crate::lower::piece::Lookup;

/// The largest weight of the API; the sum of a rule's sixteen then fits where Envoy adds them up.
const MAX_WEIGHT: u32 = 1_000_000;

/// Makes the action of an inbound route.
pub(super) fn without_limits(cluster: &str) -> RouteAction {
    RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        timeout: Some(millis(0)),
        ..Default::default()
    }
}

/// Lowers a forward of a route with these header changes. No backend: 500.
pub(super) fn to_action(
    forward: &Forward,
    path: Option<&PathMatch>,
    changes: &mut Changes,
    context: &mut Context<'_>,
) -> Action {
    let backends = forward.backends.iter().filter(|backend| backend.weight > 0);
    let mut shares: Vec<Share> = backends.map(|backend| Share::of(backend, context)).collect();
    if shares.is_empty() {
        return answer(500);
    }
    let host = changes.request.host.clone();
    move_to_shares(changes, &mut shares);
    let rewrite = forward.rewrite.clone().unwrap_or_default();
    let hostname = Some(rewrite.hostname).filter(|host| !host.is_empty() && is_value(host)).or(host);
    let change = PathChange::of(rewrite.path.as_ref(), path, context);
    let limits = Limits::of(forward.timeouts, forward.retry.as_ref(), context.protocol);
    Action::Route(RouteAction {
        cluster_not_found_response_code: when_not_found(&shares).into(),
        cluster_specifier: Some(to_specifier(shares)),
        host_rewrite_specifier: hostname.map(HostRewriteSpecifier::HostRewriteLiteral),
        regex_rewrite: change.to_substitution(),
        prefix_rewrite: if let PathChange::Prefix(prefix) = change { prefix } else { String::new() },
        timeout: Some(millis(limits.whole.unwrap_or(0))),
        idle_timeout: idle(limits.whole, context.protocol),
        retry_policy: retry::to_policy(forward.retry.as_ref(), limits.per_try),
        ..Default::default()
    })
}

/// One backend's share of the requests.
struct Share {
    cluster: String,
    weight: u32,
    changes: Changes,
}

impl Share {
    fn of(backend: &Backend, context: &mut Context<'_>) -> Self {
        let cluster = if !backend.invalid && is_known(backend, context) {
            name::cluster(&backend.namespace, &backend.name, backend.port)
        } else {
            name::INVALID_CLUSTER.to_owned()
        };
        Self {
            cluster,
            weight: backend.weight.min(MAX_WEIGHT),
            changes: Changes::of(
                backend.request_headers.as_ref(),
                backend.response_headers.as_ref(),
                context,
            ),
        }
    }

    fn into_weight(self) -> ClusterWeight {
        let Changes { request, response } = self.changes;
        ClusterWeight {
            name: self.cluster,
            weight: Some(UInt32Value { value: self.weight }),
            request_headers_to_add: request.to_add,
            request_headers_to_remove: request.to_remove,
            response_headers_to_add: response.to_add,
            response_headers_to_remove: response.to_remove,
            host_rewrite_specifier: request
                .host
                .map(cluster_weight::HostRewriteSpecifier::HostRewriteLiteral),
            ..Default::default()
        }
    }
}

fn is_known(backend: &Backend, context: &mut Context<'_>) -> bool {
    let service = NamespacedName::new(backend.namespace.clone(), backend.name.clone());
    let lookup = Lookup::ask(context.scope.bundle, service, backend.port);
    if !lookup.is_there {
        context.note(format!(
            "backend {} port {} is not in the bundle: its share is answered 500",
            lookup.service, lookup.port
        ));
    }
    let is_known = lookup.is_there;
    context.lookups.push(lookup);
    is_known
}

/// A backend's changes come after its route's. Envoy does it the other way round, so once a backend
/// has any, the route's are given to each backend instead.
fn move_to_shares(changes: &mut Changes, shares: &mut [Share]) {
    if shares.iter().all(|share| share.changes.is_empty()) {
        return;
    }
    for share in shares {
        share.changes = changes.then(std::mem::take(&mut share.changes));
    }
    *changes = Changes::default();
}

/// An unusable backend is answered 500 (Gateway API). A cluster that is missing for a moment is a 503.
fn when_not_found(shares: &[Share]) -> ClusterNotFoundResponseCode {
    if shares.iter().any(|share| share.cluster == name::INVALID_CLUSTER) {
        ClusterNotFoundResponseCode::InternalServerError
    } else {
        ClusterNotFoundResponseCode::ServiceUnavailable
    }
}

fn to_specifier(mut shares: Vec<Share>) -> ClusterSpecifier {
    if shares.len() == 1 && shares[0].changes.is_empty() {
        return ClusterSpecifier::Cluster(shares.remove(0).cluster);
    }
    let clusters = shares.into_iter().map(Share::into_weight).collect();
    ClusterSpecifier::WeightedClusters(WeightedCluster { clusters, ..Default::default() })
}

/// A request that may take longer than the listener lets it be silent must not be ended for silence.
fn idle(whole_ms: Option<u64>, protocol: Protocol) -> Option<Duration> {
    let is_patient = whole_ms.is_none_or(|whole| whole >= STREAM_IDLE_TIMEOUT_MS);
    (protocol == Protocol::Http && is_patient).then(|| millis(0))
}
