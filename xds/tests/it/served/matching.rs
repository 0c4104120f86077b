//! Which requests a route takes: path, header, query, method, in the order of the table.

use skerry_core::bundle::v1::value_match::Kind;

use super::{Stage, to_a, to_b};
use crate::client::{get, send};
use crate::site::RouteBuilder as _;

fn exact(text: &str) -> Kind {
    Kind::Exact(text.to_owned())
}

fn regex(text: &str) -> Kind {
    Kind::Regex(text.to_owned())
}

#[test]
fn paths_match_exactly_by_elements_and_by_expression() {
    let stage = Stage::of(vec![
        to_a().exact("/exact"),
        to_a().prefix("/pre/fix"),
        to_a().regex("/re[0-9]+"),
        to_b().prefix("/b"),
    ]);
    let backend = |path: &str| get(stage.web, path).backend().to_owned();
    for path in ["/exact", "/exact?q=1", "/pre/fix", "/pre/fix/", "/pre/fix/more?q", "/re42", "/re42?q"] {
        assert_eq!(backend(path), "a", "{path}");
    }
    for path in ["/", "/exact/", "/exact/more", "/pre", "/pre/fixed", "/re", "/re42/", "/x/re42"] {
        assert_eq!(get(stage.web, path).status, 404, "{path}");
    }
    assert_eq!(backend("/b"), "b");
    assert_eq!(backend("/x/../b"), "b", "paths are normalized before they are matched");
}

#[test]
fn headers_query_and_method_must_all_match_and_the_first_route_wins() {
    let stage = Stage::of(vec![
        to_a().prefix("/").header("version", exact("v1")).query("q", exact("1")).method("POST"),
        to_a().prefix("/h").header("env", regex("prod-.*")),
        to_a().prefix("/q").query("animal", regex("wh[a-z]*e")),
        to_b().prefix("/"),
    ]);
    type Headers = &'static [(&'static str, &'static str)];
    let cases: [(&str, &str, Headers, &str); 11] = [
        ("POST", "/?q=1", &[("version", "v1")], "a"),
        ("POST", "/?q=1", &[("Version", "v1")], "a"),
        ("GET", "/?q=1", &[("version", "v1")], "b"),
        ("POST", "/?q=2", &[("version", "v1")], "b"),
        ("POST", "/?q=1", &[("version", "v10")], "b"),
        ("POST", "/?q=1", &[], "b"),
        ("GET", "/h", &[("env", "prod-eu")], "a"),
        ("GET", "/h", &[("env", "my-prod-eu")], "b"),
        ("GET", "/q?x=1&animal=whale", &[], "a"),
        ("GET", "/q?animal=whales", &[], "b"),
        ("GET", "/q", &[], "b"),
    ];
    for (method, path, headers, expected) in cases {
        let headers = [&[("host", "svc"), ("content-length", "0")], headers].concat();
        assert_eq!(
            send(stage.web, method, path, &headers).backend(),
            expected,
            "{method} {path} {headers:?}"
        );
    }
}

#[test]
fn a_match_that_envoy_would_refuse_hurts_no_other_route() {
    let cidr = crate::envoy::free_cidr();
    let (a, b) = (crate::backend::Backend::start("a"), crate::backend::Backend::start("b"));
    let routes = vec![
        to_b().prefix("/what?not"),
        to_b().prefix("relative"),
        to_b().prefix("/never").header("not a name", exact("x")),
        to_b().regex(""),
        to_b().header("empty", regex("")),
        to_a().prefix("/"),
    ];
    let site = super::cast(&cidr, routes, &a, &b);
    let set = site.lower("shop/client-1");
    assert_eq!(set.problems.len(), 4, "{:?}", set.problems);
    let _envoy = crate::envoy::Envoy::serve(&set);
    let web = site.address("shop/web", &cidr, super::PORT);
    for path in ["/what?not", "/never", "/relative"] {
        assert_eq!(get(web, path).backend(), "a", "{path}");
    }
    assert_eq!(send(web, "GET", "/", &[("host", "svc"), ("empty", "")]).backend(), "b");
}

/// Envoy's own limit, 100 instructions, refuses expressions that people write.
#[test]
fn a_long_expression_is_taken() {
    // Words with nothing in common, so that no two of them share instructions.
    let word = |number: u64| format!("{:08x}", number.wrapping_mul(2_654_435_761) % (1 << 32));
    let words: Vec<String> = (1..=500).map(word).collect();
    let stage = Stage::of(vec![to_a().regex(&format!("/({})", words.join("|")))]);
    assert_eq!(get(stage.web, &format!("/{}", words[499])).backend(), "a");
    assert_eq!(get(stage.web, "/other").status, 404);
}
