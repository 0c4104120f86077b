//! Changes to headers, on routes and on backends, seen at the backend and at the client.

use skerry_core::bundle::v1::{Backend, HeaderModifier, Route};

use super::{Stage, to_a};
use crate::client::send;
use crate::site::{RouteBuilder as _, backend, headers, route};

fn with(mut route: Route, request: HeaderModifier, response: HeaderModifier) -> Route {
    route.request_headers = Some(request);
    route.response_headers = Some(response);
    route
}

fn changed(mut backend: Backend, request: HeaderModifier, response: HeaderModifier) -> Backend {
    backend.request_headers = Some(request);
    backend.response_headers = Some(response);
    backend
}

#[test]
fn headers_are_set_added_and_removed_both_ways() {
    let request = headers(
        &[("x-set", "new"), ("X-Case", "100%"), ("x-op", "%REQ(:path)%")],
        &[("x-add", "b")],
        &["x-gone"],
    );
    let response = headers(&[("x-old", "2")], &[("x-new", "50%")], &["backend"]);
    let stage = Stage::of(vec![with(to_a().prefix("/"), request, response)]);
    let sent = [("host", "svc"), ("x-set", "old"), ("x-add", "a"), ("x-gone", "1"), ("x-kept", "1")];
    let answer = send(stage.web, "GET", "/", &sent);
    let seen = stage.a.last();
    let value = |name: &str| seen.header(name);
    assert_eq!(value("x-set").as_deref(), Some("new"));
    assert_eq!(value("x-case").as_deref(), Some("100%"), "a percent sign is only that");
    assert_eq!(value("x-op").as_deref(), Some("%REQ(:path)%"), "a value is no format");
    assert_eq!(value("x-add").as_deref(), Some("a,b"));
    assert_eq!(value("x-gone"), None);
    assert_eq!(value("x-kept").as_deref(), Some("1"));
    assert_eq!(answer.header("x-old"), Some("2"));
    assert_eq!(answer.header("x-new"), Some("50%"));
    assert_eq!(answer.header("backend"), None);
}

#[test]
fn a_backends_changes_are_its_own_and_win_over_its_routes() {
    let special = changed(
        backend("shop/a", 80),
        headers(&[("x-who", "a")], &[], &[]),
        headers(&[("x-by", "a")], &[], &[]),
    );
    let both = route("both").prefix("/").to(&[special, backend("shop/b", 80)]);
    let stage = Stage::of(vec![with(
        both,
        headers(&[("x-who", "route")], &[], &[]),
        headers(&[("x-by", "route")], &[], &[]),
    )]);
    for _ in 0..40 {
        let answer = send(stage.web, "GET", "/", &[("host", "svc")]);
        let expected = if answer.backend() == "a" { "a" } else { "route" };
        assert_eq!(answer.header("x-by"), Some(expected));
    }
    assert!(stage.a.seen().iter().all(|seen| seen.header("x-who").as_deref() == Some("a")));
    assert!(stage.b.seen().iter().all(|seen| seen.header("x-who").as_deref() == Some("route")));
    assert!(!stage.a.seen().is_empty() && !stage.b.seen().is_empty());
}

#[test]
fn a_host_that_is_set_as_a_header_is_rewritten() {
    let on_backend = changed(
        backend("shop/b", 80),
        headers(&[("host", "backend.example")], &[], &[]),
        HeaderModifier::default(),
    );
    let stage = Stage::of(vec![
        with(
            to_a().prefix("/route"),
            headers(&[("Host", "route.example")], &[], &[]),
            HeaderModifier::default(),
        ),
        route("backend").prefix("/backend").to(&[on_backend]),
    ]);
    send(stage.web, "GET", "/route", &[("host", "svc")]);
    assert_eq!(stage.a.last().header("host").as_deref(), Some("route.example"));
    send(stage.web, "GET", "/backend", &[("host", "svc")]);
    assert_eq!(stage.b.last().header("host").as_deref(), Some("backend.example"));
}

#[test]
fn a_proxy_adds_only_what_tells_requests_apart() {
    let stage = Stage::of(vec![to_a().prefix("/")]);
    let answer = send(stage.web, "GET", "/", &[("host", "svc"), ("x-forwarded-for", "192.0.2.1")]);
    let seen = stage.a.last();
    let names: Vec<&str> = seen.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host", "x-forwarded-for", "x-forwarded-proto", "x-request-id"]);
    assert_eq!(seen.header("x-forwarded-for").as_deref(), Some("192.0.2.1"));
    assert_eq!(answer.header("server"), Some("stub"), "the server is the backend");
}
