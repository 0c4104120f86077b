//! What people get to read for bad input: golden texts, one for each kind of mistake.

use crate::outcome::explain;

#[test]
fn invalid_yaml_in_the_middle_of_a_good_file() {
    insta::assert_snapshot!(explain(
        r#"apiVersion: v1
kind: Service
metadata: {name: first, namespace: shop}
spec:
  ports: [{port: 80}]
---
apiVersion: v1
kind: Service
metadata: {name: broken, namespace: shop}
spec:
  ports: [{port: 80}
---
apiVersion: v1
kind: Service
metadata: {name: last, namespace: shop}
"#
    ));
}

#[test]
fn unreadable_documents() {
    insta::assert_snapshot!(explain(
        "a: 1\na: 2\n---\na: 'x\n---\na:\n\tb: 1\n---\nport: *unknown\n---\n{{- if .Values.on }}\na: 1\n---\n? [a]\n: 1\n---\na: &a [*a]\n"
    ));
}

#[test]
fn alias_bomb() {
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(",");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    insta::assert_snapshot!(explain(&format!("kind: Before\n---\n{bomb}---\nkind: After\n")));
}

#[test]
fn every_unknown_field_and_value_is_named() {
    insta::assert_snapshot!(explain(
        r#"apiVersion: skerry.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: checkout, namespace: shop}
spec:
  targetRefs:
  - kind: Serivce
    name: checkout
    sectioName: x
  timeout:
    request: 1s
  retries:
    attempts: 11
    codes: [503, 200, "504"]
    circuitBreaker: {}
  timeouts:
    request: 5 seconds
sepc: {}
"#
    ));
}

#[test]
fn wrong_types_and_missing_fields() {
    insta::assert_snapshot!(explain(
        r#"apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: checkout, namespace: shop}
spec:
  parentRefs:
  - {group: "", kind: Service, port: "80"}
  rules:
  - matches:
    - path: {type: Prefix, value: /a}
      method: get
    - headers: {name: x, value: y}
    - path: /b
    - queryParams:
      - {name: n, value: 1}
    backendRefs:
    - {name: checkout, port: 80.5, weight: null}
    -
    timeout: 3s
"#
    ));
}

#[test]
fn a_service_with_every_mistake() {
    insta::assert_snapshot!(explain(
        r#"apiVersion: v1
kind: Service
metadata: {name: checkout, namespace: shop}
spec:
  clusterIP: 10.0.0
  selectors: {app: checkout}
  selector: {version: 1}
---
apiVersion: v1
kind: Service
metadata: {name: checkout, namespace: shop}
spec:
  clusterIP: 10.0.0
  selector: {app: checkout}
  ports:
  - {name: http, port: 80}
  - {name: http, port: 80}
  - {port: 70000, protocol: tcp}
  - {name: UPPER, port: 81, targetPort: way_too_long_for_a_port}
  - {name: dns, port: 53, protocol: UDP}
"#
    ));
}

#[test]
fn placeholders_of_post_build_substitution() {
    insta::assert_snapshot!(explain(
        r#"apiVersion: v1
kind: Service
metadata:
  name: checkout
  namespace: shop
  labels: {tier: "${TIER}"}
spec:
  ports:
  - port: ${PORT:=80}
---
apiVersion: skerry.dev/v1alpha1
kind: Mesh
metadata: {name: default}
spec:
  trustDomain: ${DOMAIN}.example.com
  staleAfter: ${STALE}
---
apiVersion: v1
kind: Service
metadata:
  name: ${NAME}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${NAME}
"#
    ));
}

#[test]
fn kinds_that_are_not_decoded() {
    insta::assert_snapshot!(explain(
        r#"apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: a, namespace: shop}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: HTTPRoute
metadata: {name: a}
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {name: a}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: a}
---
apiVersion: skerry.dev/v1alpha1
kind: TraficPolicy
metadata: {name: a}
---
apiVersion: skerry.dev/v1beta1
kind: Mesh
metadata: {name: a}
---
apiVersion: skerry.dev/v1alpha1
kind: Workload
metadata: {name: a}
---
apiVersion: skerry.dev/v1alpha1
kind: PolicySource
metadata: {name: a}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
---
just: values
---
- a list
---
text
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: example.com}
---
apiVersion: skerry.dev/v1alpha1
kind: Mesh
metadata: {name: secret}
spec:
  trustDomain: ENC[AES256_GCM,data:xyz]
sops:
  mac: ENC[AES256_GCM,data:xyz]
"#
    ));
}

/// One look shows every mistake that does not hang together with another one, of the form and of the values alike.
#[test]
fn all_mistakes_of_an_object_are_shown_at_once() {
    let skerry = "apiVersion: skerry.dev/v1alpha1\nmetadata: {name: a, namespace: shop}\n";
    let documents = [
        format!("{skerry}kind: Mesh\nspec: {{trustDomain: Foo, staleAfter: 1ms, outboundCIDR: 300.0.0.0/8, maxRemovalPercent: 0}}\n"),
        format!(
            "{skerry}kind: TrafficPolicy\nspec:\n  targetRefs: [{{kind: Service, name: a, sectionName: b}}]\n  \
             retries: {{attempts: 11}}\n  timeouts: {{request: 1s, backendRequest: 2s, connect: 0s}}\n"
        ),
        format!(
            "{skerry}kind: SiteOverride\nspec:\n  precedence: 1e20\n  sites: {{matchExpressions: [{{key: a, operator: in, values: [b]}}]}}\n  \
             patches:\n  - {{target: {{kind: Service, name: a}}, merge: 5}}\n  - {{target: {{kind: Service, name: B_}}, json: [{{op: test, path: x}}]}}\n"
        ),
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, namespace: shop}\nspec:\n  \
         parentRefs: [{group: '', kind: Service, name: a}]\n  rules:\n  - filters: [{type: Foo}]\n    backendRefs: [{name: B_, port: 80}]\n  \
         - backendRefs: [{name: a, port: 80, weight: -1}]\n  - matches: [{path: {value: a}}]\n    backendRefs: [{name: a, port: 80}]\n"
            .to_owned(),
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {clusterIP: x, foo: 1, ports: [{port: 70000}, {port: 80, name: B}]}\n"
            .to_owned(),
    ];
    insta::assert_snapshot!(documents.map(|document| explain(&document)).join("\n"));
}
