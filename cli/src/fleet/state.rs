//! What a site's row comes to in one word.

use serde::Serialize;
use skerry_proto::limits::{REPORT_INTERVAL_SECONDS, REPORT_SLACK_SECONDS};
use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::{ProxyState, SiteSummary};

use crate::output::age::AHEAD_MS;
use crate::output::table::Tone;

/// How late a report may be that a site makes at least every interval: milliseconds.
const INTERVAL_MS: u64 = (REPORT_INTERVAL_SECONDS as u64 + REPORT_SLACK_SECONDS as u64) * 1000;

/// The state of a site. A dark site is unknown, whatever it said last (invariant 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum State {
    /// It runs what it shall run, and so do its proxies.
    InSync,
    /// Something has not arrived yet, or a proxy is not ready.
    Pending,
    /// A proxy refused what it was given.
    Refused,
    /// It is not connected, or has been silent for too long: what it does now cannot be known.
    Unknown,
    /// It has never connected.
    NeverSeen,
    /// It was cut off by `skerry site revoke`, and nothing is heard from it.
    Revoked,
}

/// How much what a site said last says about now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// It never said anything.
    NeverSeen,
    /// It has no link.
    Dark,
    /// It has one, and nothing came over it for too long: it may hang half-open.
    Silent,
    /// It is there and has made no report yet.
    NoReport,
    /// Its last report is too old.
    Old,
    /// Its last report holds now.
    Fresh,
}

impl Evidence {
    /// Weighs the times of a site's row. All are by the core's clock; one that is in the future proves nothing.
    pub fn of(site: &SiteSummary, now_ms: u64) -> Self {
        let limit = u64::from(site.stale_after_seconds) * 1000;
        let limit = limit.max(INTERVAL_MS);
        let is_recent =
            |at: u64| at > 0 && at <= now_ms.saturating_add(AHEAD_MS) && now_ms.saturating_sub(at) <= limit;
        match () {
            () if site.last_seen_ms == 0 => Self::NeverSeen,
            () if !site.connected && !site.pulls => Self::Dark,
            () if !is_recent(site.last_seen_ms) => Self::Silent,
            () if site.state.is_none() => Self::NoReport,
            () if !is_recent(site.received_at_ms) || !is_recent(site.observed_at_ms) => Self::Old,
            () => Self::Fresh,
        }
    }
}

impl State {
    /// Judges a site's row.
    pub fn of(site: &SiteSummary, now_ms: u64) -> Self {
        let proxies = site.state.as_ref().map(|state| state.proxies.as_slice()).unwrap_or_default();
        let is_current = site.state.as_ref().is_some_and(|state| state.manifest == site.desired);
        if is_revoked(site) {
            return Self::Revoked;
        }
        match Evidence::of(site, now_ms) {
            Evidence::NeverSeen => Self::NeverSeen,
            Evidence::Dark | Evidence::Silent | Evidence::Old => Self::Unknown,
            Evidence::NoReport => Self::Pending,
            Evidence::Fresh if proxies.iter().any(|proxy| proxy.phase() == Phase::Refused) => Self::Refused,
            Evidence::Fresh if is_current && !site.desired.is_empty() && proxies.iter().all(is_ready) => {
                Self::InSync
            }
            Evidence::Fresh => Self::Pending,
        }
    }

    /// Returns the word for a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::InSync => "InSync",
            Self::Pending => "Pending",
            Self::Refused => "Refused",
            Self::Unknown => "Unknown",
            Self::NeverSeen => "NeverSeen",
            Self::Revoked => "Revoked",
        }
    }

    /// Returns how it is shown.
    pub fn tone(self) -> Tone {
        match self {
            Self::InSync => Tone::Good,
            Self::Pending => Tone::Warning,
            Self::Refused | Self::Revoked => Tone::Error,
            Self::Unknown | Self::NeverSeen => Tone::Dim,
        }
    }
}

/// Says whether the site's box was cut off.
pub fn is_revoked(site: &SiteSummary) -> bool {
    site.enrolled.as_ref().is_some_and(|enrolled| enrolled.revoked_at_ms > 0)
}

/// Says whether a proxy has acknowledged everything.
pub fn is_ready(proxy: &ProxyState) -> bool {
    proxy.phase() == Phase::Ready
}

/// Returns the word for a proxy's phase.
pub fn phase(proxy: &ProxyState) -> &'static str {
    match proxy.phase() {
        Phase::Unknown => "Unknown",
        Phase::Absent => "Absent",
        Phase::Pending => "Pending",
        Phase::Ready => "Ready",
        Phase::Refused => "Refused",
        Phase::Detached => "Detached",
    }
}

/// Says what a site's proxies run from: the agent, or the snapshot that it left for them.
pub fn runs_from(proxies: &[ProxyState]) -> String {
    let running =
        proxies.iter().filter(|proxy| !matches!(proxy.phase(), Phase::Unknown | Phase::Absent)).count();
    let detached = proxies.iter().filter(|proxy| proxy.phase() == Phase::Detached).count();
    match (running, detached) {
        (0, _) => "-".to_owned(),
        (_, 0) => "agent".to_owned(),
        (running, detached) if running == detached => "snapshot".to_owned(),
        (running, detached) => format!("agent ({detached} of {running} from snapshot)"),
    }
}

#[cfg(test)]
mod tests;
