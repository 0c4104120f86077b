//! `AuthorizationPolicy` as the commands show it: what is wrong, where it is from, what it becomes, and what a change of it reaches.

use crate::folder::Folder;
use crate::policy::{SERVICES, SITES};
use crate::run::skerry;

/// Everything that a policy can say, and one that only the stores have.
const POLICIES: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: reviews}]
  action: Allow
  rules:
    - from:
        - serviceAccounts: [{name: front}, {namespace: office, name: audit}]
          sites: [store-1]
        - spiffeIDs: [{type: Prefix, value: \"spiffe://partner.example/ns/books\"}]
      to:
        - {ports: [9080], methods: [GET], paths: [{value: /reviews}, {type: Exact, value: /health}]}
---
apiVersion: skerry.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: no-harbour, namespace: shop}
spec:
  sites: {matchLabels: {tier: retail}}
  targetRefs: [{kind: Namespace, name: shop}]
  action: Deny
  rules: [{from: [{sites: [harbour]}]}]
---
apiVersion: skerry.dev/v1alpha1
kind: AuthorizationPolicy
metadata: {name: strangers, namespace: shop}
spec:
  targetRefs: [{kind: Mesh, name: default}]
  action: Audit
  rules: [{}]
";

fn shop() -> Folder {
    Folder::committed(&[("sites.yaml", SITES), ("services.yaml", SERVICES), ("authorization.yaml", POLICIES)])
}

#[test]
fn a_policy_and_a_service_that_it_is_on() {
    let folder = shop();
    let runs = [
        skerry(folder.path(), &["explain", "authorizationpolicy", "shop/readers", "--site", "store-1"]),
        skerry(folder.path(), &["explain", "authorizationpolicies", "shop/no-harbour", "--site", "harbour"]),
        skerry(folder.path(), &["explain", "service", "shop/reviews", "spec.action", "--site", "store-1"]),
    ];
    insta::assert_snapshot!(runs.map(|ran| ran.to_string()).join("\n"));
}

#[test]
fn a_bundle_says_who_may_call() {
    let folder = shop();
    let ran = skerry(folder.path(), &["render", "bundle", "--site", "store-1"]);
    let bundle: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let fragments = bundle["fragments"].as_array().unwrap();
    let reviews = fragments.iter().find(|fragment| fragment["key"] == "service/shop/reviews").unwrap();
    insta::assert_snapshot!(format!("{:#}", reviews["service"]["authorization"]));
}

/// A mistake in one rule is named, and the policy stands: it is in the bundle, closed.
#[test]
fn a_mistake_is_named_and_closes() {
    let folder = shop();
    folder.edit("authorization.yaml", "methods: [GET]", "methods: [GETT]");
    folder.edit("authorization.yaml", "sites: [harbour]", "sites: [habour]");
    let validated = skerry(folder.path(), &["validate"]);
    insta::assert_snapshot!(validated);
    let ran = skerry(folder.path(), &["render", "bundle", "--site", "store-1"]);
    let bundle: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let fragments = bundle["fragments"].as_array().unwrap();
    let reviews = fragments.iter().find(|fragment| fragment["key"] == "service/shop/reviews").unwrap();
    let authorization = &reviews["service"]["authorization"];
    assert_eq!((&authorization["closed"], &authorization["allow"]), (&true.into(), &serde_json::Value::Null));
}

#[test]
fn a_change_of_a_policy_reaches_the_sites_that_it_is_for() {
    let folder = shop();
    folder.edit("authorization.yaml", "rules: [{from: [{sites: [harbour]}]}]", "rules: [{}]");
    insta::assert_snapshot!(skerry(folder.path(), &["diff"]));
}
