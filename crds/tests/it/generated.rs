//! CRDs and their reference.

use std::collections::BTreeSet;
use std::path::Path;

use skerry_crds::{generate, parse};

#[test]
fn every_kind_has_a_crd_that_is_read_again_as_it_was_meant() {
    let files = generate::files();
    let crds: Vec<_> = files.iter().filter(|(path, _)| path.starts_with("deploy/crds/")).collect();
    let paths: Vec<_> = crds.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "deploy/crds/skerry.dev_authorizationpolicies.yaml",
            "deploy/crds/skerry.dev_meshes.yaml",
            "deploy/crds/skerry.dev_policysources.yaml",
            "deploy/crds/skerry.dev_siteoverrides.yaml",
            "deploy/crds/skerry.dev_sites.yaml",
            "deploy/crds/skerry.dev_trafficpolicies.yaml",
            "deploy/crds/skerry.dev_workloads.yaml",
        ]
    );
    let mut short_names = BTreeSet::new();
    for (path, text) in crds {
        let parsed = parse(path, text.as_bytes());
        assert_eq!(parsed.diagnostics, []);
        let crd = &parsed.documents[0].value;
        let plural = crd["spec"]["names"]["plural"].as_str().unwrap();
        assert_eq!(crd["metadata"]["name"], format!("{plural}.skerry.dev"));
        let version = &crd["spec"]["versions"][0];
        assert_eq!((&version["name"], &version["storage"]), (&"v1alpha1".into(), &true.into()));
        let columns = version["additionalPrinterColumns"].as_array().unwrap();
        let column = |name: &str| {
            columns.iter().any(|column| column["name"] == name && column["jsonPath"].is_string())
        };
        assert!(column("Age") && columns.len() > 1, "{path}: {columns:?}");
        let short = crd["spec"]["names"]["shortNames"][0].as_str().unwrap();
        assert!(short_names.insert(short.to_owned()), "{path}: {short} is another kind's");
        let schema = &version["schema"]["openAPIV3Schema"]["properties"];
        assert!(every_field_is_described(&schema["spec"]), "{path}");
        assert_eq!(schema["status"]["properties"]["conditions"]["x-kubernetes-list-type"], "map", "{path}");
    }
}

fn every_field_is_described(schema: &serde_json::Value) -> bool {
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.into_iter().flatten().all(|(_, field)| {
        field["description"].is_string()
            && every_field_is_described(field)
            && every_field_is_described(&field["items"])
    })
}

/// Invariant 8: what sites observe is in the core's store. No status has a map or a list that could have a row for each
/// site: its fields are plain values, and its one list holds conditions, of which there is one of each type.
#[test]
fn invariant_8_no_status_grows_with_sites() {
    for (path, text) in generate::files().iter().filter(|(path, _)| path.starts_with("deploy/crds/")) {
        let parsed = parse(path, text.as_bytes());
        let version = &parsed.documents[0].value["spec"]["versions"][0];
        let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
        assert_ne!(status["x-kubernetes-preserve-unknown-fields"], true, "{path}");
        for (name, field) in status["properties"].as_object().expect("a status has fields") {
            match field["type"].as_str() {
                Some("array") => {
                    assert_eq!(name, "conditions", "{path}: a list that may grow with sites");
                    assert_eq!(field["x-kubernetes-list-map-keys"], serde_json::json!(["type"]), "{path}");
                }
                Some("string" | "integer" | "boolean") => {}
                other => panic!("{path}: status.{name} is {other:?}: a map or object may grow with sites"),
            }
        }
    }
}

#[test]
fn rules_between_fields_are_in_the_crds() {
    let files = generate::files();
    let rules =
        files.values().flat_map(|text| text.lines()).filter_map(|line| line.trim().strip_prefix("rule: "));
    let mut rules: Vec<_> = rules.collect();
    rules.sort_unstable();
    insta::assert_snapshot!(rules.join("\n"));
}

/// What is committed is what would be generated: run `cargo xtask codegen` when this fails.
#[test]
fn what_is_committed_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (path, text) in generate::files() {
        let committed = std::fs::read_to_string(root.join(&path)).unwrap_or_default();
        assert!(committed == text, "{path} is out of date: run `cargo xtask codegen`");
    }
}
