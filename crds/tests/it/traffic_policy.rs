//! `TrafficPolicy` → targets and settings.

use skerry_core::bundle::v1::{MtlsMode, RetryBudget};
use skerry_core::id::NamespacedName;
use skerry_core::policy::traffic_policy::{Target, TrafficSettings};
use skerry_core::policy::{Spec, TrafficPolicy};
use skerry_core::selector::Selector;

use crate::outcome::{explain, object, object_with};

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{name: p, namespace: shop}}\nspec: {spec}\n"
    )
}

fn decoded(spec: &str) -> TrafficPolicy {
    match object_with(&policy(spec)).0.spec {
        Spec::TrafficPolicy(policy) => policy,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_target_of_gep_713_is_read() {
    let name = || NamespacedName::new("shop", "a");
    let cases = [
        ("{kind: Mesh, name: default}", Target::Mesh("default".to_owned())),
        ("{group: skerry.dev, kind: Mesh, name: x}", Target::Mesh("x".to_owned())),
        ("{kind: Namespace, name: shop}", Target::Namespace("shop".to_owned())),
        ("{group: \"\", kind: Service, name: a}", Target::Service(name())),
        ("{group: gateway.networking.k8s.io, kind: HTTPRoute, name: a}", Target::Route(name())),
        ("{kind: HTTPRoute, name: a, sectionName: r}", Target::Rule(name(), "r".to_owned())),
    ];
    for (target, expected) in cases {
        let policy = decoded(&format!("{{targetRefs: [{target}], timeouts: {{request: 1s}}}}"));
        assert_eq!(policy.targets, [expected], "{target}");
    }
}

#[test]
fn all_settings_are_read() {
    let spec = r#"
  sites:
    matchLabels: {tier: retail}
    matchExpressions:
    - {key: region, operator: In, values: [eu, us]}
    - {key: lab, operator: DoesNotExist}
    - {key: canary, operator: Exists}
    - {key: zone, operator: NotIn, values: [z1]}
  targetRefs: [{kind: Service, name: a}]
  timeouts: {request: 10s, backendRequest: 2s500ms, connect: 1ms}
  retries:
    attempts: 10
    codes: [503, 502, 503]
    backoff: 25ms
    budget: {percent: 0, minConcurrency: 0}
  mtls: {mode: Permissive}
"#;
    let object = object(&policy(spec));
    let selector = Selector::parse("tier=retail,region in (eu,us),!lab,canary,zone!=z1").unwrap();
    assert_eq!(object.sites, Some(selector));
    let Spec::TrafficPolicy(policy) = object.spec else { panic!("another kind") };
    let expected = TrafficSettings {
        request_timeout_ms: Some(10_000),
        backend_request_timeout_ms: Some(2_500),
        connect_timeout_ms: Some(1),
        retry_attempts: Some(10),
        retry_codes: Some(vec![502, 503]),
        retry_backoff_ms: Some(25),
        retry_budget: Some(RetryBudget { percent: 0, min_concurrency: 0 }),
        mtls: Some(MtlsMode::Permissive),
    };
    assert_eq!(policy.settings, expected);
}

#[test]
fn what_is_not_said_is_not_set() {
    let settings = decoded("{targetRefs: [{kind: Service, name: a}], retries: {attempts: 0}}").settings;
    assert_eq!(settings, TrafficSettings { retry_attempts: Some(0), ..TrafficSettings::default() });
    let settings = decoded("{targetRefs: [{kind: Service, name: a}], retries: {budget: {}}}").settings;
    assert_eq!(settings.retry_budget, Some(RetryBudget { percent: 20, min_concurrency: 3 }));
}

#[test]
fn no_limit_is_longer_than_nothing() {
    for timeouts in
        ["{request: 0s, backendRequest: 1h}", "{request: 1s, backendRequest: 0s}", "{backendRequest: 1h}"]
    {
        let spec = format!("{{targetRefs: [{{kind: Service, name: a}}], timeouts: {timeouts}}}");
        object(&policy(&spec));
    }
}

#[test]
fn a_selector_without_requirements_is_for_all_sites() {
    let spec = "{sites: {}, targetRefs: [{kind: Service, name: a}], timeouts: {request: 1s}}";
    assert_eq!(object(&policy(spec)).sites, Some(Selector::default()));
}

#[test]
fn mistakes_are_refused() {
    let of = |rest: &str| policy(&format!("{{targetRefs: [{{kind: Service, name: a}}], {rest}}}"));
    let to = |target: &str| policy(&format!("{{targetRefs: [{target}], timeouts: {{request: 1s}}}}"));
    let documents = [
        policy("{timeouts: {request: 1s}}"),
        policy("{targetRefs: [], timeouts: {request: 1s}}"),
        to("{kind: Namespace, name: other}"),
        to("{kind: Service, name: a, sectionName: http}"),
        to("{group: core, kind: Service, name: a}"),
        to("{kind: Service, name: A}"),
        to("{kind: Service}"),
        of("timeouts: {request: 1s, backendRequest: 2s}"),
        of("timeouts: {connect: 0s}"),
        of("timeouts: {request: 99999h}"),
        of("timeouts: {request: 10}"),
        of("retries: {codes: [399]}"),
        of("retries: {budget: {percent: 101}}"),
        of("retries: {backoff: 0s}"),
        of("mtls: {mode: strict}"),
        of("sites: {matchExpressions: [{key: a, operator: in, values: [b]}]}, timeouts: {request: 1s}"),
        of("sites: {matchExpressions: [{key: a, operator: In}]}, timeouts: {request: 1s}"),
        of("sites: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}, timeouts: {request: 1s}"),
        of("sites: {tier: retail}, timeouts: {request: 1s}"),
    ];
    insta::assert_snapshot!(explain(&documents.join("---\n")));
}

#[test]
fn parts_without_effect_are_warnings() {
    let documents = [
        policy("{targetRefs: [{kind: Service, name: a}]}"),
        policy("{targetRefs: [{kind: Service, name: a}, {kind: Service, name: a}], timeouts: {request: 1s}}"),
        policy(
            "{targetRefs: [{kind: HTTPRoute, name: a}], timeouts: {connect: 1s}, retries: {budget: {percent: 5}}, mtls: {mode: Strict}}",
        ),
    ];
    insta::assert_snapshot!(explain(&documents.join("---\n")));
}
