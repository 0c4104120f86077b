//! Which traffic policy says what (GEP-713): a table of policies, from the widest to the narrowest.

use skerry_core::bundle::v1::route::Action;
use skerry_core::bundle::v1::{Forward, MtlsMode, Retry};

use crate::builder::{compile, index, route_yaml, service, service_yaml, settings, site_yaml, text, upsert};

fn policy(name: &str, target: &str, settings: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{targetRefs: [{target}], {settings}}}\n---\n"
    )
}

fn world(route_rule: &str) -> String {
    let spec = format!("{{parentRefs: [{{group: '', kind: Service, name: cart}}], rules: [{route_rule}]}}");
    site_yaml("s1", "") + &service_yaml("cart") + &route_yaml("r", &spec)
}

fn forward(yaml: &str) -> Forward {
    let service = service(&compile(yaml), "s1", "shop/cart");
    match service.tables[0].routes[0].action.clone().unwrap() {
        Action::Forward(forward) => forward,
        other => panic!("{other:?}"),
    }
}

const RULE: &str = "{name: pay, backendRefs: [{name: cart, port: 80}]}";
const LEVELS: [(&str, &str, u32); 5] = [
    ("mesh", "{group: skerry.dev, kind: Mesh, name: default}", 1),
    ("namespace", "{group: '', kind: Namespace, name: shop}", 2),
    ("service", "{group: '', kind: Service, name: cart}", 3),
    ("route", "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}", 4),
    ("rule", "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r, sectionName: pay}", 5),
];

#[test]
fn the_narrower_policy_wins_field_by_field() {
    for upto in 1..=LEVELS.len() {
        let policies: String = LEVELS[..upto]
            .iter()
            .map(|(name, target, seconds)| {
                policy(name, target, &format!("timeouts: {{request: {seconds}s}}"))
            })
            .collect();
        let wide = policy("z-wide", LEVELS[0].1, "timeouts: {backendRequest: 500ms}");
        let timeouts = forward(&(world(RULE) + &policies + &wide)).timeouts.unwrap();
        assert_eq!(timeouts.request_ms, Some(u32::try_from(upto).unwrap() * 1000));
        assert_eq!(timeouts.backend_request_ms, Some(500), "a field that the narrower one leaves out stays");
    }
}

#[test]
fn the_rule_itself_wins_over_every_policy() {
    let rule = "{name: pay, timeouts: {request: 9s}, retry: {attempts: 4, codes: [503]}, backendRefs: [{name: cart, port: 80}]}";
    let narrow = policy("p", LEVELS[4].1, "timeouts: {request: 1s}, retries: {attempts: 1, backoff: 50ms}");
    let forward = forward(&(world(rule) + &narrow));
    assert_eq!(forward.timeouts.unwrap().request_ms, Some(9000));
    assert_eq!(forward.retry, Some(Retry { attempts: 4, codes: vec![503], backoff_ms: 50 }));
}

#[test]
fn zero_attempts_switch_the_retries_of_a_wider_policy_off() {
    let wide = policy("wide", LEVELS[0].1, "retries: {attempts: 3}");
    let off = policy("off", LEVELS[2].1, "retries: {attempts: 0}");
    assert_eq!(forward(&(world(RULE) + &wide)).retry.map(|retry| retry.attempts), Some(3));
    assert_eq!(forward(&(world(RULE) + &wide + &off)).retry, None);
}

#[test]
fn of_two_policies_on_one_target_the_older_wins_and_the_other_says_so() {
    let mut index = index(&world(RULE));
    upsert(&mut index, &policy("z-old", LEVELS[2].1, "timeouts: {request: 1s}"), 1);
    upsert(&mut index, &policy("a-new", LEVELS[2].1, "timeouts: {request: 2s, backendRequest: 1s}"), 2);
    let compiled = index.compile();
    let Some(Action::Forward(forward)) =
        service(&compiled, "s1", "shop/cart").tables[0].routes[0].action.clone()
    else {
        panic!("not forwarded")
    };
    let timeouts = forward.timeouts.unwrap();
    assert_eq!((timeouts.request_ms, timeouts.backend_request_ms), (Some(1000), Some(1000)));
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

#[test]
fn a_try_that_outlasts_the_request_of_another_policy_is_named() {
    let whole = policy("whole", LEVELS[0].1, "timeouts: {request: 1s}");
    let one = policy("one", LEVELS[2].1, "timeouts: {backendRequest: 2s}");
    insta::assert_snapshot!(text(&compile(&(world(RULE) + &whole + &one)).diagnostics));
    let own = "{timeouts: {backendRequest: 2s}, backendRefs: [{name: cart, port: 80}]}";
    assert!(text(&compile(&(world(own) + &whole)).diagnostics).contains("HTTPRoute shop/r: spec.rules"));
    let unrouted = site_yaml("s1", "") + &service_yaml("cart") + &whole + &one;
    assert!(text(&compile(&unrouted).diagnostics).contains("for Service shop/cart one try may take"));
    for fine in ["timeouts: {request: 0s}", "timeouts: {request: 2s}"] {
        let wide = policy("whole", LEVELS[0].1, fine);
        assert_eq!(text(&compile(&(world(RULE) + &wide + &one)).diagnostics), "", "{fine}");
    }
}

#[test]
fn connect_timeout_and_retry_budget_hold_for_the_cluster() {
    let budget = policy(
        "p",
        LEVELS[2].1,
        "timeouts: {connect: 2s}, retries: {budget: {percent: 20, minConcurrency: 3}}",
    );
    let cluster = service(&compile(&(world(RULE) + &budget)), "s1", "shop/cart").cluster.unwrap();
    assert_eq!(cluster.connect_timeout_ms, 2000);
    assert_eq!(cluster.retry_budget.map(|budget| (budget.percent, budget.min_concurrency)), Some((20, 3)));
}

#[test]
fn a_policy_on_a_mesh_of_another_name_is_named_and_has_no_effect() {
    let mesh = "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: fleet}\n---\n";
    let typo = policy("p", "{group: skerry.dev, kind: Mesh, name: typo}", "timeouts: {request: 1s}");
    let right = policy("p", "{group: skerry.dev, kind: Mesh, name: fleet}", "timeouts: {request: 1s}");
    let mut index = index(&(world(RULE) + mesh + &typo));
    let request = |compiled: &skerry_core::index::Compiled| {
        let action = service(compiled, "s1", "shop/cart").tables[0].routes[0].action.clone();
        let Some(Action::Forward(forward)) = action else { panic!("not forwarded") };
        forward.timeouts.and_then(|timeouts| timeouts.request_ms)
    };
    let compiled = index.compile();
    assert_eq!(request(&compiled), None);
    insta::assert_snapshot!(text(&compiled.diagnostics));
    upsert(&mut index, &right, 0);
    let compiled = index.compile();
    assert_eq!((request(&compiled), text(&compiled.diagnostics)), (Some(1000), String::new()));
    upsert(&mut index, &mesh.replace("fleet", "older"), -1);
    let compiled = index.compile();
    assert_eq!(request(&compiled), None, "the older Mesh holds, and the policy does not name it");
    assert!(text(&compiled.diagnostics).contains("its name is `older`"));
}

#[test]
fn the_narrower_mode_of_mutual_tls_wins_and_the_mesh_is_the_widest() {
    let mesh = "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: default}\nspec: {mtls: {mode: Strict}}\n---\n";
    let of = |yaml: &str| {
        let compiled = compile(yaml);
        (settings(&compiled, "s1").mtls(), service(&compiled, "s1", "shop/cart").mtls())
    };
    let world = world(RULE);
    assert_eq!(of(&world), (MtlsMode::Unspecified, MtlsMode::Unspecified));
    let strict = mesh.to_owned() + &world;
    assert_eq!(
        of(&strict),
        (MtlsMode::Strict, MtlsMode::Unspecified),
        "a mesh costs no service its fragment"
    );
    let wide = policy("wide", LEVELS[1].1, "mtls: {mode: Permissive}");
    assert_eq!(of(&(strict.clone() + &wide)), (MtlsMode::Strict, MtlsMode::Permissive));
    let narrow = policy("narrow", LEVELS[2].1, "mtls: {mode: Strict}");
    assert_eq!(of(&(strict + &wide + &narrow)), (MtlsMode::Strict, MtlsMode::Strict));
}
