//! Golden files of what is lowered and of start files, as people see them. Envoy is asked to take each.

use std::path::Path;

use insta::assert_snapshot;
use skerry_core::bundle::v1;
use skerry_core::bundle::v1::service_port::Target;
use skerry_core::bundle::v1::{Protocol, path_modifier, value_match};
use skerry_xds::bootstrap::{AdsMode, BootstrapOptions, ads_bootstrap, static_bootstrap};
use skerry_xds::check::check;
use skerry_xds::json::{resources_to_json, to_json};
use skerry_xds::resource::ResourceSet;

use crate::envoy::{node, validate};
use crate::site::{
    RouteBuilder as _, ServiceBuilder as _, Site, WorkloadBuilder as _, backend, headers, route, service,
    site, workload,
};

/// The problems and the resources of a set that holds together and that Envoy takes.
fn shown(set: &ResourceSet) -> String {
    assert_eq!(check(set), Vec::<String>::new());
    validate(set).unwrap();
    let problems: String = set.problems.iter().map(|problem| format!("! {problem}\n")).collect();
    problems + &resources_to_json(set).unwrap()
}

/// A client and a service with two workloads, one of them behind a proxy of its own.
fn shop() -> Site {
    site()
        .service(service("shop/checkout").http(80, 9080))
        .workload(workload("shop/client-1").proxy("127.65.0.0/16", 15006))
        .workload(workload("shop/checkout-1").port("http", 9080))
        .workload(
            workload("shop/checkout-2")
                .port("metrics", 9090)
                .port("http", 9080)
                .proxy("127.66.0.0/16", 15106),
        )
}

#[test]
fn a_client_of_a_service() {
    assert_snapshot!(shown(&shop().lower("shop/client-1")));
}

#[test]
fn a_workload_behind_a_proxy() {
    assert_snapshot!(shown(&shop().lower("shop/checkout-2")));
}

#[test]
fn routes_of_every_kind() {
    let exact = |text: &str| value_match::Kind::Exact(text.to_owned());
    let canary = v1::Backend {
        weight: 10,
        request_headers: Some(headers(&[("x-canary", "1")], &[], &[])),
        ..backend("shop/checkout", 80)
    };
    let mut changed = route("shop/web/1/0")
        .prefix("/cart")
        .method("POST")
        .header("x-user", value_match::Kind::Regex("vip-.*".to_owned()))
        .query("debug", exact("1"))
        .to(&[v1::Backend { weight: 90, ..backend("shop/checkout", 80) }, canary])
        .rewrite("cart.example", Some(path_modifier::Kind::Prefix("/v2".to_owned())))
        .timeouts(Some(3_000), Some(1_000))
        .retry(2, &[502, 503]);
    changed.request_headers = Some(headers(&[("x-set", "100%")], &[("x-add", "1")], &["x-gone"]));
    let gone = v1::Backend { invalid: true, ..backend("shop/gone", 80) };
    let redirect = v1::Redirect { scheme: "https".to_owned(), status_code: 301, ..Default::default() };
    let routes = vec![
        route("shop/web/0/0").exact("/health").to(&[]),
        changed,
        route("shop/web/2/0").regex("/old/[0-9]+").redirect(redirect),
        route("shop/web/3/0").to(&[backend("shop/checkout", 80), gone]).timeouts(Some(0), None),
    ];
    let set =
        shop().service(service("shop/web").http(8080, 1).routes(8080, "", routes)).lower("shop/client-1");
    let web = set.routes().find(|routes| routes.name == "outbound/shop/web/8080").unwrap();
    let mut only = ResourceSet::default();
    only.add_route(&web);
    validate(&set).unwrap();
    assert_eq!(set.problems, []);
    assert_snapshot!(resources_to_json(&only).unwrap());
}

#[test]
fn protocols_addresses_and_what_cannot_be_had() {
    let number = Target::TargetNumber;
    let policy = v1::ClusterPolicy {
        connect_timeout_ms: 250,
        retry_budget: Some(v1::RetryBudget { percent: 20, min_concurrency: 3 }),
    };
    let at = |address: &str, service: v1::Service| v1::Service { cluster_ip: address.to_owned(), ..service };
    let database = service("shop/db").port("sql", 5432, number(5432), Protocol::Tcp);
    let grpc =
        service("shop/grpc").port("grpc", 50051, Target::TargetName("grpc".to_owned()), Protocol::Http2);
    let set = site()
        .service(at("fd00::5", v1::Service { cluster: Some(policy), ..database }))
        .service(at("192.0.2.7", grpc.clone()))
        .service(at("192.0.2.7", v1::Service { name: "same".to_owned(), ..grpc }))
        .service(at("somewhere", service("shop/nowhere").http(80, 1)))
        .service(v1::Service { index: 9, ..service("shop/too-far").http(80, 1) })
        .workload(workload("shop/grpc-1").port("grpc", 7000).port("", 7001).proxy("127.65.0.0/29", 15006))
        .workload(workload("shop/db-1").port("sql", 15432))
        .workload(workload("shop/other-1").proxy("127.65.0.0/16", 15106))
        .lower("shop/grpc-1");
    assert_snapshot!(shown(&set));
}

#[test]
fn a_start_file_that_needs_nobody() {
    let set = shop().lower("shop/client-1");
    let bootstrap = static_bootstrap(&set, &node(), &BootstrapOptions::default());
    assert_snapshot!(to_json(&bootstrap).unwrap());
}

#[test]
fn a_start_file_that_asks_the_agent() {
    let admin_socket = Some("/run/skerry/admin.sock".into());
    let options = BootstrapOptions { admin_socket, ..BootstrapOptions::default() };
    let bootstrap = ads_bootstrap(&node(), Path::new("/run/skerry/ads.sock"), AdsMode::Delta, &options);
    assert_snapshot!(to_json(&bootstrap).unwrap());
}

/// Invariant 1 of the design, for this step: equal inputs give equal bytes, whatever their order.
#[test]
fn the_order_of_workloads_does_not_matter() {
    let site = shop();
    let mut other = site.clone();
    other.workloads.reverse();
    assert_eq!(site.lower("shop/client-1"), other.lower("shop/client-1"));
    assert_eq!(site.lower("shop/client-1").digest(), other.lower("shop/client-1").digest());
}
