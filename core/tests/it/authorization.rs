//! Who may call whom: what policies compile to, judged by a model of what proxies do with it.

use proptest::prelude::*;
use serde_json::{Value, json};
use skerry_core::diagnostic::{Location, has_errors};
use skerry_core::document::{Document, Spans};
use skerry_core::index::{Change, Compiled};
use skerry_core::policy::Decoded;
use skerry_core::world::Age;

use crate::builder::{
    compile, contents, index, service, service_yaml, services, settings, site_yaml, text, upsert,
};
use crate::call::{Call, calls, is_allowed};

/// A service with an HTTP port, 80, and one that carries bytes, 81.
const CART: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
                    spec: {selector: {app: cart}, ports: [{name: http, port: 80}, {name: tcp, port: 81}]}\n---\n";

fn world() -> String {
    site_yaml("a", "tier: retail") + &site_yaml("b", "tier: lab") + CART
}

fn policy(name: &str, target: &str, action: &str, rules: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{targetRefs: [{target}], action: {action}, rules: {rules}}}\n---\n"
    )
}

const MESH: &str = "{kind: Mesh, name: default}";
const NAMESPACE: &str = "{kind: Namespace, name: shop}";
const SERVICE: &str = "{kind: Service, name: cart}";

/// The calls that pass at site `a`, as text.
fn allowed(yaml: &str) -> Vec<String> {
    allowed_by(&compile(yaml))
}

fn allowed_by(compiled: &Compiled) -> Vec<String> {
    let service = service(compiled, "a", "shop/cart");
    let settings = settings(compiled, "a");
    calls().filter(|call| is_allowed(&service, &settings, call)).map(|call| call.to_string()).collect()
}

fn all() -> Vec<String> {
    calls().map(|call| call.to_string()).collect()
}

fn those(keep: impl Fn(&Call) -> bool) -> Vec<String> {
    calls().filter(|call| keep(call)).map(|call| call.to_string()).collect()
}

#[test]
fn without_a_policy_the_mesh_decides() {
    assert_eq!(allowed(&world()), all());
    let mesh = |access: &str| {
        format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: default}}\nspec: {{authorization: {{default: {access}}}}}\n---\n"
        )
    };
    assert_eq!(allowed(&(world() + &mesh("Allow"))), all());
    assert_eq!(allowed(&(world() + &mesh("Deny"))), Vec::<String>::new());
    assert!(service(&compile(&(world() + &mesh("Deny"))), "a", "shop/cart").authorization.is_none());
    let open = policy("open", NAMESPACE, "Allow", "[{}]");
    assert_eq!(allowed(&(world() + &mesh("Deny") + &open)), all(), "one namespace is open all the same");
    let closed = policy("closed", NAMESPACE, "Allow", "[]");
    assert_eq!(
        allowed(&(world() + &mesh("Allow") + &closed)),
        Vec::<String>::new(),
        "one namespace is closed"
    );
}

/// The table of issue and guide: a list that is left out is anyone, an empty one no one.
#[test]
fn an_empty_list_matches_nothing_and_one_that_is_left_out_everything() {
    let nothing = Vec::<String>::new();
    for (rules, allow) in [
        ("[]", nothing.clone()),
        ("[{}]", all()),
        ("[{from: []}]", nothing.clone()),
        ("[{to: []}]", nothing.clone()),
        ("[{from: [], to: [{ports: [80]}]}]", nothing.clone()),
        ("[{from: []}, {}]", all()),
    ] {
        assert_eq!(allowed(&(world() + &policy("p", SERVICE, "Allow", rules))), allow, "Allow {rules}");
        let denied: Vec<String> = all().into_iter().filter(|call| !allow.contains(call)).collect();
        assert_eq!(allowed(&(world() + &policy("p", SERVICE, "Deny", rules))), denied, "Deny {rules}");
        assert_eq!(allowed(&(world() + &policy("p", SERVICE, "Audit", rules))), all(), "Audit {rules}");
    }
}

#[test]
fn each_condition_holds() {
    type Keep = fn(&Call) -> bool;
    let cases: [(&str, Keep); 13] = [
        ("{from: [{serviceAccounts: [{name: x}]}]}", |call| call.is_from("", "shop", "x")),
        ("{from: [{serviceAccounts: [{namespace: office, name: y}]}]}", |call| {
            call.is_from("", "office", "y")
        }),
        ("{from: [{namespaces: [office]}]}", |call| call.is_from("", "office", "")),
        ("{from: [{sites: [b]}]}", |call| call.is_from("b", "", "")),
        ("{from: [{sites: [b], namespaces: [shop]}]}", |call| call.is_from("b", "shop", "")),
        ("{from: [{sites: [a], serviceAccounts: [{name: x}]}]}", |call| call.is_from("a", "shop", "x")),
        ("{from: [{sites: [a]}, {namespaces: [office]}]}", |call| {
            call.is_from("a", "", "") || call.is_from("", "office", "")
        }),
        ("{from: [{spiffeIDs: [{value: 'spiffe://a.mesh.local/ns/shop/sa/x'}]}]}", |call| {
            call.is_from("a", "shop", "x")
        }),
        ("{from: [{spiffeIDs: [{type: Prefix, value: 'spiffe://b.mesh.local/ns/shop/'}]}]}", |call| {
            call.is_from("b", "shop", "")
        }),
        ("{to: [{ports: [80]}]}", |call| call.port == 80),
        ("{to: [{ports: [80], methods: [GET]}]}", |call| call.port == 80 && call.method == "GET"),
        ("{to: [{ports: [80], paths: [{value: /a}]}]}", |call| {
            call.port == 80 && ["/a", "/a/b"].contains(&call.path)
        }),
        (
            "{from: [{sites: [a]}], to: [{ports: [80], paths: [{type: Exact, value: /a}]}, {ports: [81]}]}",
            |call| call.is_from("a", "", "") && (call.port == 81 || call.path == "/a"),
        ),
    ];
    for (rule, keep) in cases {
        let rules = format!("[{rule}]");
        let (allow, deny) = (policy("p", SERVICE, "Allow", &rules), policy("p", SERVICE, "Deny", &rules));
        assert_eq!(allowed(&(world() + &allow)), those(keep), "Allow {rule}");
        assert_eq!(allowed(&(world() + &deny)), those(|call| !keep(call)), "Deny {rule}");
    }
}

/// Policies add up, whatever their targets; what one denies no other one allows.
#[test]
fn policies_add_up_and_denials_come_first() {
    let x = policy("x", SERVICE, "Allow", "[{from: [{serviceAccounts: [{name: x}]}]}]");
    let office = policy("office", MESH, "Allow", "[{from: [{namespaces: [office]}]}]");
    let not_b = policy("not-b", NAMESPACE, "Deny", "[{from: [{sites: [b]}]}]");
    let both = |call: &Call| call.is_from("", "shop", "x") || call.is_from("", "office", "");
    assert_eq!(allowed(&(world() + &x + &office)), those(both));
    let but_b = |call: &Call| both(call) && !call.is_from("b", "", "");
    assert_eq!(allowed(&(world() + &x + &office + &not_b)), those(but_b));
    let elsewhere = x.replace("name: cart", "name: other");
    assert_eq!(allowed(&(world() + &elsewhere)), all(), "a policy on another service");
    let namespace = office
        .replace("namespace: shop}", "namespace: office}")
        .replace(MESH, "{kind: Namespace, name: office}");
    assert_eq!(allowed(&(world() + &namespace)), all(), "a policy on another namespace");
}

/// On a port that carries bytes there are no methods and paths: none is allowed by them, and all are denied.
#[test]
fn rules_about_requests_fail_closed_on_ports_that_carry_bytes() {
    let rules = "[{from: [{sites: [a]}], to: [{methods: [GET]}]}]";
    let at_a = |call: &Call| call.is_from("a", "", "");
    let allow = policy("p", SERVICE, "Allow", rules);
    assert_eq!(
        allowed(&(world() + &allow)),
        those(|call| at_a(call) && call.port == 80 && call.method == "GET")
    );
    let deny = policy("p", SERVICE, "Deny", rules);
    let is_denied = |call: &Call| at_a(call) && (call.port == 81 || call.method == "GET");
    assert_eq!(allowed(&(world() + &deny)), those(|call| !is_denied(call)));
    let wide = policy("wide", MESH, "Audit", rules);
    let limited = policy("limited", SERVICE, "Deny", "[{to: [{ports: [80], methods: [GET]}]}]");
    insta::assert_snapshot!(
        [&allow, &deny, &wide, &limited]
            .map(|policy| text(&compile(&(world() + policy)).diagnostics))
            .join("\n")
    );
}

#[test]
fn ports_and_sites_that_are_not_there_are_named() {
    let rules = "[{from: [{sites: [a, nowhere]}], to: [{ports: [82, 80]}]}, {to: [{ports: [9]}]}]";
    let mut index = index(&(world() + &policy("p", SERVICE, "Allow", rules)));
    let compiled = index.compile();
    insta::assert_snapshot!(text(&compiled.diagnostics));
    let rule = &service(&compiled, "a", "shop/cart").authorization.unwrap().allow;
    assert_eq!((rule.len(), rule[0].operations[0].ports.as_slice()), (1, &[80][..]));
    upsert(&mut index, &site_yaml("nowhere", ""), 0);
    assert!(!text(&index.compile().diagnostics).contains("nowhere"), "the site is there now");
    index.apply(Change::Delete(skerry_core::id::ObjectKey::new(skerry_core::id::Kind::Site, "", "nowhere")));
    assert!(text(&index.compile().diagnostics).contains("Site nowhere is not in the policy"));
    let wide = policy("p", NAMESPACE, "Allow", "[{to: [{ports: [9]}]}]");
    assert_eq!(
        text(&compile(&(world() + &wide)).diagnostics),
        "",
        "a wider policy may name ports of other services"
    );
}

#[test]
fn sites_and_overrides_decide_where_a_policy_holds() {
    let only = "apiVersion: skerry.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\n\
                spec: {sites: {matchLabels: {tier: retail}}, targetRefs: [{kind: Service, name: cart}], action: Allow}\n---\n";
    let compiled = compile(&(world() + only));
    assert!(
        service(&compiled, "a", "shop/cart").authorization.is_some_and(|authorization| authorization.closed)
    );
    assert_eq!(service(&compiled, "b", "shop/cart").authorization, None);
    let over = "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {name: o, namespace: shop}\n\
                spec: {sites: {matchLabels: {tier: retail}}, patches: [\
                {target: {kind: AuthorizationPolicy, name: p}, merge: {spec: {rules: [{from: [{namespaces: [office]}]}]}}},\
                {target: {kind: Mesh, name: default}, merge: {spec: {authorization: {default: Deny}}}}]}\n---\n\
                apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: default}\n---\n";
    let wide = only.replace("sites: {matchLabels: {tier: retail}}, ", "");
    let compiled = compile(&(world() + &wide + over));
    assert_eq!(text(&compiled.diagnostics), "");
    let allow = |site: &str| service(&compiled, site, "shop/cart").authorization.unwrap().allow;
    assert_eq!(allow("a")[0].sources[0].namespaces, ["office"]);
    assert_eq!(allow("b"), []);
    assert!(settings(&compiled, "a").deny_by_default && !settings(&compiled, "b").deny_by_default);
}

#[test]
fn rules_are_canonical_whatever_the_order_of_the_document() {
    let one = "[{from: [{sites: [b, a, b]}, {namespaces: [shop, office]}], to: [{ports: [81, 80]}, {methods: [PUT, GET, PUT], paths: [{value: /b}, {value: /a}]}]}]";
    let two = "[{from: [{namespaces: [office, shop, office]}, {sites: [a, b]}], to: [{methods: [GET, PUT], paths: [{value: /a/}, {value: /b}]}, {ports: [80, 81]}, {ports: [81, 80]}]}]";
    let fragments =
        |rules: &str| services(contents(&compile(&(world() + &policy("p", SERVICE, "Allow", rules))), "a"));
    assert_eq!(fragments(one), fragments(two));
}

#[test]
fn what_is_over_the_bound_is_closed_to_everyone() {
    let accounts = |at: usize| {
        let names = (0..64).map(|name| format!("{{name: account-of-a-rather-long-name-{at}-{name}}}"));
        format!("{{serviceAccounts: [{}]}}", names.collect::<Vec<_>>().join(", "))
    };
    let sources = (0..64).map(accounts).collect::<Vec<_>>().join(", ");
    let rules = format!("[{{from: [{sources}]}}]");
    let several: String = (0..2).map(|at| policy(&format!("p{at}"), SERVICE, "Allow", &rules)).collect();
    let compiled = compile(&(world() + &several));
    assert_eq!(allowed_by(&compiled), Vec::<String>::new());
    insta::assert_snapshot!(text(&compiled.diagnostics));
    assert_ne!(service(&compiled, "a", "shop/cart").tables, [], "its routes are there all the same");
}

#[test]
fn audits_beyond_the_bound_are_named() {
    let audits: String = (10..27).map(|at| policy(&format!("a{at}"), SERVICE, "Audit", "[{}]")).collect();
    let compiled = compile(&(world() + &audits));
    let names: Vec<String> = service(&compiled, "a", "shop/cart")
        .authorization
        .unwrap()
        .audits
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!((names.len(), names[0].as_str(), names[15].as_str()), (16, "shop/a10", "shop/a25"));
    insta::assert_snapshot!(text(&compiled.diagnostics));
}

/// A policy about one service leaves the fragments of the others; the mesh's default is in none of them.
#[test]
fn invariant_2_a_policy_costs_the_services_that_it_is_about() {
    let mut index = index(&(world() + &service_yaml("till")));
    let ids = |compiled: &Compiled| -> Vec<(String, skerry_core::id::Digest)> {
        contents(compiled, "a").fragments.iter().map(|it| (it.name.to_string(), it.id)).collect()
    };
    let before = ids(&index.compile());
    let differing = |after: &[(String, skerry_core::id::Digest)]| -> Vec<String> {
        after.iter().filter(|entry| !before.contains(entry)).map(|(name, _)| name.clone()).collect()
    };
    upsert(&mut index, &policy("p", SERVICE, "Allow", "[]"), 0);
    assert_eq!(differing(&ids(&index.compile())), ["service/shop/cart"]);
    upsert(&mut index, &policy("p", SERVICE, "Allow", "[]").replace("cart", "gone"), 0);
    upsert(
        &mut index,
        "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: default}\nspec: {authorization: {default: Deny}}\n",
        0,
    );
    assert_eq!(differing(&ids(&index.compile())), ["settings"]);
    upsert(&mut index, &policy("wide", NAMESPACE, "Allow", "[{to: [{ports: [81]}]}]"), 0);
    let with_default: Vec<String> = differing(&ids(&index.compile()));
    assert_eq!(with_default, ["service/shop/cart", "service/shop/till", "settings"], "both are closed now");
}

/// A rule of any kind.
fn rules() -> impl Strategy<Value = Value> {
    let source = prop_oneof![
        Just(json!({"sites": ["a"]})),
        Just(json!({"serviceAccounts": [{"name": "x"}, {"namespace": "office", "name": "y"}]})),
        Just(json!({"namespaces": ["office"], "sites": ["a", "b"]})),
        Just(json!({"spiffeIDs": [{"type": "Prefix", "value": "spiffe://a.mesh.local/ns/shop"}]})),
    ];
    let operation = prop_oneof![
        Just(json!({"ports": [80]})),
        Just(json!({"methods": ["GET"]})),
        Just(json!({"paths": [{"type": "Exact", "value": "/a"}, {"value": "/a/b"}]})),
    ];
    let side = |item: BoxedStrategy<Value>| prop::option::of(prop::collection::vec(item, 0..3));
    let rule = (side(source.boxed()), side(operation.boxed())).prop_map(|(from, to)| {
        let sides = [("from", from), ("to", to)];
        let given = sides.into_iter().filter_map(|(name, list)| Some((name.to_owned(), json!(list?))));
        Value::Object(given.collect())
    });
    prop::collection::vec(rule, 1..3).prop_map(Value::Array)
}

/// A sound policy, and what a slip of the keyboard makes of it.
fn slips() -> impl Strategy<Value = (Value, Value)> {
    let action = prop::sample::select(&["Allow", "Deny"][..]);
    let slips = [json!(null), json!("x y"), json!(7), json!({"x": 1}), json!(["x y"]), json!([null])];
    let slip = prop::sample::select(slips.to_vec());
    (rules(), action, any::<prop::sample::Index>(), slip, any::<bool>()).prop_map(
        |(rules, action, at, slip, adds)| {
            let spec = json!({"targetRefs": [{"kind": "Service", "name": "cart"}], "action": action, "rules": rules});
            let sound = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "AuthorizationPolicy",
                               "metadata": {"name": "p", "namespace": "shop"}, "spec": spec});
            let mut slipped = sound.clone();
            let places = pointers(&sound["spec"]["rules"], "/spec/rules");
            let place = slipped.pointer_mut(&places[at.index(places.len())]).unwrap();
            match place {
                Value::Object(fields) if adds => drop(fields.insert("when".to_owned(), slip)),
                place => *place = slip,
            }
            (sound, slipped)
        },
    )
}

/// A value and all below it.
fn pointers(value: &Value, at: &str) -> Vec<String> {
    let below: Vec<String> = match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, it)| pointers(it, &format!("{at}/{name}"))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(name, it)| pointers(it, &format!("{at}/{name}"))).collect()
        }
        _ => Vec::new(),
    };
    [vec![at.to_owned()], below].concat()
}

fn decode(value: &Value) -> Decoded {
    let location = Location { file: "p.yaml".to_owned(), line: 1, column: 1 };
    skerry_crds::decode(&Document { location, value: value.clone(), spans: Spans::default() })
}

fn allowed_with(decoded: Decoded) -> Vec<String> {
    let Decoded::Object(object, _) = decoded else { panic!("no object") };
    let mut index = index(&world());
    index.apply(Change::Upsert(object.into(), Age::Known(0)));
    allowed_by(&index.compile())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Where there is no good version to hold, a policy with a mistake stands, and lets pass no call that the policy
    /// without the mistake refuses.
    #[test]
    fn a_mistake_in_a_rule_never_opens_anything((sound, slipped) in slips()) {
        let decoded = decode(&slipped);
        if let Decoded::Object(_, found) = &decoded && has_errors(found) {
            let before = allowed_with(decode(&sound));
            for call in allowed_with(decoded) {
                prop_assert!(before.contains(&call), "{} is let in by {}", call, slipped);
            }
        } else {
            prop_assert!(matches!(decoded, Decoded::Object(..)), "a mistake in a rule does not refuse the policy: {slipped}");
        }
    }
}
