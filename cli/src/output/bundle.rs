//! Fragments as plain values, named as in bundle.proto by the proto3 JSON mapping; what is not set is left out.

use serde_json::{Map, Value, json};
use skerry_core::bundle::v1;

mod authorization;

/// Renders a site's settings.
pub fn settings(settings: &v1::Settings) -> Value {
    object([
        ("trustDomain", text(&settings.trust_domain)),
        ("supervision", json!(settings.supervision().as_str_name())),
        ("drainSeconds", json!(settings.drain_seconds)),
        ("outboundCidr", text(&settings.outbound_cidr)),
        ("staleAfterSeconds", number(settings.stale_after_seconds)),
        ("denyByDefault", if settings.deny_by_default { json!(true) } else { Value::Null }),
        ("mtls", mtls(settings.mtls())),
        ("link", settings.link.as_ref().map_or(Value::Null, link)),
    ])
}

fn mtls(mode: v1::MtlsMode) -> Value {
    match mode {
        v1::MtlsMode::Unspecified => Value::Null,
        v1::MtlsMode::Permissive => json!("Permissive"),
        v1::MtlsMode::Strict => json!("Strict"),
    }
}

fn link(link: &v1::Link) -> Value {
    object([
        ("keepaliveSeconds", json!(link.keepalive_seconds)),
        ("keepaliveTimeoutSeconds", json!(link.keepalive_timeout_seconds)),
        ("reportSeconds", json!(link.report_seconds)),
    ])
}

/// Renders a service.
pub fn service(service: &v1::Service) -> Value {
    object([
        ("namespace", text(&service.namespace)),
        ("name", text(&service.name)),
        ("index", json!(service.index)),
        ("clusterIp", text(&service.cluster_ip)),
        ("selector", if service.selector.is_empty() { Value::Null } else { json!(service.selector) }),
        ("ports", list(&service.ports, port)),
        ("tables", list(&service.tables, table)),
        ("cluster", service.cluster.as_ref().map_or(Value::Null, cluster)),
        ("mtls", mtls(service.mtls())),
        ("authorization", service.authorization.as_ref().map_or(Value::Null, authorization::authorization)),
    ])
}

fn port(port: &v1::ServicePort) -> Value {
    let target = match &port.target {
        Some(v1::service_port::Target::TargetNumber(number)) => ("targetNumber", json!(number)),
        Some(v1::service_port::Target::TargetName(name)) => ("targetName", text(name)),
        None => ("targetNumber", Value::Null),
    };
    let protocol = json!(port.protocol().as_str_name());
    let server_first = if port.server_first { json!(true) } else { Value::Null };
    object([
        ("name", text(&port.name)),
        ("port", json!(port.port)),
        target,
        ("protocol", protocol),
        ("serverFirst", server_first),
    ])
}

fn table(table: &v1::RouteTable) -> Value {
    object([
        ("port", json!(table.port)),
        ("clientNamespace", text(&table.client_namespace)),
        ("routes", list(&table.routes, route)),
    ])
}

fn route(route: &v1::Route) -> Value {
    let action = match &route.action {
        Some(v1::route::Action::Forward(to)) => ("forward", forward(to)),
        Some(v1::route::Action::Redirect(to)) => ("redirect", redirect(to)),
        Some(v1::route::Action::DirectResponse(code)) => ("directResponse", json!(code)),
        None => ("forward", Value::Null),
    };
    object([
        ("name", text(&route.name)),
        ("match", route.r#match.as_ref().map_or(Value::Null, route_match)),
        ("requestHeaders", route.request_headers.as_ref().map_or(Value::Null, headers)),
        ("responseHeaders", route.response_headers.as_ref().map_or(Value::Null, headers)),
        action,
    ])
}

fn route_match(given: &v1::RouteMatch) -> Value {
    object([
        ("path", given.path.as_ref().map_or(Value::Null, path_match)),
        ("headers", list(&given.headers, value_match)),
        ("queryParams", list(&given.query_params, value_match)),
        ("method", text(&given.method)),
    ])
}

fn path_match(path: &v1::PathMatch) -> Value {
    match &path.kind {
        Some(v1::path_match::Kind::Exact(path)) => json!({"exact": path}),
        Some(v1::path_match::Kind::Prefix(path)) => json!({"prefix": path}),
        Some(v1::path_match::Kind::Regex(regex)) => json!({"regex": regex}),
        None => Value::Null,
    }
}

fn value_match(given: &v1::ValueMatch) -> Value {
    let (kind, value) = match &given.kind {
        Some(v1::value_match::Kind::Exact(value)) => ("exact", json!(value)),
        Some(v1::value_match::Kind::Regex(regex)) => ("regex", json!(regex)),
        None => ("exact", Value::Null),
    };
    object([("name", text(&given.name)), (kind, value)])
}

fn headers(headers: &v1::HeaderModifier) -> Value {
    let header = |header: &v1::Header| json!({"name": header.name, "value": header.value});
    let remove = list(&headers.remove, |name| json!(name));
    object([("set", list(&headers.set, header)), ("add", list(&headers.add, header)), ("remove", remove)])
}

fn forward(forward: &v1::Forward) -> Value {
    object([
        ("backends", list(&forward.backends, backend)),
        ("rewrite", forward.rewrite.as_ref().map_or(Value::Null, rewrite)),
        ("timeouts", forward.timeouts.as_ref().map_or(Value::Null, timeouts)),
        ("retry", forward.retry.as_ref().map_or(Value::Null, retry)),
    ])
}

fn backend(backend: &v1::Backend) -> Value {
    object([
        ("namespace", text(&backend.namespace)),
        ("name", text(&backend.name)),
        ("port", number(backend.port)),
        ("weight", json!(backend.weight)),
        ("requestHeaders", backend.request_headers.as_ref().map_or(Value::Null, headers)),
        ("responseHeaders", backend.response_headers.as_ref().map_or(Value::Null, headers)),
        ("invalid", if backend.invalid { json!(true) } else { Value::Null }),
    ])
}

fn rewrite(rewrite: &v1::Rewrite) -> Value {
    object([
        ("hostname", text(&rewrite.hostname)),
        ("path", rewrite.path.as_ref().map_or(Value::Null, path_modifier)),
    ])
}

fn path_modifier(path: &v1::PathModifier) -> Value {
    match &path.kind {
        Some(v1::path_modifier::Kind::Full(path)) => json!({"full": path}),
        Some(v1::path_modifier::Kind::Prefix(prefix)) => json!({"prefix": prefix}),
        None => Value::Null,
    }
}

fn redirect(redirect: &v1::Redirect) -> Value {
    object([
        ("scheme", text(&redirect.scheme)),
        ("hostname", text(&redirect.hostname)),
        ("path", redirect.path.as_ref().map_or(Value::Null, path_modifier)),
        ("port", number(redirect.port)),
        ("statusCode", json!(redirect.status_code)),
    ])
}

fn timeouts(timeouts: &v1::Timeouts) -> Value {
    object([
        ("requestMs", json!(timeouts.request_ms)),
        ("backendRequestMs", json!(timeouts.backend_request_ms)),
    ])
}

fn retry(retry: &v1::Retry) -> Value {
    object([
        ("attempts", json!(retry.attempts)),
        ("codes", list(&retry.codes, |code| json!(code))),
        ("backoffMs", number(retry.backoff_ms)),
    ])
}

fn cluster(cluster: &v1::ClusterPolicy) -> Value {
    let budget = cluster.retry_budget.as_ref().map_or(
        Value::Null,
        |budget| json!({"percent": budget.percent, "minConcurrency": budget.min_concurrency}),
    );
    object([("connectTimeoutMs", number(cluster.connect_timeout_ms)), ("retryBudget", budget)])
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn number(number: u32) -> Value {
    if number == 0 { Value::Null } else { json!(number) }
}

fn list<T>(items: &[T], render: impl Fn(&T) -> Value) -> Value {
    if items.is_empty() { Value::Null } else { Value::Array(items.iter().map(render).collect()) }
}
