//! What a real Envoy does with what is lowered, observed at clients and stub backends.

use std::net::SocketAddr;

use skerry_core::bundle::v1;

use crate::backend::Backend;
use crate::envoy::{Envoy, free_cidr};
use crate::site::{
    RouteBuilder as _, ServiceBuilder as _, Site, WorkloadBuilder as _, backend, route, service, site,
    workload,
};

mod authorization;
mod failures;
mod headers;
mod inbound;
mod limits;
mod matching;
mod names;
mod paths;
mod redirects;
mod weights;

/// The port of the service under test.
const PORT: u16 = 8080;

/// A client's proxy, the service `shop/web` with the routes under test, and the services `shop/a`
/// and `shop/b` with a backend each.
struct Stage {
    _envoy: Envoy,
    web: SocketAddr,
    a: Backend,
    b: Backend,
}

impl Stage {
    fn of(routes: Vec<v1::Route>) -> Self {
        Self::with(routes, Backend::start("a"), Backend::start("b"))
    }

    fn with(routes: Vec<v1::Route>, a: Backend, b: Backend) -> Self {
        let cidr = free_cidr();
        let site = cast(&cidr, routes, &a, &b);
        let set = site.lower("shop/client-1");
        assert_eq!(set.problems, []);
        assert_eq!(skerry_xds::check::check(&set), Vec::<String>::new());
        Self { _envoy: Envoy::serve(&set), web: site.address("shop/web", &cidr, PORT), a, b }
    }
}

/// The site of a stage.
fn cast(cidr: &str, routes: Vec<v1::Route>, a: &Backend, b: &Backend) -> Site {
    site()
        .service(service("shop/web").http(PORT.into(), 1).routes(PORT.into(), "", routes))
        .service(service("shop/a").http(80, a.address.port().into()))
        .service(service("shop/b").http(80, b.address.port().into()))
        .workload(workload("shop/client-1").proxy(cidr, 15006))
        .workload(workload("shop/a-1").at(a.address))
        .workload(workload("shop/b-1").at(b.address))
}

/// A route to the service `shop/a`.
fn to_a() -> v1::Route {
    route("to-a").to(&[backend("shop/a", 80)])
}

/// A route to the service `shop/b`.
fn to_b() -> v1::Route {
    route("to-b").to(&[backend("shop/b", 80)])
}
