//! Mutual TLS as it is lowered: who is called how, whom a caller expects, and what a listener takes. What Envoy makes of it
//! is for the agent's tests, which have certificates.

use std::net::SocketAddr;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::transport_socket::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::common_tls_context::ValidationContextType;
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use insta::assert_snapshot;
use prost::Message as _;
use skerry_core::bundle::v1::service_port::Target;
use skerry_core::bundle::v1::{self, MtlsMode, Protocol};
use skerry_core::workload::Workload;
use skerry_xds::bootstrap::{BootstrapOptions, static_bootstrap};
use skerry_xds::check::check;
use skerry_xds::json::{resources_to_json, to_json};
use skerry_xds::lower::{Domain, Identity, LowerOptions, lower};
use skerry_xds::resource::ResourceSet;
use skerry_xds::secret::{Dates, Secret};

use crate::envoy::node;
use crate::site::{ServiceBuilder as _, Site, WorkloadBuilder as _, service, site, workload};

fn of_account(workload: Workload, account: &str) -> Workload {
    Workload { service_account: account.to_owned(), ..workload }
}

/// A client, and a service with a workload of each kind.
fn shop() -> Site {
    let web = |name: &str| workload(name).port("http", 9080);
    site()
        .service(service("shop/web").http(80, 9080))
        .workload(workload("shop/client-1").port("http", 9070).proxy("127.65.0.0/16", 15006))
        .workload(of_account(web("shop/web-1").proxy("127.66.0.0/16", 15106), "web"))
        .workload(of_account(web("shop/web-2").proxy("127.67.0.0/16", 15206), "web"))
        .workload(of_account(web("shop/web-3").proxy("127.68.0.0/16", 15306), "batch"))
        .workload(of_account(web("shop/web-4"), "bare"))
}

fn held() -> Identity {
    Identity::Held(Domain { site: "oslo".to_owned(), mesh: "mesh.local".to_owned() })
}

fn lowered(site: &Site, options: &LowerOptions) -> ResourceSet {
    lower(&site.bundle, &site.workloads, &"shop/client-1".parse().unwrap(), options).unwrap()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// The endpoints of the service, and whether each is called by mutual TLS.
fn endpoints(set: &ResourceSet) -> Vec<(String, bool)> {
    let assignment = set.endpoints().find(|assignment| assignment.cluster_name == "shop/web/80").unwrap();
    let endpoints = assignment.endpoints.into_iter().flat_map(|locality| locality.lb_endpoints);
    let describe = |endpoint: envoy_types::pb::envoy::config::endpoint::v3::LbEndpoint| {
        let text = format!("{:?}", endpoint.host_identifier);
        let port = text.split("PortValue(").nth(1).unwrap().split(')').next().unwrap().to_owned();
        (port, endpoint.metadata.is_some())
    };
    endpoints.map(describe).collect()
}

fn web(set: &ResourceSet) -> Cluster {
    set.clusters().find(|cluster| cluster.name == "shop/web/80").unwrap()
}

/// Whom the caller takes for the service.
fn expected(set: &ResourceSet) -> Vec<String> {
    let matches = web(set).transport_socket_matches;
    let sockets = matches.into_iter().filter_map(|it| it.transport_socket?.config_type);
    let names = sockets.flat_map(|config| {
        let ConfigType::TypedConfig(any) = config;
        let context = UpstreamTlsContext::decode(any.value.as_slice()).unwrap().common_tls_context.unwrap();
        let Some(ValidationContextType::CombinedValidationContext(it)) = context.validation_context_type
        else {
            panic!("another kind of context")
        };
        it.default_validation_context.unwrap().match_typed_subject_alt_names
    });
    let text = |pattern| match pattern {
        Some(MatchPattern::Exact(text)) => text,
        other => panic!("{other:?}"),
    };
    names.map(|name| text(name.matcher.unwrap().match_pattern)).collect()
}

#[test]
fn endpoints_with_a_proxy_are_called_by_mutual_tls_and_others_in_plain_text() {
    let all = lowered(&shop(), &LowerOptions { identity: held(), ..LowerOptions::default() });
    let port = |port: u16, is_mutual: bool| (port.to_string(), is_mutual);
    assert_eq!(endpoints(&all), [port(9080, false), port(15106, true), port(15206, true), port(15306, true)]);
    let ids = ["batch", "web"].map(|account| format!("spiffe://oslo.mesh.local/ns/shop/sa/{account}"));
    assert_eq!(expected(&all), ids, "of those with a proxy, each once");
    assert!(all.names_secrets());

    // One that does not listen yet is passed by, and one that takes none of it yet is called in plain text.
    let (silent, plain) = ([at(15106)].into(), [at(15206)].into());
    let some = lowered(&shop(), &LowerOptions { identity: held(), silent, plain, ..LowerOptions::default() });
    assert_eq!(endpoints(&some), [port(9080, false), port(15206, false), port(15306, true)]);
    assert_ne!(web(&some), web(&all), "a cluster that differs keeps no connection in plain text");
    assert_eq!(Cluster { metadata: None, ..web(&some) }, web(&all));
    let silent = [at(15106)].into();
    let silent = lowered(&shop(), &LowerOptions { identity: held(), silent, ..LowerOptions::default() });
    assert_eq!(web(&silent), web(&all), "otherwise it stays as it is");

    // A workload does not go through its own proxy.
    let own = shop().lower_enrolled("shop/web-1");
    assert_eq!(endpoints(&own), [port(9080, false), port(15206, true), port(15306, true)]);
}

#[test]
fn without_a_certificate_all_is_plain_text() {
    for identity in [Identity::NotEnrolled, Identity::Missing] {
        let set = lowered(&shop(), &LowerOptions { identity, ..LowerOptions::default() });
        assert!(endpoints(&set).iter().all(|(_, is_mutual)| !is_mutual));
        assert_eq!(expected(&set), Vec::<String>::new());
        assert!(!set.names_secrets());
        assert_eq!(set, lowered(&shop(), &LowerOptions::default()));
    }
}

/// A service that nobody with a proxy stands for has no name to expect: nobody is called by mutual TLS then.
#[test]
fn a_service_without_a_proxy_expects_nobody() {
    let mut site = shop();
    site.workloads.retain(|workload| !workload.name.name.starts_with("web") || workload.proxy.is_none());
    let set = lowered(&site, &LowerOptions { identity: held(), ..LowerOptions::default() });
    assert_eq!(expected(&set), Vec::<String>::new());
    assert_eq!(endpoints(&set), [("9080".to_owned(), false)]);
}

/// What the inbound listener of a port takes: `plain`, `both`, `mutual`, or the reason why there is none.
fn takes(site: &Site, options: &LowerOptions) -> String {
    let set = lowered(site, options);
    assert_eq!(check(&set), Vec::<String>::new());
    let Some(listener) = set.listeners().find(|listener| listener.name == "inbound/9070") else {
        return set.problems[0].message.clone();
    };
    let by_tls = |listener: &Listener| listener.filter_chains[0].transport_socket.is_some();
    match (by_tls(&listener), &listener.default_filter_chain) {
        (false, None) => "plain".to_owned(),
        (true, Some(_)) => "both".to_owned(),
        (true, None) => "mutual".to_owned(),
        (false, Some(_)) => panic!("two chains of plain text"),
    }
}

#[test]
fn a_port_takes_what_its_services_or_else_the_mesh_say() {
    use MtlsMode::{Permissive, Strict, Unspecified};
    let of = |mesh: MtlsMode, services: &[MtlsMode], identity: &Identity, is_lenient: bool| {
        let mut site = shop();
        site.bundle.settings.mtls = mesh.into();
        for (at, mode) in services.iter().enumerate() {
            let mut client = service("shop/client").http(80, 9070);
            client.name = format!("client-{at}");
            client.mtls = (*mode).into();
            site = site.service(client);
        }
        let lenient = if is_lenient { [at(15006)].into() } else { Default::default() };
        takes(&site, &LowerOptions { identity: identity.clone(), lenient, ..LowerOptions::default() })
    };
    let cases: [(MtlsMode, &[MtlsMode], &str); 9] = [
        (Unspecified, &[], "both"),
        (Strict, &[], "mutual"),
        (Strict, &[Unspecified], "mutual"),
        (Strict, &[Permissive], "both"),
        (Permissive, &[Strict], "mutual"),
        (Unspecified, &[Permissive, Strict], "mutual"),
        (Strict, &[Permissive, Unspecified], "mutual"),
        (Unspecified, &[Unspecified, Unspecified], "both"),
        (Permissive, &[Unspecified], "both"),
    ];
    for (mesh, services, expected) in cases {
        assert_eq!(of(mesh, services, &held(), false), expected, "{mesh:?} {services:?}");
        assert_eq!(of(mesh, services, &held(), true), "both", "not all callers know yet");
        assert_eq!(of(mesh, services, &Identity::NotEnrolled, false), "plain");
        let missing = of(mesh, services, &Identity::Missing, false);
        let closed =
            "port 9070 is closed: its callers must use mutual TLS, and the workload has no certificate";
        assert_eq!(missing, if expected == "mutual" { closed } else { "plain" }, "{mesh:?} {services:?}");
    }
}

/// The listeners and clusters of a workload of which one port speaks HTTP, and one bytes.
#[test]
fn a_workload_with_a_certificate() {
    let number = Target::TargetNumber;
    let mut db = service("shop/client").port("sql", 5432, number(9071), Protocol::Tcp);
    db.name = "db".to_owned();
    db.ports[0].server_first = true;
    let db = v1::Service { mtls: MtlsMode::Permissive.into(), ..db };
    let site = shop().service(service("shop/client").http(80, 9070)).service(db);
    let mut site = site;
    site.workloads[0] = site.workloads[0].clone().port("sql", 9071);
    site.bundle.settings.mtls = MtlsMode::Strict.into();
    let set = site.lower_enrolled("shop/client-1");
    assert_eq!(set.problems, []);
    let mut only = ResourceSet::default();
    set.listeners().filter(|it| it.name.starts_with("inbound")).for_each(|it| only.add_listener(&it));
    only.add_cluster(&web(&set));
    assert_snapshot!(resources_to_json(&only).unwrap());
}

#[test]
fn a_start_file_names_files_and_holds_no_key() {
    let mut set = shop().lower_enrolled("shop/client-1");
    set.add_secret(&Secret::workload("CHAIN", "SECRET KEY"));
    set.add_secret(&Secret::mesh_roots("ROOTS", &["oslo.mesh.local".to_owned()], Dates::Checked));
    assert!(!format!("{set:?}").contains("SECRET KEY"));
    assert!(!resources_to_json(&set).unwrap().contains("SECRET KEY"));
    let options = BootstrapOptions { secrets: "/run/proxy".into(), ..BootstrapOptions::default() };
    let text = to_json(&static_bootstrap(&set, &node(), &options)).unwrap();
    assert!(!text.contains("SECRET KEY") && !text.contains("ROOTS") && !text.contains("CHAIN"));
    assert!(
        text.contains("/run/proxy/workload.secret.pb") && text.contains("/run/proxy/mesh-roots.secret.pb")
    );
    assert!(!text.contains("\"ads\""), "it asks nobody");
}
