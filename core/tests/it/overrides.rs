//! Site overrides: order, locks, conflicts, and patches that do not fit.

use skerry_core::bundle::v1::route::Action;

use crate::builder::{compile, service, service_yaml, site_yaml, text};

const POLICY: &str = "apiVersion: skerry.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: cart, namespace: shop}\n\
    spec: {targetRefs: [{group: '', kind: Service, name: cart}], timeouts: {request: 1s}}\n---\n";

fn over(name: &str, head: &str, patch: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{{head}, patches: [{{target: {{kind: TrafficPolicy, name: cart}}, {patch}}}]}}\n---\n"
    )
}

fn request(milliseconds: u32) -> String {
    format!("merge: {{spec: {{timeouts: {{request: {milliseconds}ms}}}}}}")
}

fn timeout_at(yaml: &str, site: &str) -> u32 {
    let world = site_yaml("s1", "tier: retail")
        + &site_yaml("s2", "tier: lab")
        + &service_yaml("cart")
        + POLICY
        + yaml;
    match service(&compile(&world), site, "shop/cart").tables[0].routes[0].action.clone().unwrap() {
        Action::Forward(forward) => forward.timeouts.unwrap().request_ms.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn said(yaml: &str) -> String {
    let world = site_yaml("s1", "tier: retail") + &service_yaml("cart") + POLICY + yaml;
    text(&compile(&world).diagnostics)
}

#[test]
fn an_override_holds_at_the_sites_that_it_selects() {
    let retail = over("a", "sites: {matchLabels: {tier: retail}}", &request(2000));
    assert_eq!((timeout_at(&retail, "s1"), timeout_at(&retail, "s2")), (2000, 1000));
}

#[test]
fn a_higher_precedence_wins_and_a_lock_wins_over_all() {
    let low = over("z", "precedence: 1", &request(2000));
    let high = over("a", "precedence: 2", &request(3000));
    let locked = over("m", "precedence: -5, locked: true", &request(4000));
    assert_eq!(timeout_at(&(low.clone() + &high), "s1"), 3000);
    assert_eq!(timeout_at(&(low + &high + &locked), "s1"), 4000);
}

#[test]
fn json_patches_change_single_fields() {
    let json = over("a", "precedence: 1", "json: [{op: replace, path: /spec/timeouts/request, value: 7s}]");
    assert_eq!(timeout_at(&json, "s1"), 7000);
}

#[test]
fn two_overrides_of_one_rank_on_one_field_are_both_left_out_and_both_named() {
    let both = over("a", "precedence: 1", &request(2000)) + &over("b", "precedence: 1", &request(3000));
    assert_eq!(timeout_at(&both, "s1"), 1000);
    insta::assert_snapshot!(said(&both));
}

#[test]
fn overrides_of_one_rank_for_different_sites_do_not_meet() {
    let a = over("a", "sites: {matchLabels: {tier: retail}}", &request(2000));
    let b = over("b", "sites: {matchLabels: {tier: lab}}", &request(3000));
    let both = a + &b;
    assert_eq!((timeout_at(&both, "s1"), timeout_at(&both, "s2")), (2000, 3000));
}

#[test]
fn an_override_that_brings_an_error_into_a_route_is_left_out_and_named() {
    let route = crate::builder::route_yaml(
        "r",
        "{parentRefs: [{group: '', kind: Service, name: cart}], rules: [{backendRefs: [{name: cart, port: 80}]}]}",
    );
    let wrong = "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {name: a, namespace: shop}\n\
        spec: {patches: [{target: {kind: HTTPRoute, name: r}, \
        json: [{op: add, path: /spec/rules/0/filters, value: [{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}}}]}]}]}\n---\n";
    assert_eq!(timeout_at(&(route.clone() + wrong), "s1"), 1000, "the rule still forwards");
    insta::assert_snapshot!(said(&(route + wrong)));
}

#[test]
fn an_override_that_does_not_fit_is_named_and_the_others_hold() {
    let wrong = over("a", "precedence: 2", "merge: {spec: {timeouts: {request: soon}}}")
        + &over("b", "precedence: 3", "json: [{op: replace, path: /spec/nothing/here, value: 1}]")
        + &over("c", "precedence: 1", &request(2000));
    assert_eq!(timeout_at(&wrong, "s1"), 2000);
    insta::assert_snapshot!(said(&wrong));
}

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\n\
    spec: {parentRefs: [{kind: Service, group: '', name: cart}], rules: [{backendRefs: [{name: cart, port: 80}]}]}\n---\n";

fn over_route(patch: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {{name: a, namespace: shop}}\n\
         spec:\n  patches:\n  - target: {{kind: HTTPRoute, name: r}}\n    {patch}\n---\n"
    )
}

/// Two classes of sites, so that what is said for each would be said twice.
fn said_of_route(patch: &str) -> String {
    let world = site_yaml("s1", "tier: retail")
        + &site_yaml("s2", "tier: lab")
        + &service_yaml("cart")
        + &over("z", "sites: {matchLabels: {tier: lab}}", &request(2000))
        + POLICY
        + ROUTE
        + &over_route(patch);
    text(&compile(&world).diagnostics)
}

#[test]
fn an_override_that_names_what_is_not_there_is_pointed_at_and_so_is_the_object() {
    let backend = said_of_route("merge: {spec: {rules: [{backendRefs: [{name: gone, port: 80}]}]}}");
    let parent = said_of_route("json: [{op: replace, path: /spec/parentRefs/0/name, value: lost}]");
    insta::assert_snapshot!(backend + &parent);
}

#[test]
fn an_override_that_empties_a_route_is_named() {
    let whole = said_of_route("json: [{op: remove, path: /spec}]");
    let rules = said_of_route("merge: {spec: {rules: []}}");
    insta::assert_snapshot!(whole + &rules);
}

#[test]
fn a_policy_on_a_rule_that_only_an_override_makes_is_not_dangling() {
    let named = said_of_route("merge: {spec: {rules: [{name: pay, backendRefs: [{name: cart, port: 80}]}]}}");
    assert_eq!(named, "");
    let policy = POLICY.replace("name: cart, namespace", "name: p, namespace").replace(
        "{group: '', kind: Service, name: cart}",
        "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r, sectionName: pay}",
    );
    let world = |over: &str| {
        let base = site_yaml("s1", "") + &service_yaml("cart") + ROUTE + &policy;
        text(&compile(&(base + over)).diagnostics)
    };
    let over = over_route("merge: {spec: {rules: [{name: pay, backendRefs: [{name: cart, port: 80}]}]}}");
    assert_eq!(world(&over), "");
    assert!(world("").contains("has no rule with the name `pay`"));
}

#[test]
fn an_address_that_an_override_declares_has_one_holder_in_each_class() {
    let address = |name: &str, sites: &str| {
        format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{{sites} patches: [{{target: {{kind: Service, name: {name}}}, merge: {{spec: {{clusterIP: 127.9.9.9}}}}}}]}}\n---\n"
        )
    };
    let world = site_yaml("s1", "tier: retail")
        + &site_yaml("s2", "tier: lab")
        + &service_yaml("cart")
        + &service_yaml("till")
        + &address("cart", "")
        + &address("till", "sites: {matchLabels: {tier: retail}},");
    let compiled = compile(&world);
    let addresses =
        |site: &str| ["shop/cart", "shop/till"].map(|name| service(&compiled, site, name).cluster_ip);
    assert_eq!(addresses("s1"), ["127.9.9.9", ""]);
    assert_eq!(addresses("s2"), ["127.9.9.9", ""]);
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

/// What is there, which operation it is, and who made it so: the words are those of the person's document.
#[test]
fn json_patches_that_do_not_fit_say_what_is_there() {
    let json = |operation: &str| said_of_route(&format!("json: [{operation}]"));
    let cases = [
        "{op: add, path: /spec/rules/0/backendRefs/9, value: {name: cart}}",
        "{op: remove, path: /spec/rules/0/backendRefs/5}",
        "{op: replace, path: /spec/rules/1/name, value: x}",
        "{op: test, path: /spec/rules/0/backendRefs/0/port, value: 81}",
        "{op: replace, path: /spec/rule/0/name, value: x}",
        "{op: add, path: /spec/rules/0/backendRefs/0/port/x, value: 1}",
        "{op: remove, path: /spec/parentRefs}, {op: replace, path: /spec/parentRefs/0/name, value: x}",
    ];
    let world = site_yaml("s1", "") + &service_yaml("cart") + ROUTE;
    let low = over_route("json: [{op: remove, path: /spec/rules/0/backendRefs}]");
    let high = over_route("json: [{op: add, path: /spec/rules/0/backendRefs/1, value: {name: cart}}]")
        .replace("{name: a,", "{name: b,")
        .replace("spec:\n", "spec:\n  precedence: 5\n");
    let removed_before = text(&compile(&(world + &low + &high)).diagnostics);
    insta::assert_snapshot!(cases.map(json).join("") + &removed_before);
}

/// An override is applied where the object is, so it cannot say where that is.
#[test]
fn an_override_that_moves_an_object_to_other_sites_is_not_applied() {
    let annotation = said_of_route("merge: {metadata: {annotations: {skerry.dev/sites: tier=lab}}}");
    let sites = said(&over("a", "precedence: 1", "merge: {spec: {sites: {matchLabels: {tier: lab}}}}"));
    let age =
        said_of_route("json: [{op: add, path: /metadata/creationTimestamp, value: '2024-01-01T00:00:00Z'}]");
    insta::assert_snapshot!(annotation + &sites + &age);
}

/// The route is as good as it was: the override that took the port away is named, and where it holds.
#[test]
fn a_backend_that_an_override_breaks_is_the_overrides_mistake() {
    let over = "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {name: a, namespace: shop}\n\
        spec:\n  sites: {matchLabels: {tier: lab}}\n  patches:\n  - target: {kind: Service, name: cart}\n    \
        merge: {spec: {ports: [{name: http, port: 8080}]}}\n";
    let world =
        site_yaml("s1", "tier: retail") + &site_yaml("s2", "tier: lab") + &service_yaml("cart") + ROUTE;
    insta::assert_snapshot!(text(&compile(&(world + over)).diagnostics));
}
