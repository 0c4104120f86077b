//! The world that is measured: 200 services, 500 policies, sites in about 500 classes.

use serde_json::{Value, json};
use skerry_core::diagnostic::Location;
use skerry_core::document::{Document, Spans};
use skerry_core::index::Change;
use skerry_core::policy::Decoded;
use skerry_core::world::Age;

const SERVICES: usize = 200;
const ROUTES: usize = 200;
const POLICIES: usize = 200;
const OVERRIDES: usize = 100;
const GROUPS: usize = 100;
const TIERS: usize = 5;
/// High, so that anybody may listen on it.
pub(super) const PORT: u16 = 8080;

/// All changes that make the world.
pub(super) fn world(sites: usize) -> Vec<Change> {
    policies().chain((0..sites).map(site)).map(|value| upsert(&value)).collect()
}

/// All objects but sites.
pub(super) fn policies() -> impl Iterator<Item = Value> {
    let routes = (0..ROUTES).map(|at| route(at, 0));
    (0..SERVICES).map(service).chain(routes).chain((0..POLICIES).map(policy)).chain((0..OVERRIDES).map(over))
}

/// A value as a change.
pub(super) fn upsert(value: &Value) -> Change {
    let document =
        Document { location: Location::file("bench.yaml"), value: value.clone(), spans: Spans::default() };
    match skerry_crds::decode(&document) {
        Decoded::Object(object, _) => Change::Upsert(object.into(), Age::Known(0)),
        other => unreachable!("the benchmark's own objects are valid: {other:?}"),
    }
}

fn ours(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "skerry.dev/v1alpha1", "kind": kind,
           "metadata": {"name": name, "namespace": "shop"}, "spec": spec})
}

pub(super) fn site(at: usize) -> Value {
    let labels = json!({"tier": format!("t{}", at % TIERS), "group": format!("g{}", at % GROUPS),
                        "half": format!("h{}", (at / GROUPS) % 5), "site": format!("s{at}")});
    json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Site",
           "metadata": {"name": format!("s{at}"), "labels": labels}})
}

pub(super) fn service(at: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("svc-{at}"), "namespace": "shop"},
           "spec": {"selector": {"app": format!("svc-{at}")}, "ports": [{"name": "http", "port": PORT}]}})
}

/// The route of service `at`; another `version` is another header value.
pub(super) fn route(at: usize, version: usize) -> Value {
    let filter = json!({"type": "ResponseHeaderModifier",
                        "responseHeaderModifier": {"set": [{"name": "x-version", "value": version.to_string()}]}});
    let backends = json!([{"name": format!("svc-{at}"), "port": PORT, "weight": 90},
                          {"name": format!("svc-{}", (at + 1) % SERVICES), "port": PORT, "weight": 10}]);
    let parent = json!({"group": "", "kind": "Service", "name": format!("svc-{at}")});
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
           "metadata": {"name": format!("route-{at}"), "namespace": "shop"},
           "spec": {"parentRefs": [parent], "rules": [{"filters": [filter], "backendRefs": backends}]}})
}

fn policy(at: usize) -> Value {
    let mut spec = json!({"targetRefs": [{"group": "", "kind": "Service", "name": format!("svc-{at}")}],
                          "timeouts": {"request": format!("{}s", 1 + at % 20)}});
    if at.is_multiple_of(40) {
        spec["sites"] = json!({"matchLabels": {"half": format!("h{}", (at / 40) % 5)}});
    }
    ours("TrafficPolicy", &format!("policy-{at}"), &spec)
}

fn over(at: usize) -> Value {
    ours(
        "SiteOverride",
        &format!("override-{at}"),
        &json!({
            "sites": {"matchLabels": {"group": format!("g{}", at % GROUPS)}},
            "patches": [{"target": {"kind": "TrafficPolicy", "name": format!("policy-{at}")},
                         "merge": {"spec": {"timeouts": {"request": "9s"}}}}]
        }),
    )
}

/// A policy for one site alone.
pub(super) fn policy_of_one_site(seconds: usize) -> Value {
    ours(
        "TrafficPolicy",
        "one-site",
        &json!({
            "sites": {"matchLabels": {"site": "s1"}},
            "targetRefs": [{"group": "", "kind": "Service", "name": "svc-9"}],
            "timeouts": {"backendRequest": format!("{seconds}ms")}
        }),
    )
}

/// An override for one site alone.
pub(super) fn over_one_site(seconds: usize) -> Value {
    ours(
        "SiteOverride",
        "one-site",
        &json!({
            "precedence": 5,
            "sites": {"matchLabels": {"site": "s0"}},
            "patches": [{"target": {"kind": "TrafficPolicy", "name": "policy-7"},
                         "merge": {"spec": {"timeouts": {"request": format!("{}s", 100 + seconds)}}}}]
        }),
    )
}
