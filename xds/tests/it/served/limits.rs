//! Timeouts (GEP-1742) and retries (GEP-1731), counted at the backend.

use std::time::{Duration, Instant};

use super::{Stage, to_a};
use crate::backend::{Backend, Reply};
use crate::client::{get, send};
use crate::site::RouteBuilder as _;

fn stage(
    routes: Vec<skerry_core::bundle::v1::Route>,
    reply: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> Stage {
    Stage::with(routes, Backend::script("a", reply), Backend::start("b"))
}

#[test]
fn a_request_ends_with_504_when_its_time_is_over() {
    let stage = stage(
        vec![
            to_a().prefix("/whole").timeouts(Some(200), None),
            to_a().prefix("/try").timeouts(None, Some(200)),
            to_a().prefix("/tries").timeouts(Some(0), Some(100)).retry(2, &[]),
        ],
        |_| Reply::Hang,
    );
    for path in ["/whole", "/try", "/tries"] {
        let start = Instant::now();
        assert_eq!(get(stage.web, path).status, 504, "{path}");
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(150) && took < Duration::from_secs(10), "{path} took {took:?}");
    }
    assert_eq!(stage.a.seen().len(), 1 + 1 + 3, "each try of the last was limited");
}

#[test]
fn a_request_is_tried_again_only_as_its_route_says() {
    let stage = stage(
        vec![
            to_a().prefix("/retry").retry(2, &[503]),
            to_a().prefix("/other-code").retry(2, &[500]),
            to_a().prefix("/no-code").retry(2, &[]),
            to_a().prefix("/never"),
        ],
        |_| Reply::Status(503),
    );
    for (path, tries) in [("/retry", 3), ("/other-code", 1), ("/no-code", 1), ("/never", 1)] {
        let before = stage.a.seen().len();
        assert_eq!(get(stage.web, path).status, 503, "{path}");
        assert_eq!(stage.a.seen().len() - before, tries, "{path}");
    }
}

#[test]
fn a_reset_before_the_response_is_tried_again() {
    let stage = stage(vec![to_a().prefix("/").retry(2, &[])], |number| {
        if number < 2 { Reply::Close } else { Reply::Status(200) }
    });
    assert_eq!(get(stage.web, "/").status, 200);
    assert_eq!(stage.a.seen().len(), 3);
}

/// A client cannot ask for limits or retries of its own (`x-envoy-*`).
#[test]
fn without_a_retry_a_reset_is_the_clients() {
    let stage = stage(vec![to_a().prefix("/")], |_| Reply::Close);
    assert_eq!(get(stage.web, "/").status, 503);
    let asking = [("host", "svc"), ("x-envoy-retry-on", "5xx,reset"), ("x-envoy-max-retries", "3")];
    assert_eq!(send(stage.web, "GET", "/", &asking).status, 503);
    assert_eq!(stage.a.seen().len(), 2);
}
