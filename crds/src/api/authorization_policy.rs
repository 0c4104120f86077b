//! `AuthorizationPolicy`: who may call what, shaped after GEP-3779 and attached per GEP-713.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Status;

/// Says who may call what it targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "AuthorizationPolicy",
    plural = "authorizationpolicies",
    shortname = "ap",
    category = "skerry",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    doc = "Says who may call what it targets (GEP-713, shaped after GEP-3779). All policies on a service add up, whatever their targets: what one denies is refused; what one allows passes; the rest is refused if any policy allows something or `Mesh.spec.authorization.default` is `Deny`.",
    printcolumn = r#"{"name":"Action","type":"string","jsonPath":".spec.action"}"#,
    printcolumn = r#"{"name":"Target","type":"string","jsonPath":".spec.targetRefs[0].kind"}"#,
    printcolumn = r#"{"name":"Name","type":"string","jsonPath":".spec.targetRefs[0].name"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicySpec {
    /// The sites at which it is enforced; left out, the whole fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<LabelSelector>,
    /// What it attaches to.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub target_refs: Vec<AuthorizationTarget>,
    /// What is done with calls that a rule matches. `Allow`: they pass, and what no policy allows is refused. `Deny`:
    /// they are refused, whatever allows them. `Audit`: they are counted and nothing else.
    pub action: AuthorizationAction,
    /// A call matches the policy when it matches one of them. Without any it matches nothing: an `Allow` without rules
    /// closes its targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rules: Option<Vec<AuthorizationRule>>,
}

/// What a policy attaches to, always in its own namespace (GEP-713), save for the mesh, which has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.group) || self.group == (self.kind == 'Mesh' ? 'skerry.dev' : '')")
    .message("the group does not fit the kind"))]
pub struct AuthorizationTarget {
    /// The group of the kind: `skerry.dev` for `Mesh`, empty for the others. Left out, it is the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// `Mesh`: all services of the fleet. `Namespace`: all services of the policy's namespace. `Service`: one of them.
    pub kind: AuthorizationTargetKind,
    /// The name of the target.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// The kinds that an authorization policy can attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "described where the field is")]
pub enum AuthorizationTargetKind {
    Mesh,
    Namespace,
    Service,
}

/// What is done with calls that a policy matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "described where the field is")]
pub enum AuthorizationAction {
    Allow,
    Deny,
    Audit,
}

/// Matches a call that both parts match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationRule {
    /// Who calls: one of them. An empty list is no one; left out, it is anyone, with an identity or without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub from: Option<Vec<AuthorizationSource>>,
    /// What is called: one of them. An empty list is nothing; left out, it is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub to: Option<Vec<AuthorizationOperation>>,
}

/// Callers, by the SPIFFE ID of their certificate, `spiffe://<site>.<trust domain>/ns/<namespace>/sa/<account>`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.serviceAccounts), has(self.namespaces), has(self.spiffeIDs)].filter(given, given).size() <= 1")
        .message("give at most one of serviceAccounts, namespaces and spiffeIDs; several sources are alternatives"),
    validation = Rule::new("has(self.serviceAccounts) || has(self.namespaces) || has(self.spiffeIDs) || has(self.sites)")
        .message("the source says nothing; leave `from` out to mean anyone"),
    validation = Rule::new("!has(self.sites) || !has(self.spiffeIDs)")
        .message("a SPIFFE ID names its site itself")
)]
pub struct AuthorizationSource {
    /// Service accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub service_accounts: Option<Vec<ServiceAccountRef>>,
    /// All service accounts of these namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub namespaces: Option<Vec<String>>,
    /// Callers at these sites: all, or those that `serviceAccounts` or `namespaces` name. Left out, any site of the mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub sites: Option<Vec<String>>,
    /// SPIFFE IDs, of whatever trust domain.
    #[serde(rename = "spiffeIDs", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub spiffe_ids: Option<Vec<SpiffeIdMatch>>,
}

/// One service account, at whatever site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountRef {
    /// Its namespace; left out, the policy's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A match of SPIFFE IDs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpiffeIdMatch {
    /// How the value is compared. A prefix is one of whole path elements: `spiffe://a/b` is one of `spiffe://a/b/c`, not
    /// of `spiffe://a/bc`. A regular expression (RE2) is one of the whole ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Exact"))]
    pub r#type: Option<SpiffeIdMatchType>,
    /// The ID, its prefix, or an expression.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// How a SPIFFE ID is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "described where the field is")]
pub enum SpiffeIdMatchType {
    Exact,
    Prefix,
    RegularExpression,
}

/// What is called: all given parts must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.ports) || has(self.methods) || has(self.paths)")
    .message("the operation says nothing; leave `to` out to mean everything"))]
pub struct AuthorizationOperation {
    /// Ports of the service, not of its workloads. Left out, all ports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(range(min = 1, max = 65535)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub ports: Option<Vec<i32>>,
    /// Methods of HTTP requests. On a port that carries bytes they allow nothing and deny everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 9))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub methods: Option<Vec<HttpMethod>>,
    /// Paths of HTTP requests, without the query. On a port that carries bytes they allow nothing and deny everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub paths: Option<Vec<AuthorizationPath>>,
}

/// The methods of RFC 9110 §9 and RFC 5789.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "as in the RFC")]
pub enum HttpMethod {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

/// A match of paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPath {
    /// How the value is compared. A prefix is one of whole path elements, as in an `HTTPRoute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "PathPrefix"))]
    pub r#type: Option<AuthorizationPathType>,
    /// The path.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

/// How a path is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "described where the field is")]
pub enum AuthorizationPathType {
    Exact,
    PathPrefix,
}
