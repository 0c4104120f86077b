//! How rules are written for Envoy: builders, and a golden table of every kind of caller and call.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use serde_json::Value;
use skerry_core::bundle::v1::service_port::Target;
use skerry_core::bundle::v1::{self, Protocol};
use skerry_xds::json::resources_to_json;
use skerry_xds::resource::ResourceSet;

use crate::envoy::validate;
use crate::site::{ServiceBuilder as _, Site, WorkloadBuilder as _, service, site, workload};

/// Whoever calls.
pub(crate) fn anyone() -> Vec<v1::Source> {
    Vec::new()
}

/// One source.
pub(crate) fn sources(source: v1::Source) -> Vec<v1::Source> {
    vec![source]
}

/// Whatever is called.
pub(crate) fn everything() -> Vec<v1::Operation> {
    Vec::new()
}

/// An operation of these methods.
pub(crate) fn methods(methods: &[&str]) -> v1::Operation {
    v1::Operation { methods: texts(methods), ..v1::Operation::default() }
}

/// An operation on these ports.
pub(crate) fn ports(ports: &[u32]) -> v1::Operation {
    v1::Operation { ports: ports.to_vec(), ..v1::Operation::default() }
}

/// The operation with paths, by prefix and exact.
pub(crate) fn paths(operation: v1::Operation, prefixes: &[&str], exact: &[&str]) -> v1::Operation {
    let prefixes = prefixes.iter().map(|path| v1::path_match::Kind::Prefix((*path).to_owned()));
    let exact = exact.iter().map(|path| v1::path_match::Kind::Exact((*path).to_owned()));
    let paths = prefixes.chain(exact).map(|kind| v1::PathMatch { kind: Some(kind) }).collect();
    v1::Operation { paths, ..operation }
}

/// A rule; an empty list is everybody, or everything.
pub(crate) fn rule(
    name: &str,
    sources: Vec<v1::Source>,
    operations: Vec<v1::Operation>,
) -> v1::AuthorizationRule {
    v1::AuthorizationRule {
        name: name.to_owned(),
        any_source: sources.is_empty(),
        sources,
        any_operation: operations.is_empty(),
        operations,
    }
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

fn accounts(accounts: &[(&str, &str)]) -> Vec<v1::ServiceAccount> {
    let account = |(namespace, name): &(&str, &str)| v1::ServiceAccount {
        namespace: (*namespace).to_owned(),
        name: (*name).to_owned(),
    };
    accounts.iter().map(account).collect()
}

fn ids(kinds: Vec<v1::spiffe_id_match::Kind>) -> Vec<v1::SpiffeIdMatch> {
    kinds.into_iter().map(|kind| v1::SpiffeIdMatch { kind: Some(kind) }).collect()
}

/// Every kind of caller, by name.
fn callers() -> BTreeMap<&'static str, v1::Source> {
    use v1::spiffe_id_match::Kind::{Exact, Prefix, Regex};
    let none = v1::Source::default;
    let two = || accounts(&[("office", "job.nightly"), ("shop", "web")]);
    let spiffe = vec![
        Exact("spiffe://partner.example/ns/a/sa/b".to_owned()),
        Prefix("spiffe://partner.example/ns/shop".to_owned()),
        Regex("spiffe://[^/]+/ns/a/sa/.+".to_owned()),
    ];
    BTreeMap::from([
        ("account anywhere", v1::Source { service_accounts: accounts(&[("shop", "web")]), ..none() }),
        ("accounts anywhere", v1::Source { service_accounts: two(), ..none() }),
        ("accounts at a site", v1::Source { sites: texts(&["oslo"]), service_accounts: two(), ..none() }),
        (
            "accounts at sites",
            v1::Source { sites: texts(&["bergen", "oslo"]), service_accounts: two(), ..none() },
        ),
        ("namespaces anywhere", v1::Source { namespaces: texts(&["office", "shop"]), ..none() }),
        (
            "namespaces at a site",
            v1::Source { sites: texts(&["oslo"]), namespaces: texts(&["shop"]), ..none() },
        ),
        (
            "namespaces at sites",
            v1::Source { sites: texts(&["bergen", "oslo"]), namespaces: texts(&["shop"]), ..none() },
        ),
        ("sites", v1::Source { sites: texts(&["bergen", "oslo"]), ..none() }),
        ("SPIFFE IDs", v1::Source { spiffe_ids: ids(spiffe), ..none() }),
    ])
}

/// Every kind of call, by name.
fn operations() -> BTreeMap<&'static str, v1::Operation> {
    BTreeMap::from([
        ("a method", methods(&["GET"])),
        ("methods and paths", paths(methods(&["GET", "HEAD"]), &["/a"], &["/b/c"])),
        ("paths", paths(v1::Operation::default(), &["/a.b"], &[])),
        ("every path", paths(v1::Operation::default(), &["/"], &[])),
        ("a port", ports(&[80])),
        ("another port", ports(&[9])),
    ])
}

fn guarded(protocol: Protocol, authorization: v1::Authorization) -> Site {
    let web = service("shop/web").port("", 80, Target::TargetNumber(9080), protocol);
    let mut site = site()
        .service(v1::Service { authorization: Some(authorization), ..web })
        .workload(workload("shop/web-1").port("", 9080).proxy("127.65.0.0/16", 15006));
    site.bundle.settings.trust_domain = "mesh.local".to_owned();
    site
}

/// What stands before the inbound port: the filters before the one that routes, and what they find in the routes.
fn shown(set: &ResourceSet) -> String {
    let all: Value = serde_json::from_str(&resources_to_json(set).unwrap()).unwrap();
    let filters = &all["listeners"]["inbound/9080"]["filter_chains"][0]["filters"];
    let filters = match &filters[0]["typed_config"]["http_filters"] {
        Value::Null => filters,
        of_requests => of_requests,
    };
    let filters = filters.as_array().unwrap();
    let routes = &all["routes"]["inbound/9080"];
    let levels = [routes, &routes["virtual_hosts"][0]].map(|level| &level["typed_per_filter_config"]);
    let found: Vec<&Value> =
        filters[..filters.len() - 1].iter().chain(levels.into_iter().filter(|it| !it.is_null())).collect();
    format!("{:#}", Value::from_iter(found.into_iter().cloned()))
}

#[test]
fn every_kind_of_caller() {
    let allow =
        callers().into_iter().map(|(name, source)| rule(name, sources(source), everything())).collect();
    let set = guarded(Protocol::Tcp, v1::Authorization { allow, closed: true, ..Default::default() })
        .lower("shop/web-1");
    validate(&set).unwrap();
    assert_snapshot!(shown(&set));
}

#[test]
fn every_kind_of_call_allowed_denied_and_audited() {
    let rules = || -> Vec<_> {
        operations().into_iter().map(|(name, operation)| rule(name, anyone(), vec![operation])).collect()
    };
    let audits = vec![v1::Audit {
        name: "shop/try".to_owned(),
        rules: vec![rule("shop/try/0", anyone(), everything())],
    }];
    let all = v1::Authorization { deny: rules(), allow: rules(), closed: true, audits };
    let set = guarded(Protocol::Http, all.clone()).lower("shop/web-1");
    validate(&set).unwrap();
    let of_requests = shown(&set);
    let set = guarded(Protocol::Tcp, all).lower("shop/web-1");
    validate(&set).unwrap();
    assert_snapshot!(format!("{of_requests}\nand of bytes\n{}", shown(&set)));
}

/// As many names as a source can have, each as long as it can be: Envoy takes the expression.
#[test]
fn the_longest_source_is_taken() {
    let long = |at: usize, length: usize| format!("{at:02}{}", "x".repeat(length - 2));
    let accounts = (0..64).map(|at| v1::ServiceAccount { namespace: long(at, 63), name: long(at, 253) });
    let source = v1::Source {
        sites: (0..64).map(|at| long(at, 63)).collect(),
        service_accounts: accounts.collect(),
        ..v1::Source::default()
    };
    let allow = vec![rule("0", sources(source), everything())];
    let mut site = guarded(Protocol::Tcp, v1::Authorization { allow, closed: true, ..Default::default() });
    site.bundle.settings.trust_domain = format!("{}.{}.{}", long(0, 63), long(1, 63), long(2, 61));
    validate(&site.lower("shop/web-1")).unwrap();
}

/// ADR 0014: the called workload's proxy decides, so one without a proxy is named wherever a policy holds.
#[test]
fn a_policy_that_no_proxy_enforces_is_told() {
    let guarded = || {
        let authorization = Some(v1::Authorization { closed: true, ..Default::default() });
        site().service(v1::Service { authorization, ..service("shop/web").http(80, 9080) })
    };
    let bare = |name: &str| workload(name).port("http", 9080);
    let behind = |name: &str| bare(name).proxy("127.65.0.0/16", 15006);
    let told = |site: Site| skerry_xds::lower::unenforced(&site.bundle, &site.workloads);
    let nothing: [String; 0] = [];

    let line = "service shop/web has a policy, and there is no proxy in front of workload `shop/web-1`: nobody enforces it \
                there (help: give it `spec.proxy` in its Workload file)";
    assert_eq!(told(guarded().workload(bare("shop/web-1")).workload(behind("shop/web-2"))), [line]);
    let many = (1..=5).fold(guarded(), |site, number| site.workload(bare(&format!("shop/web-{number}"))));
    assert!(told(many)[0].contains("`shop/web-3` and 2 more:"));

    let lines = told(guarded().workload(workload("shop/web-1").proxy("127.65.0.0/16", 15006)));
    assert!(
        lines.len() == 1 && lines[0].contains("past the proxy to port 9080 of `shop/web-1`"),
        "{lines:?}"
    );

    let open = site().service(service("shop/web").http(80, 9080)).workload(bare("shop/web-1"));
    assert_eq!(told(open.clone()), nothing);
    let mut strict = open.clone();
    strict.bundle.settings.set_mtls(v1::MtlsMode::Strict);
    assert!(told(strict.clone())[0].contains("takes mutual TLS alone, and there is no proxy in front of"));
    let lenient = service("shop/web").http(80, 9080);
    let lenient = v1::Service { mtls: v1::MtlsMode::Permissive.into(), ..lenient };
    assert_eq!(told(strict.service(lenient)), nothing, "the narrower one wins");
    let mut closed = open;
    closed.bundle.settings.deny_by_default = true;
    assert!(told(closed)[0].contains("is closed by the mesh's default"));
    assert_eq!(told(guarded().workload(bare("shop/cart-1")).workload(behind("shop/web-1"))), nothing);
}
