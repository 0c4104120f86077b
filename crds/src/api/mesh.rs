//! `Mesh`: settings of the whole fleet.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::mtls::Mtls;
use super::status::Status;

/// Settings of the whole fleet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "Mesh",
    plural = "meshes",
    shortname = "mh",
    category = "skerry",
    status = "Status",
    derive = "PartialEq",
    doc = "Settings of the whole fleet. One object for each fleet; without one the defaults hold.",
    printcolumn = r#"{"name":"Trust Domain","type":"string","jsonPath":".spec.trustDomain"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct MeshSpec {
    /// The root trust domain of SPIFFE identities; a site's own is `<site>.<trustDomain>`. A DNS name in
    /// lower case, at most 189 characters, so that a site's label fits before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 189),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
        extend("default" = "mesh.local")
    )]
    pub trust_domain: Option<String>,
    /// The IPv4 network from which services take virtual addresses, for proxies that name none; prefix
    /// length 8 to 30. A 127/8 network works without any set-up of the host.
    #[serde(rename = "outboundCIDR", default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = super::OUTBOUND_CIDR), extend("default" = "127.65.0.0/16"))]
    pub outbound_cidr: Option<String>,
    /// A commit that removes more than this share of the objects of one kind (and at least 5), what went in the
    /// hour before included, or the last Mesh, Site or Service, waits for `skerry source confirm`; a site refuses to lose more of its services
    /// undeclared: percent. The limit in force counts, not that of the commit itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100), extend("default" = 50))]
    pub max_removal_percent: Option<i32>,
    /// A site whose link was silent for longer is stale. Whole seconds; `0s` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5m"))]
    pub stale_after: Option<Duration>,
    /// Who may call whom where no `AuthorizationPolicy` says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Mutual TLS between workloads where no `TrafficPolicy` says otherwise; left out, `Permissive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtls: Option<Mtls>,
}

/// Who may call whom where no `AuthorizationPolicy` says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// What becomes of a call that no policy speaks of: `Allow` or `Deny`. For one namespace alone, an `Allow` policy on
    /// it without rules denies, and one with an empty rule allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Allow"))]
    pub default: Option<Access>,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "described where the field is")]
pub enum Access {
    Allow,
    Deny,
}
