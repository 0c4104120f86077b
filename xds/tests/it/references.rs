//! The check of a set: each kind of dangling name is found, and nothing else.

use skerry_xds::check::check;
use skerry_xds::resource::{ResourceKind, ResourceSet};

use crate::site::{ServiceBuilder as _, WorkloadBuilder as _, service, site, workload};

use skerry_core::bundle::v1::Protocol;
use skerry_core::bundle::v1::service_port::Target;

/// A set with an HTTP and a TCP service, and an inbound port.
fn whole() -> ResourceSet {
    site()
        .service(service("shop/web").http(80, 9080))
        .service(service("shop/db").port("", 5432, Target::TargetNumber(5432), Protocol::Tcp))
        .workload(workload("shop/web-1").port("", 9080).proxy("127.65.0.0/16", 15006))
        .lower("shop/web-1")
}

/// The set without one resource.
fn without(kind: ResourceKind, name: &str) -> ResourceSet {
    let (set, mut rest) = (whole(), ResourceSet::default());
    assert!(set.of(kind).contains_key(name), "{kind} {name}");
    let is_kept = |other: ResourceKind, known: &str| other != kind || known != name;
    set.clusters().filter(|it| is_kept(ResourceKind::Cluster, &it.name)).for_each(|it| rest.add_cluster(&it));
    set.endpoints()
        .filter(|it| is_kept(ResourceKind::Endpoint, &it.cluster_name))
        .for_each(|it| rest.add_endpoint(&it));
    set.listeners()
        .filter(|it| is_kept(ResourceKind::Listener, &it.name))
        .for_each(|it| rest.add_listener(&it));
    set.routes().filter(|it| is_kept(ResourceKind::Route, &it.name)).for_each(|it| rest.add_route(&it));
    rest
}

#[test]
fn a_lowered_set_holds_together() {
    assert_eq!(check(&whole()), Vec::<String>::new());
}

#[test]
fn each_missing_resource_is_named() {
    let cases: [(ResourceKind, &str, &[&str]); 6] = [
        (ResourceKind::Endpoint, "shop/web/80", &["cluster `shop/web/80` has no endpoints"]),
        (
            ResourceKind::Route,
            "outbound/shop/web/80",
            &["listener `outbound/shop/web/80` names routes `outbound/shop/web/80`, which do not exist"],
        ),
        (
            ResourceKind::Listener,
            "outbound/shop/web/80",
            &["routes `outbound/shop/web/80` belong to no listener"],
        ),
        (
            ResourceKind::Cluster,
            "shop/web/80",
            &[
                "endpoints `shop/web/80` belong to no cluster",
                "route `outbound/shop/web/80`, `default` names cluster `shop/web/80`, which does not exist",
            ],
        ),
        (
            ResourceKind::Cluster,
            "shop/db/5432",
            &[
                "endpoints `shop/db/5432` belong to no cluster",
                "listener `outbound/shop/db/5432` names cluster `shop/db/5432`, which does not exist",
            ],
        ),
        (
            ResourceKind::Cluster,
            "inbound/9080",
            &["route `inbound/9080`, `` names cluster `inbound/9080`, which does not exist"],
        ),
    ];
    for (kind, name, expected) in cases {
        assert_eq!(check(&without(kind, name)), expected, "without {kind} {name}");
    }
}

#[test]
fn two_listeners_at_one_address_are_named() {
    let mut set = whole();
    let mut second = set.listeners().find(|listener| listener.name == "inbound/9080").unwrap();
    second.name = "second".to_owned();
    set.add_listener(&second);
    assert_eq!(
        check(&set),
        ["listeners `inbound/9080` and `second` have the same address 127.0.0.1, port 15006"]
    );
}
