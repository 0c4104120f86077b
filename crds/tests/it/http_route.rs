//! `HTTPRoute` → routes of a service: every match, filter and bound.

use skerry_core::bundle::v1::path_match::Kind as Path;
use skerry_core::bundle::v1::{Retry, Timeouts};
use skerry_core::policy::http_route::{Action, HttpRoute, InvalidBackend};
use skerry_core::policy::{Decoded, Spec};

use crate::outcome::{explain, object, object_with};

const HEAD: &str =
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\n";
const PARENT: &str = "{group: \"\", kind: Service, name: a, port: 80}";
const BACKENDS: &str = "backendRefs: [{name: a-v1, port: 80}]";

fn with_parents(parents: &str) -> String {
    format!("{HEAD}spec: {{parentRefs: {parents}, rules: [{{{BACKENDS}}}]}}\n")
}

fn with_rules(rules: &str) -> String {
    format!("{HEAD}spec: {{parentRefs: [{PARENT}], rules: {rules}}}\n")
}

fn route(text: &str) -> HttpRoute {
    match object_with(text).0.spec {
        Spec::HttpRoute(route) => route,
        other => panic!("{other:?}"),
    }
}

/// A rule that must be sound.
fn sound(rule: &str) -> skerry_core::policy::http_route::Rule {
    let Spec::HttpRoute(mut route) = object(&with_rules(&format!("[{rule}]"))).spec else {
        panic!("another kind")
    };
    route.rules.remove(0)
}

#[test]
fn a_route_with_everything_is_read() {
    let text = format!(
        "{HEAD}{}",
        r#"spec:
  parentRefs:
  - {group: "", kind: Service, name: a}
  - {group: "", kind: Service, name: b, namespace: other, port: 8080}
  rules:
  - name: first
    matches:
    - path: {type: Exact, value: /exact}
      method: POST
      headers:
      - {name: X-B, value: "1"}
      - {name: x-a, type: RegularExpression, value: "v[0-9]+"}
      queryParams:
      - {name: z, value: ""}
      - {name: B, type: RegularExpression, value: "x|y"}
    - path: {value: /prefix/}
    - path: {type: RegularExpression, value: "/api/.*"}
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier:
        set: [{name: X-Set, value: a}]
        add: [{name: X-Two, value: "2"}, {name: x-one, value: "1, 2"}]
        remove: [X-Gone, x-away]
    - type: ResponseHeaderModifier
      responseHeaderModifier: {remove: [Server]}
    - type: URLRewrite
      urlRewrite: {hostname: inner.example.com, path: {type: ReplaceFullPath, replaceFullPath: /full}}
    backendRefs:
    - {name: a-v1, port: 80, weight: 90}
    - name: a-v2
      namespace: other
      weight: 0
      filters:
      - type: RequestHeaderModifier
        requestHeaderModifier: {add: [{name: x-version, value: v2}]}
      - type: ResponseHeaderModifier
        responseHeaderModifier: {set: [{name: x-from, value: v2}]}
    timeouts: {request: 10s, backendRequest: 2s}
    retry: {attempts: 3, codes: [504, 503, 503], backoff: 50ms}
  - filters:
    - type: RequestRedirect
      requestRedirect:
        scheme: https
        hostname: example.com
        path: {type: ReplacePrefixMatch, replacePrefixMatch: ""}
        port: 8443
        statusCode: 308
"#
    );
    insta::assert_debug_snapshot!(object(&text).spec);
}

#[test]
fn v1beta1_is_read_as_v1() {
    let v1 = with_rules(&format!("[{{{BACKENDS}}}]"));
    assert_eq!(route(&v1.replace("k8s.io/v1", "k8s.io/v1beta1")), route(&v1));
}

#[test]
fn a_rule_without_matches_and_a_match_without_a_path_take_every_path() {
    for rule in
        ["", "matches: [],", "matches: [{}],", "matches: [{path: {}}],", "matches: [{path: {value: /}}],"]
    {
        let rule = sound(&format!("{{{rule} {BACKENDS}}}"));
        assert_eq!(rule.matches.len(), 1);
        assert_eq!(
            rule.matches[0].route_match.path.as_ref().unwrap().kind,
            Some(Path::Prefix("/".to_owned()))
        );
    }
}

#[test]
fn paths_are_checked_as_the_gateway_api_does() {
    let good = ["/", "/a", "/a/b-._~!$&'()*+,;=:@", "/%41%ff", "/a/.b", "/a/b..", "/..."];
    for path in good {
        sound(&format!("{{matches: [{{path: {{type: Exact, value: \"{path}\"}}}}], {BACKENDS}}}"));
    }
    let bad = [
        "", "a", "//", "/a//b", "/a/./b", "/a/../b", "/a/..", "/a/.", "/a%2fb", "/a%2Fb", "/a#b", "/a b",
        "/a%", "/%4", "/ä", "/a?b",
    ];
    for path in bad {
        for kind in ["Exact", "PathPrefix"] {
            let rules = format!("[{{matches: [{{path: {{type: {kind}, value: \"{path}\"}}}}], {BACKENDS}}}]");
            let (object, diagnostics) = object_with(&with_rules(&rules));
            assert_eq!(diagnostics.len(), 1, "{path:?}");
            let Spec::HttpRoute(route) = object.spec else { panic!("another kind") };
            assert_eq!(route.rules[0].matches, [], "{path:?}");
        }
    }
}

#[test]
fn a_trailing_slash_of_a_prefix_means_nothing() {
    let cases = [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a/b/", "/a/b")];
    for (path, expected) in cases {
        let rule =
            sound(&format!("{{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], {BACKENDS}}}"));
        assert_eq!(
            rule.matches[0].route_match.path.as_ref().unwrap().kind,
            Some(Path::Prefix(expected.to_owned())),
            "{path}"
        );
    }
    let exact = sound(&format!("{{matches: [{{path: {{type: Exact, value: /a/}}}}], {BACKENDS}}}"));
    assert_eq!(exact.matches[0].route_match.path.as_ref().unwrap().kind, Some(Path::Exact("/a/".to_owned())));
}

/// The Gateway API: an invalid match is dropped, never widened.
#[test]
fn a_broken_match_leaves_its_rule_narrower() {
    let text = with_rules(&format!(
        "[{{matches: [{{path: {{value: bad}}}}, {{path: {{value: /good}}}}], {BACKENDS}}}, {{matches: [{{headers: [{{name: \"a b\", value: x}}]}}], {BACKENDS}}}, {{name: last, {BACKENDS}}}]"
    ));
    let rules = route(&text).rules;
    assert_eq!(rules.iter().map(|rule| rule.matches.len()).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(rules[2].name, "last", "each rule keeps its place");
    insta::assert_snapshot!(explain(&text));
}

#[test]
fn timeouts_and_retries_are_read() {
    let cases = [
        ("timeouts: {request: 0s}", Some((Some(0), None))),
        ("timeouts: {backendRequest: 1ms}", Some((None, Some(1)))),
        ("timeouts: {request: 1s, backendRequest: 0s}", Some((Some(1_000), Some(0)))),
        ("timeouts: {request: 0s, backendRequest: 1h}", Some((Some(0), Some(3_600_000)))),
        ("timeouts: {}", None),
    ];
    for (timeouts, expected) in cases {
        let expected =
            expected.map(|(request_ms, backend_request_ms)| Timeouts { request_ms, backend_request_ms });
        assert_eq!(sound(&format!("{{{timeouts}, {BACKENDS}}}")).timeouts, expected, "{timeouts}");
    }
    let retry = sound(&format!("{{retry: {{}}, {BACKENDS}}}")).retry;
    assert_eq!(retry, Some(Retry { attempts: 1, codes: vec![], backoff_ms: 0 }));
    let retry = sound(&format!("{{retry: {{attempts: 0, codes: [500]}}, {BACKENDS}}}")).retry;
    assert_eq!(retry, Some(Retry { attempts: 0, codes: vec![500], backoff_ms: 0 }));
}

/// The bounds of the Gateway API's CRD (`maxItems`), and what is just inside of them.
#[test]
fn lists_are_bounded_as_in_the_crd() {
    let many = |item: &str, count: usize| format!("[{}]", vec![item; count].join(", "));
    let matched = |count| format!("{{matches: {}, {BACKENDS}}}", many("{path: {value: /a}}", count));
    let filter = |count: usize| {
        let set: String = (0..count).map(|at| format!("{{name: h{at}, value: x}},")).collect();
        format!(
            "[{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{set}]}}}}], {BACKENDS}}}]"
        )
    };
    let headers = |count: usize| {
        let all: String = (0..count).map(|at| format!("{{name: h{at}, value: x}},")).collect();
        format!("[{{matches: [{{headers: [{all}]}}], {BACKENDS}}}]")
    };
    let rules = |count| many(&format!("{{{BACKENDS}}}"), count);
    let backends = |count| format!("[{{backendRefs: {}}}]", many("{name: a, port: 80}", count));
    let matches = |count| format!("[{}]", matched(count));
    let inside = [rules(16), matches(64), backends(16), headers(16), filter(16), many(&matched(64), 2)];
    for rules in inside {
        assert_eq!(explain(&with_rules(&rules)), "HTTPRoute shop/r\n");
    }
    let outside = [rules(17), matches(65), backends(17), headers(17), filter(17), many(&matched(43), 3)];
    let mut words = String::new();
    for rules in outside {
        words += &explain(&with_rules(&rules));
    }
    let parents: String = (0..33).map(|at| format!("{{group: '', kind: Service, name: a{at}}},")).collect();
    words += &explain(&with_parents(&format!("[{parents}]")));
    insta::assert_snapshot!(words);
}

#[test]
fn an_expression_that_is_too_large_says_how_to_shorten_it() {
    let path = |regex: &str| {
        with_rules(&format!(
            "[{{matches: [{{path: {{type: RegularExpression, value: \"{regex}\"}}}}], {BACKENDS}}}]"
        ))
    };
    let words = explain(&path("/(ab){900}"))
        + &explain(&path("/((a{1000}){1000}){1000}"))
        + &explain(&path(&format!("/{}", "a".repeat(5_000))))
        + &explain(&path("/(?=a)"));
    insta::assert_snapshot!(words);
}

#[test]
fn a_redirect_without_settings_is_found() {
    let rule = sound("{filters: [{type: RequestRedirect, requestRedirect: {}}]}");
    let Action::Redirect(redirect) = rule.action else { panic!("{:?}", rule.action) };
    assert_eq!((redirect.status_code, redirect.port, redirect.path), (302, 0, None));
}

/// The Gateway API: a filter that cannot be applied must not be skipped; the answer is 500.
#[test]
fn a_rule_whose_filter_cannot_be_applied_fails() {
    let filters = [
        "[{type: RequestMirror, requestMirror: {backendRef: {name: x, port: 80}}}]",
        "[{type: CORS, cors: {allowOrigins: [\"*\"]}}]",
        "[{type: ExtensionRef, extensionRef: {group: g, kind: K, name: n}}]",
        "[{type: ExternalAuth, externalAuth: {protocol: GRPC, backendRef: {name: x, port: 80}}}]",
        "[{type: URLRewrite}]",
        "[{type: URLRewrite, requestRedirect: {}}]",
        "[{type: URLRewrite, urlRewrite: {hostname: \"*.example.com\"}}]",
        "[{type: URLRewrite, urlRewrite: {hostname: 10.0.0.1}}]",
        "[{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}}]",
        "[{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replacePrefixMatch: /x}}}]",
        "[{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: x}}}]",
        "[{type: URLRewrite, urlRewrite: {hostname: a}}, {type: URLRewrite, urlRewrite: {hostname: b}}]",
        "[{type: URLRewrite, urlRewrite: {hostname: a}}, {type: RequestRedirect, requestRedirect: {}}]",
        "[{type: RequestRedirect, requestRedirect: {statusCode: 304}}]",
        "[{type: RequestRedirect, requestRedirect: {port: 0}}]",
        "[{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: Host, value: x}]}}]",
        "[{type: RequestHeaderModifier, requestHeaderModifier: {remove: [\":path\"]}}]",
        "[{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, value: \"x\\r\\ny: z\"}]}}]",
        "[{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: \"a b\", value: x}]}}]",
    ];
    let mut words = String::new();
    for filter in filters {
        let text = with_rules(&format!("[{{filters: {filter}}}]"));
        assert_eq!(route(&text).rules[0].action, Action::Fail, "{filter}");
        words += &explain(&text);
    }
    insta::assert_snapshot!(words);
}

#[test]
fn a_prefix_is_replaced_only_where_all_matches_are_prefixes() {
    let replace = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}}}]";
    for matches in ["", "matches: [{path: {value: /a}}, {method: GET}],"] {
        sound(&format!("{{{matches} {replace}, {BACKENDS}}}"));
    }
    let text = with_rules(&format!(
        "[{{matches: [{{path: {{type: Exact, value: /a}}}}, {{path: {{value: /b}}}}], {replace}, {BACKENDS}}}]"
    ));
    assert_eq!(route(&text).rules[0].action, Action::Fail);
    insta::assert_snapshot!(explain(&text));
}

#[test]
fn a_backend_that_cannot_be_used_keeps_its_share() {
    let text = with_rules(
        r#"[{backendRefs: [
  {name: good, port: 80, weight: 3},
  {group: multicluster.x-k8s.io, kind: ServiceImport, name: far, port: 80, weight: 2},
  {kind: Pod, name: x, port: 80},
  {name: UPPER, port: 80},
  {name: a, namespace: b.c, port: 80},
  {name: a, port: 0},
  {name: a, port: 80, weight: 1000001},
  {name: a, port: 80, filters: [{type: URLRewrite, urlRewrite: {hostname: x}}]},
  {name: a, port: 80, filters: [{type: RequestHeaderModifier}]},
  {name: a, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {}}, {type: RequestHeaderModifier, requestHeaderModifier: {}}]},
]}]"#,
    );
    let Action::Forward { backends, .. } = &route(&text).rules[0].action else { panic!("no backends") };
    assert_eq!(backends.len(), 10);
    assert!(backends[0].target.is_ok());
    assert!(backends[1..].iter().all(|backend| backend.target == Err(InvalidBackend)));
    let weights: Vec<u32> = backends.iter().map(|backend| backend.weight).collect();
    assert_eq!(weights, [3, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(backends[1].pointer, "/spec/rules/0/backendRefs/1");
    insta::assert_snapshot!(explain(&text));
}

#[test]
fn parents_that_are_no_service_are_left_out() {
    let cases = [
        ("[{name: gateway}]", 0),
        ("[]", 0),
        ("[{kind: Service, name: a}]", 0),
        (
            &format!(
                "[{PARENT}, {{name: gateway}}, {{group: multicluster.x-k8s.io, kind: ServiceImport, name: x}}]"
            ),
            1,
        ),
        (&format!("[{PARENT}, {PARENT}, {{group: \"\", kind: Service, name: a}}]"), 2),
        ("[{group: \"\", kind: Service, name: a, sectionName: http}]", 1),
        ("[{group: \"\", kind: Service, name: a, port: 65536}]", 0),
        ("[{group: \"\", kind: Service, name: a.b}]", 0),
    ];
    let mut words = String::new();
    for (parents, expected) in cases {
        let text = with_parents(parents);
        assert_eq!(route(&text).parents.len(), expected, "{parents}");
        words += &explain(&text);
    }
    insta::assert_snapshot!(words);
}

#[test]
fn an_empty_list_of_rules_is_none_at_all() {
    let left_out = format!("{HEAD}spec: {{parentRefs: [{PARENT}]}}\n");
    assert_eq!(route(&with_rules("[]")).rules, route(&left_out).rules);
    assert!(explain(&with_rules("[]")).contains("the rule has no backends"));
}

#[test]
fn rules_that_answer_errors_are_warned_about() {
    let texts = [
        format!("{HEAD}spec: {{parentRefs: [{PARENT}]}}\n"),
        with_rules("[{matches: [{path: {value: /a}}]}]"),
        with_rules(&format!("[{{filters: [{{type: RequestRedirect, requestRedirect: {{}}}}], {BACKENDS}}}]")),
        with_rules(&format!("[{{sessionPersistence: {{sessionName: x}}, {BACKENDS}}}]")),
        with_rules(&format!("[{{name: a, {BACKENDS}}}, {{name: a, {BACKENDS}}}, {{name: A, {BACKENDS}}}]")),
        with_rules(&format!("[{{timeouts: {{request: 1s, backendRequest: 2s}}, {BACKENDS}}}]")),
        with_rules(&format!(
            "[{{timeouts: {{request: soon}}, retry: {{attempts: 11, codes: [200], backoff: 0s}}, {BACKENDS}}}]"
        )),
        with_rules(&format!(
            "[{{matches: [{{headers: [{{name: A, value: x}}, {{name: a, value: y}}], queryParams: [{{name: q, value: x}}, {{name: Q, value: y}}, {{name: q, value: z}}]}}], {BACKENDS}}}]"
        )),
        with_rules(&format!(
            "[{{filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: A, value: x}}, {{name: a, value: y}}]}}}}], {BACKENDS}}}]"
        )),
        with_rules(&format!(
            "[{{matches: [{{path: {{type: RegularExpression, value: \"(?=x)\"}}}}, {{headers: [{{name: a, type: RegularExpression, value: \"(a\"}}]}}], {BACKENDS}}}]"
        )),
    ];
    insta::assert_snapshot!(explain(&texts.join("---\n")));
}

/// A route for another controller gets one word, however much of it we do not support.
#[test]
fn the_rules_of_a_route_without_a_service_are_not_judged() {
    let text = format!(
        "{HEAD}spec: {{parentRefs: [{{name: gateway}}], rules: [{{filters: [{{type: CORS, cors: {{}}}}], matches: [{{path: {{value: x}}}}]}}]}}\n"
    );
    let (object, diagnostics) = object_with(&text);
    assert_eq!(object.spec, Spec::HttpRoute(HttpRoute::default()));
    assert_eq!(diagnostics.len(), 1);
}

#[test]
fn a_route_with_an_unreadable_annotation_is_not_for_all_sites() {
    let text = with_rules(&format!("[{{{BACKENDS}}}]"))
        .replace("namespace: shop", "namespace: shop, annotations: {skerry.dev/sites: \"a in b\"}");
    let document = crate::outcome::document(&text);
    assert!(matches!(skerry_crds::decode(&document), Decoded::Refused { key: Some(_), .. }));
}

/// What is legal and has another effect than its author may think, or none.
#[test]
fn settings_without_the_effect_that_they_seem_to_have_are_warned_about() {
    let hostnames =
        with_rules(&format!("[{{{BACKENDS}}}]")).replace("spec: {", "spec: {hostnames: [a.example], ");
    let weights =
        with_rules("[{backendRefs: [{name: a, port: 80, weight: 0}, {name: b, port: 80, weight: 0}]}]");
    let star = |path: &str| with_rules(&format!("[{{matches: [{{path: {path}}}], {BACKENDS}}}]"));
    let stars = ["{value: /admin/*}", "{value: '/front*'}", "{type: Exact, value: '/*'}"].map(star);
    let said = [hostnames, weights].iter().chain(&stars).map(|text| explain(text)).collect::<Vec<_>>();
    insta::assert_snapshot!(said.join("\n"));
    object(&star("{type: RegularExpression, value: '/a.*'}"));
    object(&with_rules("[{backendRefs: [{name: a, port: 80, weight: 0}, {name: b, port: 80}]}]"));
    let of_a_gateway = with_parents("[{name: gw}]").replace("spec: {", "spec: {hostnames: [a.example], ");
    assert!(!explain(&of_a_gateway).contains("hostnames"));
}
