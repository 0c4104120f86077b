//! `SiteOverride`: patches other objects for selected sites.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::Status;

/// Patches for selected sites.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "SiteOverride",
    plural = "siteoverrides",
    shortname = "so",
    category = "skerry",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    doc = "Patches other objects for selected sites. Applied by ascending precedence, locked ones last; two of equal precedence that touch one field are both rejected, and so are two that add items to one list or remove them. It reaches every namespace, the Mesh too: the repository is the boundary (ADR 0015).",
    printcolumn = r#"{"name":"Precedence","type":"integer","jsonPath":".spec.precedence"}"#,
    printcolumn = r#"{"name":"Locked","type":"boolean","jsonPath":".spec.locked"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SiteOverrideSpec {
    /// The sites that it is for; left out, the whole fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<LabelSelector>,
    /// Higher is applied later and so wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 0))]
    pub precedence: Option<i32>,
    /// Applied after all overrides that are not locked, so that the fleet has the last word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub locked: Option<bool>,
    /// The patches, in order.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub patches: Vec<Patch>,
}

/// One patch: exactly one of `merge` and `json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.merge) != has(self.json)").message("give exactly one of merge and json"))]
pub struct Patch {
    /// The object that it patches.
    pub target: PatchTarget,
    /// A JSON merge patch (RFC 7386) on the whole object: `null` removes a field, lists are replaced as a
    /// whole. It cannot change `apiVersion`, `kind`, `metadata.name` and `metadata.namespace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_mapping")]
    pub merge: Option<BTreeMap<String, Value>>,
    /// A JSON patch (RFC 6902) on the whole object: `add`, `remove`, `replace` and `test`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub json: Option<Vec<Operation>>,
}

/// The object that a patch is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PatchTarget {
    /// Its kind.
    pub kind: PatchKind,
    /// Its namespace; left out, the override's own. A `Mesh` has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The kinds that an override can patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "these are the kinds themselves")]
pub enum PatchKind {
    Mesh,
    Service,
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    TrafficPolicy,
    AuthorizationPolicy,
}

// That `value` is there when it must be is not a CEL rule: CEL does not see fields without a type.
/// One operation of a JSON patch (RFC 6902).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// What it does. `test` refuses the whole override when the value differs.
    pub op: Op,
    /// Where: a JSON pointer (RFC 6901) from the object's root, such as `/spec/rules/0/timeouts`.
    #[schemars(length(min = 2, max = 1024), regex(pattern = "^/"))]
    pub path: String,
    /// With what; not for `remove`.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schemars(schema_with = "any_value")]
    pub value: Option<Value>,
}

/// What an operation of a JSON patch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "these are the words of RFC 6902")]
pub enum Op {
    Add,
    Remove,
    Replace,
    Test,
}

/// Tells `value: null`, which is a value, from a value that is not there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn any_mapping(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}
