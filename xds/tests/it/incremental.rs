//! Invariant 3, at the site: lowering that goes on from what was lowered before equals lowering from
//! scratch, after any sequence of bundles and of workloads.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;
use skerry_core::bundle::v1::{self, Protocol, service_port::Target};
use skerry_core::workload::Workload;
use skerry_xds::lower::{Domain, Identity, LowerOptions, Lowering, lower};
use skerry_xds::resource::{ResourceKind, ResourceSet};

use crate::authorization::{methods, ports, rule};
use crate::site::{
    RouteBuilder as _, ServiceBuilder as _, Site, WorkloadBuilder as _, backend, route, service, site,
    workload,
};

/// Few names and ports, so that services, backends and workloads often meet, and miss each other.
const NAMES: [&str; 4] = ["shop/a", "shop/b", "shop/client", "till/c"];

/// A service: index, whether it declares its address, protocol, number of its port, and its backend.
type Plan = (u32, Option<u8>, u8, u32, (usize, u32, bool));

/// What happens to a site.
#[derive(Debug, Clone)]
enum Step {
    /// A service comes, or becomes another.
    Put(usize, Plan),
    /// A service goes.
    Remove(usize),
    /// The mesh gets another CIDR.
    Cidr(u8),
    /// The mesh gets another trust domain and another default.
    Mesh(u8, bool),
    /// A service, if it is there, gets an authorization: closed or not, whom it allows, and what it denies or audits.
    Authorize(usize, bool, Option<u8>, Option<u8>),
    /// Workloads of the four services come and go; the client's has these ports.
    Workloads(Vec<(usize, u16)>, Vec<u16>),
    /// The proxy cannot bind these of its virtual addresses, and nobody listens yet at this inbound port.
    Addresses(Vec<u8>, Option<u16>),
    /// The proxy gets a certificate or loses it, and the mesh another mode; these inbound ports take what others do not.
    Identity(u8, bool, Option<u16>, Option<u16>),
    /// The bundle is read anew: equal, but nothing is shared.
    Copy,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let plan =
        (1..4_u32, prop::option::of(0..3_u8), 0..3_u8, 80..82_u32, (0..4_usize, 80..82_u32, any::<bool>()));
    let workloads = (
        prop::collection::vec((0..4_usize, 9080..9082_u16), 0..4),
        prop::collection::vec(9080..9083_u16, 0..3),
    );
    let step = prop_oneof![
        6 => (0..4_usize, plan).prop_map(|(at, plan)| Step::Put(at, plan)),
        2 => (0..4_usize).prop_map(Step::Remove),
        1 => (0..3_u8).prop_map(Step::Cidr),
        1 => (0..2_u8, any::<bool>()).prop_map(|(domain, closed)| Step::Mesh(domain, closed)),
        3 => (0..4_usize, any::<bool>(), prop::option::of(0..3_u8), prop::option::of(0..3_u8))
            .prop_map(|(at, closed, allow, deny)| Step::Authorize(at, closed, allow, deny)),
        2 => workloads.prop_map(|(workloads, ports)| Step::Workloads(workloads, ports)),
        1 => (prop::collection::vec(2..5_u8, 0..2), prop::option::of(15006..15008_u16))
            .prop_map(|(unbound, silent)| Step::Addresses(unbound, silent)),
        2 => (0..4_u8, any::<bool>(), prop::option::of(15006..15008_u16), prop::option::of(15006..15008_u16))
            .prop_map(|(held, is_strict, plain, lenient)| Step::Identity(held, is_strict, plain, lenient)),
        1 => Just(Step::Copy),
    ];
    prop::collection::vec(step, 1..30)
}

fn to_service(
    at: usize,
    (index, address, protocol, port, (target, target_port, invalid)): Plan,
) -> v1::Service {
    let protocol = [Protocol::Tcp, Protocol::Http, Protocol::Http2][usize::from(protocol)];
    let backend = v1::Backend { invalid, ..backend(NAMES[target], target_port) };
    let web = service(NAMES[at]).port("http", port, Target::TargetName("http".to_owned()), protocol);
    v1::Service {
        index,
        cluster_ip: address.map(|last| format!("127.65.0.{}", 2 + last)).unwrap_or_default(),
        ..web.routes(port, "", vec![route("r").to(&[backend])])
    }
}

fn to_authorization(closed: bool, allow: Option<u8>, deny: Option<u8>) -> v1::Authorization {
    let site = |at: u8| v1::Source { sites: vec![format!("s{at}")], ..v1::Source::default() };
    let allow = allow.map(|at| rule(&format!("allow/{at}"), vec![site(at)], vec![methods(&["GET"])]));
    let deny = deny.map(|at| rule(&format!("deny/{at}"), vec![site(at)], vec![ports(&[80])]));
    let audits = deny.iter().map(|rule| v1::Audit { name: "audit".to_owned(), rules: vec![rule.clone()] });
    let audits = audits.collect();
    v1::Authorization { deny: deny.into_iter().collect(), allow: allow.into_iter().collect(), closed, audits }
}

fn client(ports: &[u16]) -> Workload {
    let client = ports.iter().fold(workload("shop/client-1"), |client, port| client.port("http", *port));
    let mut client = client.proxy("127.65.0.0/16", 15006);
    client.proxy.as_mut().unwrap().outbound_cidr = None;
    client
}

fn take_addresses(options: &mut LowerOptions, unbound: &[u8], silent: Option<u16>) {
    let at = |last: &u8| (SocketAddr::from(([127, 65, 0, *last], 80)), "it is taken".to_owned());
    options.unbound = unbound.iter().map(at).collect();
    options.silent = silent.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
}

fn mode(is_strict: bool) -> v1::MtlsMode {
    if is_strict { v1::MtlsMode::Strict } else { v1::MtlsMode::Unspecified }
}

fn identify(options: &mut LowerOptions, held: u8, plain: Option<u16>, lenient: Option<u16>) {
    options.identity = match held {
        0 => Identity::NotEnrolled,
        1 => Identity::Missing,
        site => Identity::Held(Domain { site: format!("s{site}"), mesh: "mesh.local".to_owned() }),
    };
    let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    options.plain = plain.into_iter().map(at).collect();
    options.lenient = lenient.into_iter().map(at).collect();
}

fn apply(site: &mut Site, options: &mut LowerOptions, step: &Step) {
    match step {
        Step::Put(at, plan) => {
            site.bundle.services.insert(NAMES[*at].parse().unwrap(), Arc::new(to_service(*at, *plan)));
        }
        Step::Remove(at) => drop(site.bundle.services.remove(&NAMES[*at].parse().unwrap())),
        Step::Cidr(at) => {
            site.bundle.settings.outbound_cidr =
                ["127.65.0.0/16", "127.66.0.0/24", ""][usize::from(*at)].to_owned();
        }
        Step::Mesh(domain, closed) => {
            site.bundle.settings.trust_domain = format!("mesh{domain}.local");
            site.bundle.settings.deny_by_default = *closed;
        }
        Step::Authorize(at, closed, allow, deny) => {
            if let Some(service) = site.bundle.services.get_mut(&NAMES[*at].parse().unwrap()) {
                let authorization = Some(to_authorization(*closed, *allow, *deny));
                *service = Arc::new(v1::Service { authorization, ..v1::Service::clone(service) });
            }
        }
        Step::Workloads(others, ports) => {
            let other = |(at, port): &(usize, u16)| {
                (
                    *at,
                    workload(&format!("{}-2", NAMES[*at])).port("http", *port).proxy("127.67.0.0/16", 15006),
                )
            };
            let others: BTreeMap<usize, Workload> = others.iter().map(other).collect();
            site.workloads = std::iter::once(client(ports)).chain(others.into_values()).collect();
        }
        Step::Addresses(unbound, silent) => take_addresses(options, unbound, *silent),
        Step::Identity(held, is_strict, plain, lenient) => {
            site.bundle.settings.mtls = mode(*is_strict).into();
            identify(options, *held, *plain, *lenient);
        }
        Step::Copy => {
            for service in site.bundle.services.values_mut() {
                *service = Arc::new(v1::Service::clone(service));
            }
        }
    }
}

/// How many resources of a set are not those of another, by identity.
fn made_anew(before: &ResourceSet, after: &ResourceSet) -> usize {
    let is_new = |kind: ResourceKind, name: &str, resource| {
        !before.of(kind).get(name).is_some_and(|known| Arc::ptr_eq(known, resource))
    };
    let all = ResourceKind::ALL
        .into_iter()
        .flat_map(|kind| after.of(kind).iter().map(move |(name, it)| (kind, name, it)));
    all.filter(|(kind, name, resource)| is_new(*kind, name, *resource)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn invariant_3_what_goes_on_from_before_equals_what_starts_from_scratch(steps in steps()) {
        let mut site = site().workload(client(&[9080]));
        let mut lowering = Lowering::default();
        let (name, mut options) = ("shop/client-1".parse().unwrap(), LowerOptions::default());
        for step in &steps {
            apply(&mut site, &mut options, step);
            let again = lowering.lower(&site.bundle, &site.workloads, &name, &options);
            prop_assert_eq!(again, lower(&site.bundle, &site.workloads, &name, &options));
        }
    }
}

#[test]
fn only_what_changed_is_made_anew() {
    let many = (0..20).map(|at| service(&format!("shop/s{at}")).http(80, 9080));
    let mut site = many.fold(site().workload(client(&[9080])), Site::service);
    site.bundle.settings.outbound_cidr = "127.65.0.0/16".to_owned();
    let (name, options) = ("shop/client-1".parse().unwrap(), LowerOptions::default());
    let mut lowering = Lowering::default();
    let mut lower = |site: &Site| lowering.lower(&site.bundle, &site.workloads, &name, &options).unwrap();
    let before = lower(&site);
    assert_eq!(made_anew(&before, &lower(&site)), 0);

    let to_another = vec![route("r").to(&[backend("shop/s4", 80)])];
    let changed = service("shop/s3").http(80, 9080).routes(80, "", to_another);
    site = site.service(v1::Service { index: 4, ..changed });
    let after = lower(&site);
    assert_eq!(made_anew(&before, &after), 4, "cluster, endpoints, listener and routes of one service");

    // Another service's routes name it, so they are made anew when it goes; the names are too.
    site.bundle.services.remove(&"shop/s4".parse().unwrap());
    assert_eq!(made_anew(&after, &lower(&site)), 5);
}
