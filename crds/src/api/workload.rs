//! `Workload`: a local process or pod of a site. A file at the site, not policy in Git.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::status::Status;

/// A local process or pod.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "Workload",
    plural = "workloads",
    shortname = "wl",
    category = "skerry",
    namespaced,
    status = "Status",
    derive = "PartialEq",
    doc = "A local process or pod of a site. A file at the site, not policy in Git: services select it by its labels.",
    printcolumn = r#"{"name":"Address","type":"string","jsonPath":".spec.address"}"#,
    printcolumn = r#"{"name":"Account","type":"string","jsonPath":".spec.serviceAccount"}"#,
    printcolumn = r#"{"name":"Proxy","type":"string","jsonPath":".spec.proxy.role"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSpec {
    /// The service account of its identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("default" = "default"))]
    pub service_account: Option<String>,
    /// The IPv4 or IPv6 address at which it listens.
    #[schemars(length(min = 2, max = 45))]
    pub address: String,
    /// The ports at which it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["port".into()]))]
    pub ports: Option<Vec<Port>>,
    /// The Unix user (its number) whose processes are this workload: they get its certificate from the SPIFFE Workload API
    /// of the agent. A user of several workloads gets all of theirs. Left out, no process does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 4_294_967_294_i64))]
    pub uid: Option<i64>,
    /// Its own Envoy; left out, it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
}

/// One port of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// Its name: what `targetPort` of a service can name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Its number.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,
}

/// The Envoy of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// What it is for. `Sidecar`: this workload. `Node` and `Gateway` are not supported yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Sidecar"))]
    pub role: Option<Role>,
    /// The IPv4 network from which services take virtual addresses at this proxy; prefix length 8 to 30.
    /// Left out, it is the mesh's. Two proxies on one host need two networks.
    #[serde(rename = "outboundCIDR", default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = super::OUTBOUND_CIDR))]
    pub outbound_cidr: Option<String>,
    /// The port at which the proxy takes traffic for the workload's first port; each further port has the
    /// next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_535), extend("default" = 15_006))]
    pub inbound_port: Option<i32>,
}

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    missing_docs,
    reason = "described where the field is, since a schema lists values without descriptions"
)]
pub enum Role {
    Sidecar,
    Node,
    Gateway,
}
