//! `Site`: one edge location. Selectors match the object's own labels.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration::Duration;
use super::status::Status;

/// One edge location.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "Site",
    plural = "sites",
    shortname = "st",
    category = "skerry",
    status = "Status",
    derive = "PartialEq",
    doc = "One edge location: one agent, one or more proxies, some workloads. Policies select it by its labels.",
    validation = Rule::new("size(self.metadata.name) <= 63 && !self.metadata.name.contains('.')")
        .message("the name of a site becomes a DNS label: at most 63 characters, no dots"),
    printcolumn = r#"{"name":"Region","type":"string","jsonPath":".spec.location.region"}"#,
    printcolumn = r#"{"name":"Uplink","type":"string","jsonPath":".spec.uplink.class"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct SiteSpec {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The link to the core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink: Option<Uplink>,
    /// How its proxies are run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_plane: Option<DataPlane>,
    /// How long the site shall be able to go on with no link to the core, renewing the identities of its workloads:
    /// `1h` to `4320h` (180 days). Certificates last so long that a cut of this length is outlived whenever it begins; a
    /// stolen box is believed for up to 1.65 times as long where news of its revocation does not reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "168h"))]
    pub offline_budget: Option<Duration>,
}

/// Where a site is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Region, free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub region: Option<String>,
    /// Zone, free text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub zone: Option<String>,
    /// Place on the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<Coordinates>,
}

/// Place on the map, WGS 84.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coordinates {
    /// Degrees north.
    #[schemars(range(min = -90.0, max = 90.0))]
    pub latitude: f64,
    /// Degrees east.
    #[schemars(range(min = -180.0, max = 180.0))]
    pub longitude: f64,
}

/// The link of a site to the core.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Uplink {
    /// `Broadband`: always on, not metered. `Metered`: paid by the byte. `Satellite`: long delay, metered.
    /// `Intermittent`: up for moments. Decides how often the two ends speak while there is nothing to say, and so how
    /// soon a dead connection is noticed and how long a silence is no alarm (see the guide). Whether the agent holds a
    /// stream or pulls is its own `--link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "Broadband"))]
    pub class: Option<UplinkClass>,
    /// Budget of the link, both ways: bytes each day. Without it there is no limit. Asking whether the other end is
    /// there takes at most 1 % of it, reports of which nothing changed at most 2 %; bundles and other reports are not
    /// held back by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub bytes_per_day: Option<i64>,
}

/// The kind of link that a site has to the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    missing_docs,
    reason = "described where the field is, since a schema lists values without descriptions"
)]
pub enum UplinkClass {
    Broadband,
    Metered,
    Satellite,
    Intermittent,
}

/// How the proxies of a site are run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DataPlane {
    /// `External`: somebody else starts the Envoys (systemd, Kubernetes). `Agent`: the agent starts,
    /// restarts and drains them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "External"))]
    pub supervision: Option<Supervision>,
    /// How long a draining Envoy may take: whole seconds, `1s` to `1h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "30s"))]
    pub drain_timeout: Option<Duration>,
}

/// Who starts the Envoys of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    missing_docs,
    reason = "described where the field is, since a schema lists values without descriptions"
)]
pub enum Supervision {
    External,
    Agent,
}
