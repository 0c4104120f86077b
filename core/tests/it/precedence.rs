//! The order of routes (Gateway API v1): a table of matches from the greatest to the least.

use skerry_core::id::NamespacedName;

use crate::builder::{
    compile, index, route_names, route_yaml, service, service_yaml, site_yaml, text, upsert,
};

const PARENT: &str = "parentRefs: [{group: '', kind: Service, name: cart}]";

/// One rule with one match that answers with a redirect, so that no backend is needed.
fn rule(matches: &str) -> String {
    format!(
        "{{matches: [{matches}], filters: [{{type: RequestRedirect, requestRedirect: {{statusCode: 302}}}}]}}"
    )
}

#[test]
fn routes_are_tried_from_the_greatest_match_to_the_least() {
    let greatest_first = [
        "{path: {type: Exact, value: /a}}",
        "{path: {type: RegularExpression, value: /abc.*}}",
        "{path: {type: RegularExpression, value: /a.*}}",
        "{path: {type: PathPrefix, value: /a/b}}",
        "{path: {type: PathPrefix, value: /a}, method: GET, headers: [{name: x, value: '1'}]}",
        "{path: {type: PathPrefix, value: /a}, method: GET}",
        "{path: {type: PathPrefix, value: /a}, headers: [{name: x, value: '1'}, {name: y, value: '1'}]}",
        "{path: {type: PathPrefix, value: /a}, headers: [{name: x, value: '1'}], queryParams: [{name: q, value: '1'}]}",
        "{path: {type: PathPrefix, value: /a}, headers: [{name: x, value: '1'}]}",
        "{path: {type: PathPrefix, value: /a}, queryParams: [{name: q, value: '1'}, {name: r, value: '1'}]}",
        "{path: {type: PathPrefix, value: /a}, queryParams: [{name: q, value: '1'}]}",
        "{path: {type: PathPrefix, value: /a}}",
        "{method: GET}",
        "{headers: [{name: x, value: '1'}]}",
        "{path: {type: PathPrefix, value: /}}",
    ];
    let count = greatest_first.len();
    let rules: Vec<String> = greatest_first.iter().rev().map(|matches| rule(matches)).collect();
    let route = route_yaml("r", &format!("{{{PARENT}, rules: [{}]}}", rules.join(", ")));
    let compiled = compile(&(site_yaml("s1", "") + &service_yaml("cart") + &route));
    let expected: Vec<String> = (0..count).rev().map(|at| format!("shop/r/{at}/0")).collect();
    assert_eq!(route_names(&service(&compiled, "s1", "shop/cart"), 80, ""), expected);
}

#[test]
fn between_equal_matches_the_older_route_wins_then_the_first_name_then_the_order_in_the_route() {
    let same = rule("{path: {type: PathPrefix, value: /a}}");
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart")));
    upsert(&mut index, &route_yaml("z-old", &format!("{{{PARENT}, rules: [{same}]}}")), 1);
    upsert(&mut index, &route_yaml("b-new", &format!("{{{PARENT}, rules: [{same}, {same}]}}")), 2);
    upsert(&mut index, &route_yaml("a-new", &format!("{{{PARENT}, rules: [{same}]}}")), 2);
    let names = route_names(&service(&index.compile(), "s1", "shop/cart"), 80, "");
    assert_eq!(names, ["shop/z-old/0/0", "shop/a-new/0/0", "shop/b-new/0/0", "shop/b-new/1/0"]);
}

#[test]
fn a_tie_that_only_names_decide_is_an_error_and_one_that_age_decides_a_warning() {
    let spec = format!("{{{PARENT}, rules: [{}]}}", rule("{path: {type: PathPrefix, value: /a}}"));
    let mut index = index(&(site_yaml("s1", "") + &service_yaml("cart")));
    upsert(&mut index, &route_yaml("old", &spec), 1);
    upsert(&mut index, &route_yaml("new-a", &spec), 2);
    upsert(&mut index, &route_yaml("new-b", &spec), 2);
    insta::assert_snapshot!(text(&index.compile().diagnostics));
}

#[test]
fn a_tie_is_found_whatever_stands_between_the_two() {
    let spec = |path: &str| {
        format!("{{{PARENT}, rules: [{}]}}", rule(&format!("{{path: {{type: Exact, value: {path}}}}}")))
    };
    let world = site_yaml("s1", "")
        + &service_yaml("cart")
        + &route_yaml("a", &spec("/a"))
        + &route_yaml("b", &spec("/b"))
        + &route_yaml("c", &spec("/a"));
    let ties: Vec<String> = compile(&world).diagnostics.iter().map(|found| found.message.clone()).collect();
    assert_eq!(ties.len(), 1, "{ties:?}");
    assert!(ties[0].starts_with("ties with a match of HTTPRoute shop/a"), "{ties:?}");
}

#[test]
fn a_match_behind_a_broken_one_keeps_its_place_and_a_rule_without_any_is_named_as_such() {
    let one = format!(
        "{{{PARENT}, rules: [{}, {{backendRefs: [{{name: cart, port: 80}}]}}]}}",
        rule("{path: {value: /x}}")
    );
    let two = one.replace("matches: [{path", "matches: [{path: {value: x}}, {path");
    let world = site_yaml("s1", "") + &service_yaml("cart") + &route_yaml("a", &one) + &route_yaml("b", &two);
    let compiled = compile(&world);
    let names = route_names(&service(&compiled, "s1", "shop/cart"), 80, "");
    assert_eq!(names, ["shop/a/0/0", "shop/b/0/1", "shop/a/1/0", "shop/b/1/0"]);
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

#[test]
fn a_rule_with_the_match_of_an_earlier_one_of_its_route_is_named() {
    let same = "{path: {type: PathPrefix, value: /a}}";
    let spec = |rules: &[String]| format!("{{{PARENT}, rules: [{}]}}", rules.join(", "));
    let said = |spec: &str| {
        text(&compile(&(site_yaml("s1", "") + &service_yaml("cart") + &route_yaml("r", spec))).diagnostics)
    };
    assert_eq!(said(&spec(&[rule(&format!("{same}, {same}"))])), "", "of one rule it does not matter");
    insta::assert_snapshot!(said(&spec(&[rule(same), rule("{path: {value: /b}}"), rule(same)])));
}

#[test]
fn a_consumer_route_does_not_turn_a_port_that_says_nothing_to_http() {
    let plain = "apiVersion: v1\nkind: Service\nmetadata: {name: store, namespace: shop}\nspec: {ports: [{port: 6379}]}\n---\n";
    let route = |namespace: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: mine, namespace: {namespace}}}\n\
         spec: {{parentRefs: [{{group: '', kind: Service, name: store, namespace: shop, port: 6379}}], \
         rules: [{{backendRefs: [{{name: store, namespace: shop, port: 6379}}]}}]}}\n---\n"
        )
    };
    let consumer = compile(&(site_yaml("s1", "") + plain + &route("office")));
    let store = service(&consumer, "s1", "shop/store");
    assert_eq!((store.tables.len(), store.ports[0].protocol), (0, 0));
    assert!(text(&consumer.diagnostics).contains("an HTTPRoute cannot attach to it"));
    let both = compile(&(site_yaml("s1", "") + plain + &route("office") + &route("shop")));
    assert_eq!(service(&both, "s1", "shop/store").tables.len(), 2);
}

#[test]
fn consumer_routes_are_a_table_of_their_own_and_leave_the_producers_alone() {
    let consumer = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
        metadata: {name: mine, namespace: office}\n\
        spec: {parentRefs: [{group: '', kind: Service, name: cart, namespace: shop}], \
        rules: [{backendRefs: [{name: cart, namespace: shop, port: 80}]}]}\n";
    let compiled = compile(&(site_yaml("s1", "") + &service_yaml("cart") + consumer));
    let service = service(&compiled, "s1", "shop/cart");
    assert_eq!(route_names(&service, 80, ""), ["default"]);
    assert_eq!(route_names(&service, 80, "office"), ["office/mine/0/0"]);
    assert_eq!(text(&compiled.diagnostics), "");
    assert_eq!(NamespacedName::new(service.namespace, service.name).to_string(), "shop/cart");
}
