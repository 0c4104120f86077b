//! Agents whose sites are not in the policy: with a mistyped name, or left behind by one that was removed. Must not print.

use serde::Serialize;
use skerry_proto::v1::Stranger;

use crate::output::age::Moment;

/// An agent whose site is not in the policy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StrangerView {
    /// The site that it asks for.
    pub site: String,
    /// Where it came from.
    pub peer: String,
    /// When it came last.
    pub last_seen: Option<Moment>,
}

impl StrangerView {
    pub(super) fn of(stranger: Stranger, now: u64) -> Self {
        let Stranger { site, peer, last_seen_ms } = stranger;
        Self { site, peer, last_seen: Moment::at(last_seen_ms, now) }
    }
}
