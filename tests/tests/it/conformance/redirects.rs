//! What the conformance manifests about redirects must do. Questions have the host `echo.shop` and
//! come in at port 80, which a location does not name (GEP-820).

use super::expectations::{Row, echo};
use crate::question::Question;

/// The rows.
pub(super) fn rows() -> Vec<Row> {
    vec![
        echo("httproute-303-redirect.yaml", vec![to("/redirect", 303, "http://echo.shop/redirect")]),
        echo("httproute-307-redirect.yaml", vec![to("/temporary", 307, "http://echo.shop/temporary")]),
        echo("httproute-308-redirect.yaml", vec![to("/permanent", 308, "http://echo.shop/permanent")]),
        echo("httproute-redirect-host-and-status.yaml", hosts()),
        echo("httproute-redirect-path.yaml", paths()),
        echo("httproute-redirect-port.yaml", ports()),
        echo("httproute-redirect-scheme.yaml", schemes()),
    ]
}

fn to(path: &'static str, status: u16, location: &'static str) -> Question {
    Question::get(path, path).status(status).header("location", location)
}

fn hosts() -> Vec<Question> {
    vec![
        to("/hostname-redirect", 302, "http://example.org/hostname-redirect"),
        to("/host-and-status", 301, "http://example.org/host-and-status"),
    ]
}

fn paths() -> Vec<Question> {
    vec![
        to("/original-prefix/lemon", 302, "http://echo.shop/replacement-prefix/lemon"),
        to("/full/path/original", 302, "http://echo.shop/full-path-replacement"),
        to("/path-and-host/lemon", 302, "http://example.org/replacement-prefix/lemon"),
        to("/path-and-status/lemon", 301, "http://echo.shop/replacement-prefix/lemon"),
        to("/full-path-and-host/lemon", 302, "http://example.org/replacement-full"),
        to("/full-path-and-status/lemon", 301, "http://echo.shop/replacement-full"),
    ]
}

fn ports() -> Vec<Question> {
    vec![
        to("/port", 302, "http://echo.shop:8083/port"),
        to("/port-and-host", 302, "http://example.org:8083/port-and-host"),
        to("/port-and-status", 301, "http://echo.shop:8083/port-and-status"),
        to("/port-and-host-and-status", 302, "http://example.org:8083/port-and-host-and-status"),
    ]
}

fn schemes() -> Vec<Question> {
    vec![
        to("/scheme", 302, "https://echo.shop/scheme"),
        to("/scheme-and-host", 302, "https://example.org/scheme-and-host"),
        to("/scheme-and-status", 301, "https://echo.shop/scheme-and-status"),
        to("/scheme-and-host-and-status", 302, "https://example.org/scheme-and-host-and-status"),
    ]
}
