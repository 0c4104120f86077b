//! What a client gets when there is nobody to answer (design, section 5): 404, 500, 503.

use skerry_core::bundle::v1;

use super::{PORT, Stage, cast, to_a};
use crate::backend::Backend;
use crate::client::get;
use crate::envoy::{Envoy, free_cidr};
use crate::site::{
    RouteBuilder as _, ServiceBuilder as _, WorkloadBuilder as _, backend, route, service, workload,
};

#[test]
fn no_match_is_404_no_usable_backend_500_no_ready_endpoint_503() {
    let direct = v1::Route {
        action: Some(v1::route::Action::DirectResponse(418)),
        ..route("direct").prefix("/teapot")
    };
    let stage = Stage::of(vec![
        to_a().prefix("/ok"),
        route("no-backend").prefix("/none").to(&[]),
        route("no-endpoint").prefix("/empty").to(&[backend("shop/web", PORT.into())]),
        v1::Route { action: None, ..route("no-action").prefix("/unknown") },
        direct,
    ]);
    for (path, status) in
        [("/ok", 200), ("/", 404), ("/none", 500), ("/empty", 503), ("/unknown", 500), ("/teapot", 418)]
    {
        assert_eq!(get(stage.web, path).status, status, "{path}");
    }
}

#[test]
fn a_backend_that_the_bundle_lacks_is_500_and_said() {
    let (a, b, cidr) = (Backend::start("a"), Backend::start("b"), free_cidr());
    let site = cast(&cidr, vec![route("gone").to(&[backend("shop/gone", 80)])], &a, &b);
    let set = site.lower("shop/client-1");
    assert_eq!(
        set.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "service shop/web, route gone: backend shop/gone port 80 is not in the bundle: its share is answered 500"
        ]
    );
    let _envoy = Envoy::serve(&set);
    assert_eq!(get(site.address("shop/web", &cidr, PORT), "/").status, 500);
}

/// GEP-1294: consumer routes are seen by clients of their namespace alone.
#[test]
fn a_client_sees_the_table_of_its_namespace_or_that_of_all() {
    let (a, b, cidr) = (Backend::start("a"), Backend::start("b"), free_cidr());
    let mut site = cast(&cidr, vec![to_a()], &a, &b);
    let web = service("shop/web").http(PORT.into(), 1).routes(PORT.into(), "", vec![to_a()]);
    let consumer = web.routes(PORT.into(), "other", vec![super::to_b()]);
    let other = free_cidr();
    site = site
        .service(v1::Service { index: 1, ..consumer })
        .workload(workload("other/client-1").proxy(&other, 15106));
    let ask = |proxy: &str, cidr: &str| {
        let _envoy = Envoy::serve(&site.lower(proxy));
        get(site.address("shop/web", cidr, PORT), "/").backend().to_owned()
    };
    assert_eq!(ask("shop/client-1", &cidr), "a");
    assert_eq!(ask("other/client-1", &other), "b");
}
