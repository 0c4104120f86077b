//! `TrafficPolicy`: timeouts, retries and mutual TLS, attached per GEP-713.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::mtls::Mtls;
use super::status::Status;

/// Timeouts, retries and mutual TLS for traffic to what it targets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "TrafficPolicy",
    plural = "trafficpolicies",
    shortname = "tp",
    category = "skerry",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    doc = "Timeouts, retries and mutual TLS for traffic to what it targets (GEP-713). The narrower target wins, field by field: Mesh, Namespace, Service, HTTPRoute, rule of an HTTPRoute; of two alike the older.",
    printcolumn = r#"{"name":"Target","type":"string","jsonPath":".spec.targetRefs[0].kind"}"#,
    printcolumn = r#"{"name":"Name","type":"string","jsonPath":".spec.targetRefs[0].name"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicySpec {
    /// The sites that it is for; left out, the whole fleet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<LabelSelector>,
    /// What it attaches to.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub target_refs: Vec<TargetRef>,
    /// Timeouts. What is not set leaves what a wider policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<Timeouts>,
    /// Retries. What is not set leaves what a wider policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Mutual TLS of the workloads. What is not set leaves what a wider policy, or the `Mesh`, says. No effect on an
    /// `HTTPRoute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Mtls>,
}

/// What a policy attaches to, always in its own namespace (GEP-713), save for the mesh, which has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.sectionName) || self.kind == 'HTTPRoute'")
        .message("sectionName names a rule of an HTTPRoute"),
    validation = Rule::new("!has(self.group) || self.group == (self.kind == 'Mesh' ? 'skerry.dev' : self.kind == 'HTTPRoute' ? 'gateway.networking.k8s.io' : '')")
        .message("the group does not fit the kind")
)]
pub struct TargetRef {
    /// The group of the kind: `skerry.dev` for `Mesh`, `gateway.networking.k8s.io` for `HTTPRoute`, empty
    /// for the others. Left out, it is the kind's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// `Mesh`: all services of the fleet. `Namespace`: all services of the policy's namespace.
    /// `Service` and `HTTPRoute`: one object of the policy's namespace.
    pub kind: TargetKind,
    /// The name of the target.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The name of one rule of an `HTTPRoute` (GEP-995).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub section_name: Option<String>,
}

/// The kinds that a policy can attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    missing_docs,
    reason = "described where the field is, since a schema lists values without descriptions"
)]
pub enum TargetKind {
    Mesh,
    Namespace,
    Service,
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
}

/// Timeouts of requests (GEP-1742) and connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.request) || !has(self.backendRequest) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)")
    .message("backendRequest is longer than request"))]
pub struct Timeouts {
    /// The whole request with its retries; `0s` is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// One try; at most `request`; `0s` is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Duration>,
    /// The TCP connection to a backend, at least `1ms`. No effect on an `HTTPRoute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1ms')").message("at least 1ms"))]
    pub connect: Option<Duration>,
}

/// Retries of failed requests (GEP-1731).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Tries after the first; 0 switches retries off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub attempts: Option<i32>,
    /// Status codes that are tried again, besides failed connections and resets before a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200), inner(range(min = 400, max = 599)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub codes: Option<Vec<i32>>,
    /// Base of the exponential back-off, at least `1ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1ms')").message("at least 1ms"))]
    pub backoff: Option<Duration>,
    /// How many of the requests under way may be retries (GEP-3388). No effect on an `HTTPRoute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// How many of the requests under way may be retries (GEP-3388).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// Their share: percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100), extend("default" = 20))]
    pub percent: Option<i32>,
    /// So many are always allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000), extend("default" = 3))]
    pub min_concurrency: Option<i32>,
}
