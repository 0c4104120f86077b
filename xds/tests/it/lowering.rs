//! The rules of lowering that Envoy has no part in: errors, and which port of a workload is meant.

use std::num::NonZeroU16;

use envoy_types::pb::envoy::config::core::v3::address::Address;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::endpoint::v3::lb_endpoint::HostIdentifier;
use skerry_core::bundle::v1::Protocol;
use skerry_core::bundle::v1::service_port::Target;
use skerry_core::id::NamespacedName;
use skerry_core::workload::Workload;
use skerry_xds::lower::{LowerError, LowerOptions, lower};
use skerry_xds::resource::ResourceSet;

use crate::site::{ServiceBuilder as _, Site, WorkloadBuilder as _, service, site, workload};

#[test]
fn a_proxy_that_is_not_there_is_an_error() {
    let site = site().workload(workload("shop/bare-1"));
    let lowered =
        |name: &str| lower(&site.bundle, &site.workloads, &name.parse().unwrap(), &LowerOptions::default());
    let name = |name: &str| name.parse::<NamespacedName>().unwrap();
    assert_eq!(lowered("shop/none"), Err(LowerError::UnknownWorkload(name("shop/none"))));
    assert_eq!(lowered("shop/bare-1"), Err(LowerError::NoProxy(name("shop/bare-1"))));
}

#[test]
fn settings_that_hold_no_cidr_are_an_error() {
    let mut site = site().workload(workload("shop/a-1").proxy("127.1.0.0/16", 15006));
    site.workloads[0].proxy.as_mut().unwrap().outbound_cidr = None;
    site.bundle.settings.outbound_cidr = "127.65.0.0".to_owned();
    let lowered =
        lower(&site.bundle, &site.workloads, &"shop/a-1".parse().unwrap(), &LowerOptions::default());
    assert_eq!(lowered, Err(LowerError::InvalidCidr("127.65.0.0".to_owned())));
    site.bundle.settings.outbound_cidr = "127.65.0.0/16".to_owned();
    assert_eq!(site.lower("shop/a-1").problems, []);
}

/// The endpoints of `shop/web`, port 80 named `http`, for a target and a workload beside the proxy.
fn endpoints(target: Target, workload: Workload) -> Vec<u32> {
    let web = service("shop/web").port("http", 80, target, Protocol::Tcp);
    let site = site().service(web).workload(self::workload("shop/client-1").proxy("127.65.0.0/16", 15006));
    ports(&site.workload(workload).lower("shop/client-1"))
}

fn ports(set: &ResourceSet) -> Vec<u32> {
    let assignment = set.endpoints().find(|assignment| assignment.cluster_name == "shop/web/80").unwrap();
    let endpoints = assignment.endpoints.into_iter().flat_map(|locality| locality.lb_endpoints);
    let address = |identifier| match identifier {
        Some(HostIdentifier::Endpoint(endpoint)) => endpoint.address.unwrap().address.unwrap(),
        _ => panic!("an endpoint has an address"),
    };
    let port = |address| match address {
        Address::SocketAddress(socket) => match socket.port_specifier {
            Some(PortSpecifier::PortValue(port)) => port,
            _ => panic!("an address has a port"),
        },
        _ => panic!("an address is a socket's"),
    };
    endpoints.map(|endpoint| port(address(endpoint.host_identifier))).collect()
}

#[test]
fn the_port_of_a_workload_is_found_by_name_by_number_or_by_the_services_name() {
    let named = |name: &str| Target::TargetName(name.to_owned());
    let web = || workload("shop/web-1");
    assert_eq!(endpoints(named("web"), web().port("web", 9080)), [9080]);
    assert_eq!(endpoints(named("web"), web().port("http", 9080)), Vec::<u32>::new(), "no port of this name");
    assert_eq!(
        endpoints(Target::TargetNumber(9080), web().port("", 9080).port("http", 9999)),
        [9080],
        "declared"
    );
    assert_eq!(
        endpoints(Target::TargetNumber(9080), web().port("http", 9999)),
        [9999],
        "by the service port's name"
    );
    assert_eq!(endpoints(Target::TargetNumber(9080), web().port("other", 9999)), [9080], "as it is");
    assert_eq!(endpoints(Target::TargetNumber(9080), web()), [9080]);
    assert_eq!(endpoints(Target::TargetNumber(0), web()), Vec::<u32>::new(), "not a port");
}

#[test]
fn a_workload_is_reached_through_its_own_proxy_except_by_itself() {
    let behind = workload("shop/web-1").port("a", 7000).port("http", 9080).proxy("127.66.0.0/16", 15106);
    assert_eq!(endpoints(Target::TargetNumber(9080), behind.clone()), [15107], "the second port's");
    assert_eq!(endpoints(Target::TargetNumber(9081), behind.clone()), [15107], "by name");
    let undeclared = Workload { ports: behind.ports[..1].to_vec(), ..behind.clone() };
    assert_eq!(endpoints(Target::TargetNumber(9080), undeclared), [9080], "not behind the proxy");
    let web = service("shop/web").port("http", 80, Target::TargetNumber(9080), Protocol::Tcp);
    assert_eq!(ports(&site().service(web).workload(behind).lower("shop/web-1")), [9080]);
}

#[test]
fn a_service_has_the_workloads_of_its_namespace_with_all_its_labels() {
    let labelled = |name: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Workload { labels, ..workload(name) }
    };
    let count = |selector: &[(&str, &str)]| {
        let mut web = service("shop/web").port("", 80, Target::TargetNumber(1), Protocol::Tcp);
        web.selector = labelled("shop/x", selector).labels;
        let site: Site = site()
            .service(web)
            .workload(workload("shop/client-1").proxy("127.65.0.0/16", 15006))
            .workload(
                labelled("shop/one", &[("app", "web"), ("version", "v1")]).at("127.0.0.1:1".parse().unwrap()),
            )
            .workload(labelled("shop/two", &[("app", "web")]).at("127.0.0.2:1".parse().unwrap()))
            .workload(labelled("other/three", &[("app", "web")]).at("127.0.0.3:1".parse().unwrap()));
        ports(&site.lower("shop/client-1")).len()
    };
    assert_eq!(count(&[("app", "web")]), 2);
    assert_eq!(count(&[("app", "web"), ("version", "v1")]), 1);
    assert_eq!(count(&[]), 0, "an empty selector selects nothing");
}

#[test]
fn inbound_ports_that_cannot_be_are_said() {
    let at_end =
        site().workload(workload("shop/a-1").port("", 80).port("", 81).proxy("127.65.0.0/16", 65535));
    let problems = |site: &Site| -> Vec<String> {
        site.lower("shop/a-1").problems.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        problems(&at_end),
        ["workload shop/a-1: port 81 is not behind the proxy: the inbound ports run into it or end at 65535"]
    );
    let onto_itself =
        site().workload(workload("shop/a-1").port("", 80).port("", 15006).proxy("127.65.0.0/16", 15006));
    assert_eq!(
        problems(&onto_itself),
        ["workload shop/a-1: port 80 is not behind the proxy: its inbound port is the workload's own 15006"]
    );
    assert_eq!(onto_itself.workloads[0].endpoint(NonZeroU16::new(15006).unwrap()).port(), 15007);
}

/// An address that cannot be bound costs its own listener and nothing else.
#[test]
fn what_cannot_be_bound_is_left_out_and_said() {
    let site = site()
        .service(service("shop/web").http(80, 1))
        .service(service("shop/other").http(80, 1))
        .workload(workload("shop/a-1").port("http", 9080).proxy("127.65.0.0/16", 15006));
    let bound = |options: &LowerOptions| {
        let set = lower(&site.bundle, &site.workloads, &"shop/a-1".parse().unwrap(), options).unwrap();
        let names: Vec<String> = set.listeners().map(|listener| listener.name).collect();
        (names, set.problems.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let all = ["dns", "inbound/9080", "outbound/shop/other/80", "outbound/shop/web/80"];
    assert_eq!(bound(&LowerOptions::default()), (all.map(str::to_owned).to_vec(), Vec::new()));

    for (at, left_out, problem) in [
        (
            "127.65.0.2:80",
            3,
            "service shop/web: port 80 has no listener: 127.65.0.2:80 cannot be bound: in use",
        ),
        (
            "127.0.0.1:15006",
            1,
            "workload shop/a-1: port 9080 is not behind the proxy: 127.0.0.1:15006 cannot be",
        ),
        (
            "127.65.0.1:15053",
            0,
            "workload shop/a-1: its proxy answers no names: 127.65.0.1:15053 cannot be bound",
        ),
    ] {
        let unbound = [(at.parse().unwrap(), "in use".to_owned())].into();
        let (names, problems) = bound(&LowerOptions { unbound, ..Default::default() });
        let mut expected = all.to_vec();
        expected.remove(left_out);
        assert_eq!(names, expected);
        assert!(problems.len() == 1 && problems[0].starts_with(problem), "{problems:?}");
    }
}

/// Make before break: a workload that gets a proxy is reached directly until that listens.
#[test]
fn a_proxy_that_does_not_listen_yet_is_passed_by() {
    let web = service("shop/web").port("http", 80, Target::TargetNumber(9080), Protocol::Tcp);
    let site = site()
        .service(web)
        .workload(workload("shop/client-1").proxy("127.65.0.0/16", 15006))
        .workload(workload("shop/web-1").port("http", 9080).proxy("127.66.0.0/16", 15007));
    let seen = |silent: &[&str]| {
        let silent = silent.iter().map(|at| at.parse().unwrap()).collect();
        let options = LowerOptions { silent, ..Default::default() };
        ports(&lower(&site.bundle, &site.workloads, &"shop/client-1".parse().unwrap(), &options).unwrap())
    };
    assert_eq!(seen(&[]), [15007]);
    assert_eq!(seen(&["127.0.0.1:15007"]), [9080]);
}
