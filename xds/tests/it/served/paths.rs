//! Rewrites of path and host (Gateway API `HTTPURLRewriteFilter`), seen at the backend.

use skerry_core::bundle::v1::path_modifier::Kind;

use super::{Stage, to_a};
use crate::client::{get, send};
use crate::site::RouteBuilder as _;

/// Rows of the table in the API's `ReplacePrefixMatch`, and what follows from it: the prefix of the
/// match, the replacement, the request, what the backend sees.
const ROWS: [(&str, &str, &str, &str); 20] = [
    ("/foo", "/xyz", "/foo/bar", "/xyz/bar"),
    ("/foo", "/xyz/", "/foo/bar", "/xyz/bar"),
    ("/foo/", "/xyz", "/foo/bar", "/xyz/bar"),
    ("/foo/", "/xyz/", "/foo/bar", "/xyz/bar"),
    ("/foo", "/xyz", "/foo", "/xyz"),
    ("/foo", "/xyz/", "/foo", "/xyz"),
    ("/foo", "/xyz", "/foo/", "/xyz/"),
    ("/foo", "", "/foo/bar", "/bar"),
    ("/foo", "", "/foo/", "/"),
    ("/foo", "", "/foo", "/"),
    ("/foo", "/", "/foo/", "/"),
    ("/foo", "/", "/foo", "/"),
    ("/foo", "/", "/foo/bar", "/bar"),
    ("/foo", "", "/foo?q=/foo/x", "/?q=/foo/x"),
    ("/foo", "/xyz", "/foo/bar?q=1", "/xyz/bar?q=1"),
    ("/", "/xyz", "/", "/xyz/"),
    ("/", "/xyz", "/bar?q=1", "/xyz/bar?q=1"),
    ("/", "/", "/bar", "/bar"),
    ("/", "", "/", "/"),
    ("/a.b+c", "", "/a.b+c/d", "/d"),
];

#[test]
fn replace_prefix_match_follows_the_table() {
    let header = |number: usize| skerry_core::bundle::v1::value_match::Kind::Exact(number.to_string());
    let routes = ROWS.iter().enumerate().map(|(number, (prefix, replacement, ..))| {
        let change = Kind::Prefix((*replacement).to_owned());
        to_a().prefix(prefix).header("row", header(number)).rewrite("", Some(change))
    });
    let stage = Stage::of(routes.collect());
    for (number, (prefix, replacement, request, expected)) in ROWS.iter().enumerate() {
        let row = number.to_string();
        assert_eq!(send(stage.web, "GET", request, &[("host", "svc"), ("row", &row)]).status, 200);
        assert_eq!(&stage.a.last().path, expected, "prefix {prefix} by {replacement:?} in {request}");
    }
}

#[test]
fn a_full_path_and_a_host_are_replaced_and_the_query_is_kept() {
    let full = |path: &str| Some(Kind::Full(path.to_owned()));
    let stage = Stage::of(vec![
        to_a().prefix("/full").rewrite("", full("/new/path")),
        to_a().prefix("/backslash").rewrite("", full(r"/a\1")),
        to_a().exact("/exact").rewrite("", Some(Kind::Prefix("/replaced/".to_owned()))),
        to_a().prefix("/both").rewrite("other.example", full("/x")),
        to_a().prefix("/host").rewrite("other.example", None),
        to_a().prefix("/"),
    ]);
    let seen = |path: &str| {
        get(stage.web, path);
        let last = stage.a.last();
        (last.path.clone(), last.header("host").unwrap())
    };
    let pair = |path: &str, host: &str| (path.to_owned(), host.to_owned());
    assert_eq!(seen("/full/of/it?q=1&r=%20"), pair("/new/path?q=1&r=%20", "svc"));
    assert_eq!(seen("/backslash"), pair(r"/a\1", "svc"));
    assert_eq!(seen("/exact"), pair("/replaced/", "svc"));
    assert_eq!(seen("/both"), pair("/x", "other.example"));
    assert_eq!(seen("/host/kept?q"), pair("/host/kept?q", "other.example"));
    assert_eq!(seen("//a%2Fb//c"), pair("//a%2Fb//c", "svc"), "slashes are neither merged nor unescaped");
}
