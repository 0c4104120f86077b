//! Random events of a small world: few names, so that events meet.

use proptest::prelude::*;
use serde_json::{Value, json};
use skerry_core::diagnostic::Location;
use skerry_core::document::{Document, Spans};
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::index::Change;
use skerry_core::policy::Decoded;
use skerry_core::world::Age;

const TIERS: [&str; 3] = ["retail", "lab", "depot"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const NAMESPACES: [&str; 2] = ["shop", "office"];

/// Up to 40 events.
pub fn events() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(event(), 1..40)
}

/// One event: an object that is new or different, or one that is gone.
pub fn event() -> impl Strategy<Value = Change> {
    let upsert = (object(), 0_i64..3).prop_map(|(value, age)| upsert(&value, Age::Known(age)));
    prop_oneof![5 => upsert, 1 => delete()]
}

/// Decodes a value into an upsert.
pub fn upsert(value: &Value, age: Age) -> Change {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    let file = format!("{}-{name}.yaml", value["kind"].as_str().unwrap_or_default());
    let document = Document {
        location: Location { file, line: 1, column: 1 },
        value: value.clone(),
        spans: Spans::default(),
    };
    match skerry_crds::decode(&document) {
        Decoded::Object(object, _) => Change::Upsert(object.into(), age),
        other => panic!("{other:?}"),
    }
}

/// Up to 20 events of objects that were read from files of their own, so that every field has a place.
pub fn events_of_files() -> impl Strategy<Value = Vec<Change>> {
    let upsert = (object(), 0_i64..3).prop_map(|(value, age)| read(&value, Age::Known(age)));
    prop::collection::vec(prop_oneof![5 => upsert, 1 => delete()], 1..20)
}

/// Writes a value over many lines, and reads it as a file.
fn read(value: &Value, age: Age) -> Change {
    let part = |name: &str| value["metadata"][name].as_str().unwrap_or_default();
    let file =
        format!("{}/{}-{}.yaml", part("namespace"), value["kind"].as_str().unwrap_or_default(), part("name"));
    let parsed = skerry_crds::parse(&file, format!("{value:#}").as_bytes());
    match skerry_crds::decode(&parsed.documents[0]) {
        Decoded::Object(object, _) => Change::Upsert(object.into(), age),
        other => panic!("{other:?}"),
    }
}

fn delete() -> impl Strategy<Value = Change> {
    (prop::sample::select(&Kind::ALL[..]), namespace(), name())
        .prop_map(|(kind, namespace, name)| Change::Delete(ObjectKey::new(kind, namespace, name)))
}

fn object() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => site(), 2 => service(), 3 => route(), 2 => policy(), 2 => authorization(), 3 => over(), 1 => mesh()
    ]
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMES[..])
}

fn namespace() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&NAMESPACES[..])
}

fn tier() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&TIERS[..])
}

/// A tier, or one site.
fn selected() -> impl Strategy<Value = Value> {
    prop_oneof![tier().prop_map(|tier| json!({"tier": tier})), name().prop_map(|name| json!({"site": name}))]
}

fn ours(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "skerry.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec})
}

fn mesh() -> impl Strategy<Value = Value> {
    (name(), name(), access()).prop_map(|(name, domain, access)| {
        json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Mesh", "metadata": {"name": name},
               "spec": {"trustDomain": format!("{domain}.example"), "authorization": {"default": access}}})
    })
}

fn access() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["Allow", "Deny"][..])
}

/// A site, which may ask for supervision and may be metered.
pub fn site() -> impl Strategy<Value = Value> {
    let uplink = prop::sample::select(&["Broadband", "Metered"][..]);
    (name(), tier(), any::<bool>(), uplink).prop_map(|(name, tier, supervised, uplink)| {
        let supervision = if supervised { "Agent" } else { "External" };
        json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Site",
               "metadata": {"name": name, "labels": {"tier": tier, "site": name}},
               "spec": {"dataPlane": {"supervision": supervision}, "uplink": {"class": uplink}}})
    })
}

fn annotations(tier: Option<&str>) -> Value {
    tier.map_or(json!({}), |tier| json!({"skerry.dev/sites": format!("tier={tier}")}))
}

fn service() -> impl Strategy<Value = Value> {
    let address = prop::option::of(prop::sample::select(&["127.1.0.1", "127.1.0.2"][..]));
    (name(), prop::option::of(tier()), prop::sample::select(&["http", "tcp", "x"][..]), 80_u16..82, address).prop_map(
        |(name, tier, port_name, port, address)| {
            json!({"apiVersion": "v1", "kind": "Service",
                   "metadata": {"name": name, "namespace": "shop", "annotations": annotations(tier)},
                   "spec": {"selector": {"app": name}, "clusterIP": address, "ports": [{"name": port_name, "port": port}]}})
        },
    )
}

fn route() -> impl Strategy<Value = Value> {
    let backend = (name(), 80_u16..82, 0_u32..3).prop_map(
        |(name, port, weight)| json!({"name": name, "namespace": "shop", "port": port, "weight": weight}),
    );
    let path = prop::sample::select(&["/", "/a", "/a/b"][..]);
    let parent = (name(), prop::option::weighted(0.3, prop::sample::select(&["http", "x"][..])));
    let parent = parent.prop_map(|(service, port)| match (parent_ref(service), port) {
        (Value::Object(parent), Some(port)) => {
            Value::Object(parent.into_iter().chain([("sectionName".to_owned(), json!(port))]).collect())
        }
        (parent, _) => parent,
    });
    (name(), namespace(), parent, prop::option::of(tier()), prop::collection::vec(backend, 0..3), path).prop_map(
        |(name, namespace, parent, tier, backends, path)| {
            json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                   "metadata": {"name": name, "namespace": namespace, "annotations": annotations(tier)},
                   "spec": {"parentRefs": [parent],
                            "rules": [{"name": "first", "matches": [{"path": {"type": "PathPrefix", "value": path}}],
                                       "backendRefs": backends}]}})
        },
    )
}

fn parent_ref(service: &str) -> Value {
    json!({"group": "", "kind": "Service", "name": service, "namespace": "shop"})
}

fn target() -> impl Strategy<Value = Value> {
    let route = |name: &str| json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name});
    prop_oneof![
        Just(json!({"group": "skerry.dev", "kind": "Mesh", "name": "a"})),
        Just(json!({"group": "", "kind": "Namespace", "name": "shop"})),
        name().prop_map(|name| json!({"group": "", "kind": "Service", "name": name})),
        name().prop_map(route),
        name().prop_map(|name| json!({"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name, "sectionName": "second"})),
    ]
}

fn policy() -> impl Strategy<Value = Value> {
    (name(), target(), prop::option::of(selected()), 1_u32..4).prop_map(|(name, target, sites, seconds)| {
        let mut spec = json!({"targetRefs": [target], "timeouts": {"request": format!("{seconds}s")}});
        if let Some(sites) = sites {
            spec["sites"] = json!({"matchLabels": sites});
        }
        ours("TrafficPolicy", name, &spec)
    })
}

/// Sites are named as if there were one of each name: often there is none.
fn source() -> impl Strategy<Value = Value> {
    prop_oneof![
        name().prop_map(|name| json!({"sites": [name]})),
        (name(), name())
            .prop_map(|(site, name)| json!({"sites": [site], "serviceAccounts": [{"name": name}]})),
        namespace().prop_map(|namespace| json!({"namespaces": [namespace]})),
    ]
}

fn rule() -> impl Strategy<Value = Value> {
    let operation = prop_oneof![
        (80_u16..82).prop_map(|port| json!({"ports": [port]})),
        Just(json!({"methods": ["GET"], "paths": [{"value": "/a"}]})),
    ];
    let from = prop::option::of(prop::collection::vec(source(), 0..3));
    let to = prop::option::of(prop::collection::vec(operation, 0..3));
    (from, to).prop_map(|(from, to)| {
        let sides = [("from", from), ("to", to)];
        let given = sides.into_iter().filter_map(|(side, list)| Some((side.to_owned(), json!(list?))));
        Value::Object(given.collect())
    })
}

fn rules() -> impl Strategy<Value = Value> {
    prop::collection::vec(rule(), 0..3).prop_map(Value::Array)
}

fn authorized() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"kind": "Mesh", "name": "a"})),
        Just(json!({"kind": "Namespace", "name": "shop"})),
        name().prop_map(|name| json!({"kind": "Service", "name": name})),
    ]
}

fn authorization() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(&["Allow", "Deny", "Audit"][..]);
    (name(), authorized(), prop::option::of(selected()), action, rules()).prop_map(
        |(name, target, sites, action, rules)| {
            let mut spec = json!({"targetRefs": [target], "action": action, "rules": rules});
            if let Some(sites) = sites {
                spec["sites"] = json!({"matchLabels": sites});
            }
            ours("AuthorizationPolicy", name, &spec)
        },
    )
}

fn patch_of_authorization() -> impl Strategy<Value = Value> {
    let target = |name: &str| json!({"kind": "AuthorizationPolicy", "name": name});
    prop_oneof![
        (name(), rules()).prop_map(move |(name, rules)| {
            json!({"target": target(name), "merge": {"spec": {"rules": rules}}})
        }),
        (name(), authorized()).prop_map(move |(name, on)| {
            json!({"target": target(name), "merge": {"spec": {"targetRefs": [on]}}})
        }),
        name().prop_map(move |name| json!({"target": target(name), "merge": {"spec": {"action": "Deny"}}})),
        (name(), access()).prop_map(|(name, access)| {
            json!({"target": {"kind": "Mesh", "name": name}, "merge": {"spec": {"authorization": {"default": access}}}})
        }),
    ]
}

fn patch() -> impl Strategy<Value = Value> {
    let timeout = (name(), 5_u32..8).prop_map(|(name, seconds)| {
        json!({"target": {"kind": "TrafficPolicy", "name": name}, "merge": {"spec": {"timeouts": {"request": format!("{seconds}s")}}}})
    });
    let parents = (name(), name()).prop_map(|(name, service)| {
        json!({"target": {"kind": "HTTPRoute", "name": name}, "merge": {"spec": {"parentRefs": [parent_ref(service)]}}})
    });
    let port = (name(), 80_u16..82).prop_map(|(name, port)| {
        json!({"target": {"kind": "Service", "name": name},
               "json": [{"op": "replace", "path": "/spec/ports/0/port", "value": port}]})
    });
    let target = (name(), target()).prop_map(|(name, target)| {
        json!({"target": {"kind": "TrafficPolicy", "name": name}, "merge": {"spec": {"targetRefs": [target]}}})
    });
    let mesh = name().prop_map(|name| {
        json!({"target": {"kind": "Mesh", "name": name}, "merge": {"spec": {"trustDomain": "patched.example"}}})
    });
    let address = (name(), prop::sample::select(&["127.1.0.1", "127.1.0.2"][..])).prop_map(|(name, address)| {
        json!({"target": {"kind": "Service", "name": name}, "merge": {"spec": {"clusterIP": address}}})
    });
    let backends = (name(), name(), 80_u16..82).prop_map(|(name, backend, port)| {
        let rule =
            json!({"name": "second", "backendRefs": [{"name": backend, "namespace": "shop", "port": port}]});
        json!({"target": {"kind": "HTTPRoute", "name": name}, "merge": {"spec": {"rules": [rule]}}})
    });
    let empty = name().prop_map(|name| {
        json!({"target": {"kind": "HTTPRoute", "name": name}, "json": [{"op": "remove", "path": "/spec"}]})
    });
    prop_oneof![
        timeout,
        parents,
        port,
        target,
        mesh,
        address,
        backends,
        empty,
        items(),
        patch_of_authorization()
    ]
}

/// Items of lists come and go, so that those behind them move.
fn items() -> impl Strategy<Value = Value> {
    let rule = (name(), 80_u16..82)
        .prop_map(|(name, port)| json!({"backendRefs": [{"name": name, "namespace": "shop", "port": port}]}));
    let operation = prop_oneof![
        (rule, prop::sample::select(&["0", "1", "-"][..]))
            .prop_map(|(rule, at)| json!({"op": "add", "path": format!("/spec/rules/{at}"), "value": rule})),
        (0..2).prop_map(|at| json!({"op": "remove", "path": format!("/spec/rules/{at}")})),
        name().prop_map(|name| json!({"op": "add", "path": "/spec/parentRefs/0", "value": parent_ref(name)})),
    ];
    (name(), prop::collection::vec(operation, 1..3)).prop_map(
        |(name, operations)| json!({"target": {"kind": "HTTPRoute", "name": name}, "json": operations}),
    )
}

fn over() -> impl Strategy<Value = Value> {
    (name(), prop::option::of(selected()), 0_i32..2, any::<bool>(), prop::collection::vec(patch(), 1..3))
        .prop_map(|(name, sites, precedence, locked, patches)| {
            let mut spec = json!({"precedence": precedence, "locked": locked, "patches": patches});
            if let Some(sites) = sites {
                spec["sites"] = json!({"matchLabels": sites});
            }
            ours("SiteOverride", name, &spec)
        })
}
