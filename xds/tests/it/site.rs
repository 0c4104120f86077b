//! Builders of bundles and workloads.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;

use skerry_core::bundle::Bundle;
use skerry_core::bundle::v1::{self, Protocol, service_port::Target};
use skerry_core::id::{Digest, NamespacedName};
use skerry_core::workload::{Proxy, ProxyRole, Workload, WorkloadPort};
use skerry_xds::lower::{Domain, Identity, LowerOptions, lower};
use skerry_xds::resource::ResourceSet;

/// A site in the making: its bundle and its workloads.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) bundle: Bundle,
    pub(crate) workloads: Vec<Workload>,
}

/// An empty site.
pub(crate) fn site() -> Site {
    let bundle = Bundle {
        manifest: v1::Manifest::default(),
        digest: Digest::of(b"test"),
        list: v1::FragmentList::default(),
        settings: v1::Settings::default(),
        services: BTreeMap::new(),
    };
    Site { bundle, workloads: Vec::new() }
}

impl Site {
    /// Adds a service; its index is the number of services so far, from 1, unless it has one.
    pub(crate) fn service(mut self, mut service: v1::Service) -> Self {
        if service.index == 0 {
            service.index = u32::try_from(self.bundle.services.len()).unwrap() + 1;
        }
        let name = NamespacedName::new(service.namespace.clone(), service.name.clone());
        self.bundle.services.insert(name, Arc::new(service));
        self
    }

    /// Adds a workload.
    pub(crate) fn workload(mut self, workload: Workload) -> Self {
        self.workloads.push(workload);
        self
    }

    /// Lowers for the proxy of a workload.
    pub(crate) fn lower(&self, proxy: &str) -> ResourceSet {
        lower(&self.bundle, &self.workloads, &proxy.parse().unwrap(), &LowerOptions::default()).unwrap()
    }

    /// Lowers it for a workload that has a certificate of site `oslo`.
    pub(crate) fn lower_enrolled(&self, proxy: &str) -> ResourceSet {
        let domain = Domain { site: "oslo".to_owned(), mesh: "mesh.local".to_owned() };
        let options = LowerOptions { identity: Identity::Held(domain), ..LowerOptions::default() };
        lower(&self.bundle, &self.workloads, &proxy.parse().unwrap(), &options).unwrap()
    }

    /// The virtual address of a service in a CIDR.
    pub(crate) fn address(&self, service: &str, cidr: &str, port: u16) -> SocketAddr {
        let service = &self.bundle.services[&service.parse().unwrap()];
        let address = skerry_xds::lower::address::of_service(service, Some(cidr.parse().unwrap())).unwrap();
        SocketAddr::new(address, port)
    }
}

/// A service that selects `app=<name>`, with a default route on each HTTP port to itself.
pub(crate) fn service(name: &str) -> v1::Service {
    let name: NamespacedName = name.parse().unwrap();
    v1::Service {
        selector: [("app".to_owned(), name.name.clone())].into(),
        namespace: name.namespace,
        name: name.name,
        ..Default::default()
    }
}

/// What a service is made of.
pub(crate) trait ServiceBuilder: Sized {
    /// Adds an HTTP port with one route: everything to the service itself.
    fn http(self, port: u32, target: u32) -> Self;
    /// Adds a port without routes.
    fn port(self, name: &str, port: u32, target: Target, protocol: Protocol) -> Self;
    /// Sets the routes of a port for the clients of a namespace; empty: all.
    fn routes(self, port: u32, client_namespace: &str, routes: Vec<v1::Route>) -> Self;
}

impl ServiceBuilder for v1::Service {
    fn http(self, port: u32, target: u32) -> Self {
        let itself = format!("{}/{}", self.namespace, self.name);
        self.port("", port, Target::TargetNumber(target), Protocol::Http).routes(
            port,
            "",
            vec![route("default").to(&[backend(&itself, port)])],
        )
    }

    fn port(mut self, name: &str, port: u32, target: Target, protocol: Protocol) -> Self {
        let name = name.to_owned();
        let protocol = protocol.into();
        let target = Some(target);
        self.ports.push(v1::ServicePort { name, port, protocol, target, ..Default::default() });
        self
    }

    fn routes(mut self, port: u32, client_namespace: &str, routes: Vec<v1::Route>) -> Self {
        self.tables.retain(|table| table.port != port || table.client_namespace != client_namespace);
        let client_namespace = client_namespace.to_owned();
        self.tables.push(v1::RouteTable { port, client_namespace, routes });
        self
    }
}

/// A route that matches everything and does nothing yet.
pub(crate) fn route(name: &str) -> v1::Route {
    v1::Route { name: name.to_owned(), r#match: Some(v1::RouteMatch::default()), ..Default::default() }
}

/// What a route is made of.
pub(crate) trait RouteBuilder: Sized {
    fn exact(self, path: &str) -> Self;
    fn prefix(self, path: &str) -> Self;
    fn regex(self, path: &str) -> Self;
    fn header(self, name: &str, kind: v1::value_match::Kind) -> Self;
    fn query(self, name: &str, kind: v1::value_match::Kind) -> Self;
    fn method(self, method: &str) -> Self;
    fn to(self, backends: &[v1::Backend]) -> Self;
    fn rewrite(self, hostname: &str, path: Option<v1::path_modifier::Kind>) -> Self;
    fn redirect(self, redirect: v1::Redirect) -> Self;
    fn timeouts(self, request_ms: Option<u32>, backend_request_ms: Option<u32>) -> Self;
    fn retry(self, attempts: u32, codes: &[u32]) -> Self;
}

impl RouteBuilder for v1::Route {
    fn exact(self, path: &str) -> Self {
        self.path(v1::path_match::Kind::Exact(path.to_owned()))
    }

    fn prefix(self, path: &str) -> Self {
        self.path(v1::path_match::Kind::Prefix(path.to_owned()))
    }

    fn regex(self, path: &str) -> Self {
        self.path(v1::path_match::Kind::Regex(path.to_owned()))
    }

    fn header(mut self, name: &str, kind: v1::value_match::Kind) -> Self {
        let value = v1::ValueMatch { name: name.to_owned(), kind: Some(kind) };
        self.r#match.get_or_insert_default().headers.push(value);
        self
    }

    fn query(mut self, name: &str, kind: v1::value_match::Kind) -> Self {
        let value = v1::ValueMatch { name: name.to_owned(), kind: Some(kind) };
        self.r#match.get_or_insert_default().query_params.push(value);
        self
    }

    fn method(mut self, method: &str) -> Self {
        self.r#match.get_or_insert_default().method = method.to_owned();
        self
    }

    fn to(mut self, backends: &[v1::Backend]) -> Self {
        self.forward().backends = backends.to_vec();
        self
    }

    fn rewrite(mut self, hostname: &str, path: Option<v1::path_modifier::Kind>) -> Self {
        let path = path.map(|kind| v1::PathModifier { kind: Some(kind) });
        self.forward().rewrite = Some(v1::Rewrite { hostname: hostname.to_owned(), path });
        self
    }

    fn redirect(mut self, redirect: v1::Redirect) -> Self {
        self.action = Some(v1::route::Action::Redirect(redirect));
        self
    }

    fn timeouts(mut self, request_ms: Option<u32>, backend_request_ms: Option<u32>) -> Self {
        self.forward().timeouts = Some(v1::Timeouts { request_ms, backend_request_ms });
        self
    }

    fn retry(mut self, attempts: u32, codes: &[u32]) -> Self {
        self.forward().retry = Some(v1::Retry { attempts, codes: codes.to_vec(), backoff_ms: 0 });
        self
    }
}

trait RouteParts: Sized {
    fn path(self, kind: v1::path_match::Kind) -> Self;
    fn forward(&mut self) -> &mut v1::Forward;
}

impl RouteParts for v1::Route {
    fn path(mut self, kind: v1::path_match::Kind) -> Self {
        self.r#match.get_or_insert_default().path = Some(v1::PathMatch { kind: Some(kind) });
        self
    }

    fn forward(&mut self) -> &mut v1::Forward {
        if !matches!(self.action, Some(v1::route::Action::Forward(_))) {
            self.action = Some(v1::route::Action::Forward(v1::Forward::default()));
        }
        let Some(v1::route::Action::Forward(forward)) = &mut self.action else { unreachable!() };
        forward
    }
}

/// A backend of weight 1.
pub(crate) fn backend(service: &str, port: u32) -> v1::Backend {
    let NamespacedName { namespace, name } = service.parse().unwrap();
    v1::Backend { namespace, name, port, weight: 1, ..Default::default() }
}

/// A modifier that sets, adds and removes headers.
pub(crate) fn headers(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> v1::HeaderModifier {
    let header = |(name, value): &(&str, &str)| v1::Header { name: (*name).into(), value: (*value).into() };
    v1::HeaderModifier {
        set: set.iter().map(header).collect(),
        add: add.iter().map(header).collect(),
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A workload at 127.0.0.1 with the label `app=<name up to the last dash>`.
pub(crate) fn workload(name: &str) -> Workload {
    let name: NamespacedName = name.parse().unwrap();
    let app = name.name.rsplit_once('-').map_or(name.name.as_str(), |(app, _)| app).to_owned();
    Workload {
        name,
        labels: [("app".to_owned(), app)].into(),
        service_account: String::new(),
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ports: Vec::new(),
        uid: None,
        proxy: None,
    }
}

/// What a workload is made of.
pub(crate) trait WorkloadBuilder: Sized {
    fn at(self, address: SocketAddr) -> Self;
    fn port(self, name: &str, port: u16) -> Self;
    fn proxy(self, cidr: &str, inbound_port: u16) -> Self;
}

impl WorkloadBuilder for Workload {
    /// Sets the address and adds its port, without a name.
    fn at(mut self, address: SocketAddr) -> Self {
        self.address = address.ip();
        self.port("", address.port())
    }

    fn port(mut self, name: &str, port: u16) -> Self {
        self.ports.push(WorkloadPort { name: name.to_owned(), port: NonZeroU16::new(port).unwrap() });
        self
    }

    fn proxy(mut self, cidr: &str, inbound_port: u16) -> Self {
        self.proxy = Some(Proxy {
            role: ProxyRole::Sidecar,
            outbound_cidr: Some(cidr.parse().unwrap()),
            inbound_port: NonZeroU16::new(inbound_port).unwrap(),
        });
        self
    }
}
