//! What is generated from the kinds and committed: CRDs and their reference.
//!
//! Makes text only; `skerry-crds-gen` writes it. Equal types give equal bytes.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::api;

mod crd;
mod reference;

/// Makes every generated file: its path below the repository's root, and its content.
pub fn files() -> BTreeMap<String, String> {
    let crds = crds();
    let mut files: BTreeMap<String, String> = crds.iter().map(crd::file).collect();
    files.insert("docs/reference/kinds.md".to_owned(), reference::page(&crds));
    files
}

/// The kinds, in the order in which the reference lists them.
fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        with_optional_spec(api::mesh::Mesh::crd()),
        with_optional_spec(api::site::Site::crd()),
        api::policy_source::PolicySource::crd(),
        api::traffic_policy::TrafficPolicy::crd(),
        api::authorization_policy::AuthorizationPolicy::crd(),
        api::site_override::SiteOverride::crd(),
        api::workload::Workload::crd(),
    ]
}

/// The derive asks for a spec always; of these kinds every field has a default.
fn with_optional_spec(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            schema.required = None;
        }
    }
    crd
}
