//! Redirects (Gateway API `HTTPRequestRedirectFilter`), seen in status and `Location`.

use std::net::SocketAddr;

use skerry_core::bundle::v1::path_modifier::Kind;
use skerry_core::bundle::v1::{PathModifier, Redirect, Route};

use crate::client::{get, send};
use crate::envoy::{Envoy, free_cidr};
use crate::site::{
    RouteBuilder as _, ServiceBuilder as _, WorkloadBuilder as _, route, service, site, workload,
};

fn redirect(scheme: &str, hostname: &str, port: u32, path: Option<Kind>, status_code: u32) -> Redirect {
    let path = path.map(|kind| PathModifier { kind: Some(kind) });
    Redirect { scheme: scheme.to_owned(), hostname: hostname.to_owned(), path, port, status_code }
}

fn at(prefix: &str, redirect: Redirect) -> Route {
    route(prefix).prefix(prefix).redirect(redirect)
}

/// A service with these redirects at a port that every user may bind.
fn serve(port: u32, routes: Vec<Route>) -> (Envoy, SocketAddr) {
    let cidr = free_cidr();
    let site = site()
        .service(service("shop/web").http(port, 1).routes(port, "", routes))
        .workload(workload("shop/client-1").proxy(&cidr, 15006));
    let set = site.lower("shop/client-1");
    assert_eq!(set.problems, []);
    let address = site.address("shop/web", &cidr, port.try_into().unwrap());
    (Envoy::serve(&set), address)
}

/// GEP-820, and the port rules in the API's documentation.
#[test]
fn the_location_has_the_right_scheme_host_and_port() {
    let (_envoy, web) = serve(
        8080,
        vec![
            at("/https-host", redirect("https", "example.org", 0, None, 301)),
            at("/http-host", redirect("http", "example.org", 0, None, 301)),
            at("/host", redirect("", "example.org", 0, None, 301)),
            at("/port", redirect("", "", 9090, None, 301)),
            at("/host-port", redirect("", "example.org", 9090, None, 301)),
            at("/host-port-80", redirect("", "example.org", 80, None, 301)),
            at("/https-443", redirect("https", "example.org", 443, None, 301)),
            at("/https-80", redirect("https", "example.org", 80, None, 301)),
            at("/https-8443", redirect("https", "", 8443, None, 301)),
            at("/https", redirect("https", "", 0, None, 301)),
            at("/to-80", redirect("", "", 80, None, 301)),
        ],
    );
    let location = |path: &str| {
        let answer = send(web, "GET", path, &[("host", "svc:8080")]);
        answer.header("location").unwrap().to_owned()
    };
    assert_eq!(location("/https-host?q=1"), "https://example.org/https-host?q=1");
    assert_eq!(location("/http-host"), "http://example.org/http-host");
    assert_eq!(location("/host"), "http://example.org:8080/host", "no scheme: the service's port");
    assert_eq!(location("/port"), "http://svc:9090/port");
    assert_eq!(location("/host-port"), "http://example.org:9090/host-port");
    assert_eq!(location("/host-port-80"), "http://example.org/host-port-80");
    assert_eq!(location("/https-443"), "https://example.org/https-443");
    assert_eq!(location("/https-80"), "https://example.org:80/https-80");
    assert_eq!(location("/https-8443"), "https://svc:8443/https-8443");
    assert_eq!(location("/https?x=http://a:443/"), "https://svc/https?x=http://a:443/");
    assert_eq!(location("/to-80"), "http://svc/to-80");
    let six = send(web, "GET", "/https", &[("host", "[::1]:8080")]);
    assert_eq!(six.header("location"), Some("https://[::1]/https"));
}

#[test]
fn the_location_has_the_right_path_and_status() {
    let full = |path: &str| Some(Kind::Full(path.to_owned()));
    let prefix = |path: &str| Some(Kind::Prefix(path.to_owned()));
    let cases: [(&str, Option<Kind>, u32, &str, &str); 9] = [
        ("/full", full("/new"), 301, "/full/x?q=1", "/new?q=1"),
        ("/pre", prefix("/xyz"), 302, "/pre/x?q=1", "/xyz/x?q=1"),
        ("/pre-slash", prefix("/xyz/"), 303, "/pre-slash/x", "/xyz/x"),
        ("/same", prefix("/xyz"), 307, "/same", "/xyz"),
        ("/slash", prefix("/xyz"), 308, "/slash/", "/xyz/"),
        ("/strip", prefix(""), 302, "/strip", "/"),
        ("/strip-to", prefix("/"), 302, "/strip-to/x?q=/strip-to", "/x?q=/strip-to"),
        ("/strip-slashes", prefix("/"), 302, "/strip-slashes//evil.example/", "/evil.example/"),
        ("/", prefix("/xyz"), 302, "/other?q", "/xyz/other?q"),
    ];
    let route = |case: &(&str, Option<Kind>, u32, &str, &str)| {
        at(case.0, redirect("", "example.org", 80, case.1.clone(), case.2))
    };
    let (_envoy, web) = serve(8080, cases.iter().map(route).collect());
    for (_, _, status, request, expected) in &cases {
        let answer = get(web, request);
        let location = answer.header("location").unwrap();
        assert_eq!(
            (u32::from(answer.status), location),
            (*status, format!("http://example.org{expected}").as_str())
        );
    }
}
