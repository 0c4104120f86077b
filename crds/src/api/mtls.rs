//! Whether workloads take callers who do not say who they are: the part that `Mesh` and `TrafficPolicy` share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Mutual TLS between workloads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mtls {
    /// What the proxy of a workload takes. `Strict`: mutual TLS alone; whoever comes in plain text is cut off.
    /// `Permissive`: both. Proxies call each other by mutual TLS whatever the mode. No effect at a site that is not
    /// enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<MtlsMode>,
}

/// What the proxy of a workload takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "described where the field is")]
pub enum MtlsMode {
    Strict,
    Permissive,
}
