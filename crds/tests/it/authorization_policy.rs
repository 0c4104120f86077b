//! `AuthorizationPolicy` → targets, action and rules; what is broken allows nothing and denies everything.

use skerry_core::bundle::v1::path_match::Kind as Path;
use skerry_core::bundle::v1::spiffe_id_match::Kind as Id;
use skerry_core::bundle::v1::{Operation, PathMatch, ServiceAccount, Source, SpiffeIdMatch};
use skerry_core::id::NamespacedName;
use skerry_core::policy::authorization_policy::{Action, Part, Rule};
use skerry_core::policy::target::Target;
use skerry_core::policy::{AuthorizationPolicy, Spec};
use skerry_core::selector::Selector;

use crate::outcome::{explain, object, object_with};

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
    )
}

fn with_rules(action: &str, rules: &str) -> String {
    policy(&format!("{{targetRefs: [{{kind: Service, name: a}}], action: {action}, rules: {rules}}}"))
}

fn decoded(text: &str) -> AuthorizationPolicy {
    match object_with(text).0.spec {
        Spec::AuthorizationPolicy(policy) => policy,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_field_is_read() {
    let text = policy(
        r#"
  sites: {matchLabels: {tier: retail}}
  targetRefs:
  - {group: skerry.dev, kind: Mesh, name: fleet}
  - {kind: Namespace, name: shop}
  - {group: "", kind: Service, name: cart}
  action: Deny
  rules:
  - from:
    - serviceAccounts: [{name: web}, {namespace: office, name: job.nightly}]
      sites: [oslo, bergen]
    - namespaces: [office]
    - sites: [tromso]
    - spiffeIDs:
      - {value: "spiffe://partner.example/ns/a/sa/b"}
      - {type: Prefix, value: "spiffe://partner.example/"}
      - {type: RegularExpression, value: "spiffe://[^/]+/ns/a/sa/.+"}
    to:
    - ports: [443, 80]
    - methods: [GET, HEAD]
      paths: [{value: /a/}, {type: PathPrefix, value: /}, {type: Exact, value: /b/}]
  - {}
"#,
    );
    let object = object(&text);
    assert_eq!(object.sites, Some(Selector::parse("tier=retail").unwrap()));
    let account =
        |namespace: &str, name: &str| ServiceAccount { namespace: namespace.into(), name: name.into() };
    let id = |kind| SpiffeIdMatch { kind: Some(kind) };
    let path = |kind| PathMatch { kind: Some(kind) };
    let texts = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
    let sources = vec![
        Source {
            sites: texts(&["oslo", "bergen"]),
            service_accounts: vec![account("shop", "web"), account("office", "job.nightly")],
            ..Source::default()
        },
        Source { namespaces: texts(&["office"]), ..Source::default() },
        Source { sites: texts(&["tromso"]), ..Source::default() },
        Source {
            spiffe_ids: vec![
                id(Id::Exact("spiffe://partner.example/ns/a/sa/b".to_owned())),
                id(Id::Prefix("spiffe://partner.example".to_owned())),
                id(Id::Regex("spiffe://[^/]+/ns/a/sa/.+".to_owned())),
            ],
            ..Source::default()
        },
    ];
    let operations = vec![
        Operation { ports: vec![443, 80], ..Operation::default() },
        Operation {
            methods: texts(&["GET", "HEAD"]),
            paths: vec![
                path(Path::Prefix("/a".to_owned())),
                path(Path::Prefix("/".to_owned())),
                path(Path::Exact("/b/".to_owned())),
            ],
            ..Operation::default()
        },
    ];
    let expected = AuthorizationPolicy {
        targets: vec![
            Target::Mesh("fleet".to_owned()),
            Target::Namespace("shop".to_owned()),
            Target::Service(NamespacedName::new("shop", "cart")),
        ],
        action: Action::Deny,
        rules: vec![
            Rule { at: 0, from: Part::Of(sources), to: Part::Of(operations) },
            Rule { at: 1, from: Part::Any, to: Part::Any },
        ],
    };
    assert_eq!(object.spec, Spec::AuthorizationPolicy(expected));
}

#[test]
fn an_empty_list_is_not_one_that_is_left_out() {
    let rule = |text: &str| decoded(&with_rules("Allow", &format!("[{text}]"))).rules.remove(0);
    assert_eq!(rule("{}").from, Part::Any);
    assert_eq!(rule("{from: []}").from, Part::Of(Vec::new()));
    assert_eq!(rule("{to: []}").to, Part::Of(Vec::new()));
    for rules in ["[]", "null"] {
        assert_eq!(decoded(&with_rules("Allow", rules)).rules, []);
    }
    let without = policy("{targetRefs: [{kind: Namespace, name: shop}], action: Allow}");
    assert_eq!(
        object(&without).spec,
        Spec::AuthorizationPolicy(AuthorizationPolicy {
            targets: vec![Target::Namespace("shop".to_owned())],
            action: Action::Allow,
            rules: Vec::new(),
        })
    );
}

/// What is around the rules says whom the policy is about: without that there is no policy.
#[test]
fn mistakes_around_the_rules_are_refused() {
    let of =
        |spec: &str| policy(&format!("{{targetRefs: [{{kind: Service, name: a}}], action: Allow, {spec}}}"));
    let documents = [
        policy("{action: Allow}"),
        policy("{targetRefs: [{kind: Service, name: a}]}"),
        policy("{targetRefs: [{kind: Service, name: a}], action: ALLOW}"),
        policy("{targetRefs: [{kind: HTTPRoute, name: a}], action: Allow}"),
        policy("{targetRefs: [{kind: Namespace, name: other}], action: Deny}"),
        policy("{targetRefs: [{group: core, kind: Service, name: a}], action: Deny}"),
        policy("null"),
        policy("7"),
        of("rule: []"),
        of("sites: {matchExpressions: [{key: a, operator: In}]}"),
    ];
    insta::assert_snapshot!(explain(&documents.join("---\n")));
}

/// The same mistakes where a policy allows and where it denies: each is named, and what is broken is closed.
#[test]
fn mistakes_in_a_rule_close_it() {
    let from = |source: &str| format!("[{{from: [{source}], to: [{{ports: [80]}}]}}]");
    let to = |operation: &str| format!("[{{from: [{{sites: [a]}}], to: [{operation}]}}]");
    let in_from = [
        "{}",
        "{sites: [a], when: now}",
        "{serviceAccounts: [{name: '*'}]}",
        "{serviceAccounts: [{namespace: A, name: a}]}",
        "{serviceAccounts: [{name: a}], namespaces: [b]}",
        "{namespaces: []}",
        "{namespaces: [a.b]}",
        "{sites: [a/b]}",
        "{sites: null}",
        "{sites: [a], spiffeIDs: [{value: 'spiffe://a/b'}]}",
        "{spiffeIDs: [{value: 'spiffe://a'}]}",
        "{spiffeIDs: [{type: Prefix, value: 'a/b'}]}",
        "{spiffeIDs: [{type: RegularExpression, value: '('}]}",
        "{spiffeIDs: [{type: Regex, value: 'a'}]}",
        "null",
    ];
    let in_to = [
        "{}",
        "{ports: [0]}",
        "{ports: [http]}",
        "{methods: [get]}",
        "{paths: [{value: a}]}",
        "{paths: [{value: /a//b}]}",
        "{paths: [/a]}",
        "{host: a}",
        "{ports: null, methods: [GET]}",
    ];
    for source in in_from {
        let allow = decoded(&with_rules("Allow", &from(source))).rules.remove(0);
        assert_eq!(allow.from, Part::Of(Vec::new()), "{source}");
        let deny = decoded(&with_rules("Deny", &from(source))).rules.remove(0);
        assert_eq!(deny.from, Part::Any, "{source}");
        assert!(matches!(deny.to, Part::Of(ref operations) if operations.len() == 1), "{source}: {deny:?}");
    }
    for operation in in_to {
        let allow = decoded(&with_rules("Audit", &to(operation))).rules.remove(0);
        assert_eq!(allow.to, Part::Of(Vec::new()), "{operation}");
        let deny = decoded(&with_rules("Deny", &to(operation))).rules.remove(0);
        assert_eq!(deny.to, Part::Any, "{operation}");
        assert!(matches!(deny.from, Part::Of(ref sources) if sources.len() == 1), "{operation}: {deny:?}");
    }
    let documents: Vec<String> = in_from.iter().map(|source| with_rules("Allow", &from(source))).collect();
    let documents = [documents, in_to.iter().map(|it| with_rules("Deny", &to(it))).collect()].concat();
    insta::assert_snapshot!(explain(&documents.join("---\n")));
}

#[test]
fn what_is_no_rule_closes_everything() {
    let rules = ["7", "{from: []}", "[{from: [], then: x}]", "[null]", "[x]", "[{from: }]", "[{to: }]"];
    for text in rules {
        for rule in decoded(&with_rules("Allow", text)).rules {
            let is_nothing = rule.from == Part::Of(Vec::new()) || rule.to == Part::Of(Vec::new());
            assert!(is_nothing, "{text}: {rule:?}");
        }
    }
    for text in ["7", "{from: []}", "[null]", "[x]", "[{from: }]", "[{to: }]"] {
        let rule = decoded(&with_rules("Deny", text)).rules.remove(0);
        assert_eq!((rule.from, rule.to), (Part::Any, Part::Any), "{text}");
    }
    let many = format!("[{}]", vec!["{}"; 65].join(", "));
    assert_eq!(decoded(&with_rules("Allow", &many)).rules.len(), 1, "too many rules are none");
    let documents: Vec<String> = rules.iter().map(|text| with_rules("Allow", text)).collect();
    insta::assert_snapshot!(explain(&(documents.join("---\n") + "---\n" + &with_rules("Deny", &many))));
}

#[test]
fn parts_without_effect_are_warnings() {
    let documents = [
        with_rules("Deny", "[]"),
        policy("{targetRefs: [{kind: Service, name: a}], action: Audit}"),
        policy("{targetRefs: [{kind: Service, name: a}, {kind: Service, name: a}], action: Allow}"),
    ];
    insta::assert_snapshot!(explain(&documents.join("---\n")));
}

/// Only `appProtocol` tells that a server speaks first.
#[test]
fn servers_that_speak_first_are_known_by_their_protocol() {
    let service = |port: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{{port: 1, {port}}}]}}\n"
        );
        match object(&text).spec {
            Spec::Service(service) => service.ports[0].server_first,
            other => panic!("{other:?}"),
        }
    };
    assert!(service("appProtocol: mysql") && service("appProtocol: SMTP"));
    assert!(!service("appProtocol: redis") && !service("name: mysql"));
}

/// Where Istio has a wildcard, a path here has a character: a `Deny` of `/admin*` would deny next to nothing.
#[test]
fn a_star_at_the_end_of_a_path_is_a_mistake() {
    for path in ["/admin*", "/admin/*", "/*"] {
        let text = with_rules("Deny", &format!("[{{to: [{{paths: [{{value: '{path}'}}]}}]}}]"));
        let said = explain(&text);
        assert!(said.contains(&format!("the `*` in `{path}` stands for itself")), "{said}");
        assert_eq!(decoded(&text).rules[0].to, Part::Any, "{path}: it denies everything");
    }
}
