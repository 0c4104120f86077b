//! `Mesh`: settings of the whole fleet.

use ipnet::Ipv4Net;

use super::authorization_policy::Access;
use crate::bundle::v1::MtlsMode;

/// Settings of the whole fleet; a world without a `Mesh` has the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// The root trust domain; a site's is `<site>.<this>`.
    pub trust_domain: String,
    /// Virtual addresses for proxies that name no CIDR of their own.
    pub outbound_cidr: Ipv4Net,
    /// A change that removes more than this share of the objects of a kind, or of a site's services, waits for a
    /// confirmation: percent, 1 to 100 (see [`crate::removal`]).
    pub max_removal_percent: u8,
    /// A link silent for longer makes a site stale: seconds.
    pub stale_after_seconds: u32,
    /// What becomes of a call that no `AuthorizationPolicy` speaks of.
    pub default_access: Access,
    /// What the proxies of workloads take where no `TrafficPolicy` says so; unspecified is permissive.
    pub mtls: MtlsMode,
}

/// The share where no `Mesh` says one.
pub const DEFAULT_MAX_REMOVAL_PERCENT: u8 = 50;

impl Default for Mesh {
    fn default() -> Self {
        Self {
            trust_domain: "mesh.local".to_owned(),
            outbound_cidr: Ipv4Net::new_assert([127, 65, 0, 0].into(), 16),
            max_removal_percent: DEFAULT_MAX_REMOVAL_PERCENT,
            stale_after_seconds: 300,
            default_access: Access::Allow,
            mtls: MtlsMode::Unspecified,
        }
    }
}
