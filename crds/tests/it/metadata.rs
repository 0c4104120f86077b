//! `metadata`: names, namespaces, labels, age, annotation.

use skerry_core::policy::Object;
use skerry_core::selector::{Labels, Selector};

use crate::outcome::{explain, object_with};

/// The object that a text describes; what is warned about is not its metadata's matter.
fn described(text: &str) -> Object {
    object_with(text).0
}

fn service(metadata: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {metadata}\n")
}

#[test]
fn namespace_labels_and_age_are_read() {
    let text = service(
        "{name: a, labels: {app: a, empty: \"\"}, creationTimestamp: 2026-01-31T12:00:00+01:00, uid: x, managedFields: [{}], annotations: {other: 1}}",
    );
    let object = described(&text);
    assert_eq!(object.key.to_string(), "Service default/a");
    let labels = Labels::from([("app".to_owned(), "a".to_owned()), ("empty".to_owned(), String::new())]);
    assert_eq!(*object.labels, labels);
    assert_eq!(object.created, Some(1_769_857_200));
    assert_eq!(object.sites, None);
}

#[test]
fn what_an_export_leaves_empty_counts_as_left_out() {
    let text = service(
        "{name: a, namespace: \"\", labels: null, creationTimestamp: null}\nspec: null\nstatus: {x: [1]}",
    );
    let object = described(&text);
    assert_eq!(object.key.namespace, "default");
    assert_eq!(object.created, None);
}

#[test]
fn cluster_scoped_kinds_have_no_namespace() {
    let object =
        described("apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: s1, namespace: shop}\n");
    assert_eq!(object.key.to_string(), "Site s1");
}

#[test]
fn the_annotation_selects_sites_of_standard_kinds() {
    let text = service("{name: a, annotations: {skerry.dev/sites: \"tier=retail,!lab\"}}");
    assert_eq!(described(&text).sites, Some(Selector::parse("tier=retail,!lab").unwrap()));
}

#[test]
fn bad_metadata_is_refused() {
    let long = "x".repeat(254);
    let metadata = [
        "{namespace: shop}",
        "{generateName: a-}",
        "{name: 1}",
        "{name: Upper}",
        "{name: a.b}",
        &format!("{{name: {long}}}"),
        "{name: a, namespace: Shop}",
        "{name: a, labels: {version: 1}}",
        "{name: a, labels: [x]}",
        "{name: a, creationTimestamp: yesterday}",
        "{name: a, annotations: {skerry.dev/sites: \"tier in retail\"}}",
        "{name: a, annotations: {skerry.dev/sites: [a]}}",
        "[]",
    ];
    let documents: Vec<String> = metadata.into_iter().map(service).collect();
    insta::assert_snapshot!(explain(&documents.join("---\n")).replace(&long, "xxx…"));
}

#[test]
fn the_annotation_on_a_kind_of_ours_is_a_warning() {
    insta::assert_snapshot!(explain(
        "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata:\n  name: default\n  annotations: {skerry.dev/sites: a=b}\n"
    ));
}

#[test]
fn an_error_around_the_spec_refuses_a_route_too() {
    insta::assert_snapshot!(explain(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a, labels: {v: 1}}\nspec: {}\n"
    ));
}

/// What an API server would refuse, or would not keep.
#[test]
fn keys_of_labels_and_namespaces_of_what_has_none() {
    let site = |metadata: &str| {
        explain(&format!("apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {metadata}\n"))
    };
    assert!(site("{name: a, labels: {b c: d}}").contains("`b c` is not the key of a label"));
    assert!(site("{name: a, labels: {example.com/tier: d}}").ends_with("Site a\n"));
    let placed = site("{name: a, namespace: shop}");
    assert!(
        placed.contains("warning[InvalidMetadata]: Site a: metadata.namespace: a Site is in no namespace"),
        "{placed}"
    );
}
