//! `SiteOverride` → patches.

use serde_json::{Value, json};
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::policy::site_override::{Change, Operation, OperationKind, Patch};
use skerry_core::policy::{SiteOverride, Spec};

use crate::outcome::{explain, object};

fn with_spec(spec: &str) -> String {
    format!(
        "apiVersion: skerry.dev/v1alpha1\nkind: SiteOverride\nmetadata: {{name: o, namespace: shop}}\nspec: {spec}\n"
    )
}

#[test]
fn both_forms_of_patch_are_read() {
    let text = with_spec(
        r#"
  sites: {matchLabels: {tier: retail}}
  precedence: -5
  locked: true
  patches:
  - target: {kind: TrafficPolicy, name: p}
    merge: {spec: {timeouts: {request: 5s, connect: null}}, metadata: {labels: {a: b}}}
  - target: {kind: HTTPRoute, namespace: other, name: r}
    json:
    - {op: replace, path: /spec/rules/0/backendRefs/0/weight, value: 0}
    - {op: remove, path: /metadata/labels/a~1b}
    - {op: add, path: /spec/x, value: null}
    - {op: test, path: /metadata/name, value: r}
  - target: {kind: Mesh, name: default}
    merge: {}
"#,
    );
    let object = object(&text);
    let operation = |op, path: &str, value: Value| Operation { op, path: path.to_owned(), value };
    let expected = SiteOverride {
        precedence: -5,
        locked: true,
        patches: vec![
            Patch {
                target: ObjectKey::new(Kind::TrafficPolicy, "shop", "p"),
                change: Change::Merge(json!({
                    "spec": {"timeouts": {"request": "5s", "connect": null}}, "metadata": {"labels": {"a": "b"}}
                })),
                pointer: "/spec/patches/0/merge".to_owned(),
            },
            Patch {
                target: ObjectKey::new(Kind::HttpRoute, "other", "r"),
                change: Change::Json(vec![
                    operation(OperationKind::Replace, "/spec/rules/0/backendRefs/0/weight", json!(0)),
                    operation(OperationKind::Remove, "/metadata/labels/a~1b", Value::Null),
                    operation(OperationKind::Add, "/spec/x", Value::Null),
                    operation(OperationKind::Test, "/metadata/name", json!("r")),
                ]),
                pointer: "/spec/patches/1/json".to_owned(),
            },
            Patch {
                target: ObjectKey::new(Kind::Mesh, "", "default"),
                change: Change::Merge(json!({})),
                pointer: "/spec/patches/2/merge".to_owned(),
            },
        ],
    };
    assert_eq!(object.spec, Spec::SiteOverride(expected));
    assert!(object.sites.is_some());
}

#[test]
fn mistakes_are_refused() {
    let patch =
        |rest: &str| with_spec(&format!("{{patches: [{{target: {{kind: Service, name: a}}, {rest}}}]}}"));
    let documents = [
        with_spec("{patches: []}"),
        with_spec("{patches: [{target: {kind: Site, name: a}, merge: {}}]}"),
        with_spec("{patches: [{target: {kind: Service, name: A, namespace: B}, merge: {}}]}"),
        with_spec("{patches: [{target: {kind: Service, name: a}}], precedence: high}"),
        patch("merge: {}, json: [{op: remove, path: /spec}]"),
        patch("merge: []"),
        patch("merge: {kind: Mesh, metadata: {name: b, namespace: c}}"),
        patch("merge: {metadata: null}"),
        patch("json: [{op: move, path: /spec, from: /x}]"),
        patch("json: [{op: add, path: /spec/x}, {op: remove, path: /spec/x, value: 1}]"),
        patch("json: [{op: replace, path: spec/x, value: 1}, {op: replace, path: /a~2, value: 1}]"),
        patch("json: [{op: replace, path: /metadata/name, value: b}, {op: remove, path: /metadata}]"),
        patch("json: [{op: replace, path: \"\", value: {}}]"),
    ];
    insta::assert_snapshot!(explain(&documents.join("---\n")));
}
