//! What a site's row comes to in one word.

use serde::Serialize;
use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::{ProxyState, SiteSummary};

use crate::output::table::Tone;

/// The state of a site. A dark site is unknown, whatever it said last (invariant 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum State {
    /// It runs what it shall run, and so do its proxies.
    InSync,
    /// Something has not arrived yet, or a proxy is not ready.
    Pending,
    /// A proxy refused what it was given.
    Refused,
    /// It is not connected: what it does now cannot be known.
    Unknown,
    /// It has never connected.
    NeverSeen,
}

impl State {
    /// Judges a site's row.
    pub fn of(site: &SiteSummary) -> Self {
        let proxies = site.state.as_ref().map(|state| state.proxies.as_slice()).unwrap_or_default();
        let is_current = site.state.as_ref().is_some_and(|state| state.manifest == site.desired);
        match () {
            () if site.last_seen_ms == 0 => Self::NeverSeen,
            () if !site.connected => Self::Unknown,
            () if proxies.iter().any(|proxy| proxy.phase() == Phase::Refused) => Self::Refused,
            () if is_current && !site.desired.is_empty() && proxies.iter().all(is_ready) => Self::InSync,
            () => Self::Pending,
        }
    }

    /// Returns the word for a table.
    pub fn word(self) -> &'static str {
        match self {
            Self::InSync => "InSync",
            Self::Pending => "Pending",
            Self::Refused => "Refused",
            Self::Unknown => "Unknown (dark)",
            Self::NeverSeen => "NeverSeen",
        }
    }

    /// Returns how it is shown.
    pub fn tone(self) -> Tone {
        match self {
            Self::InSync => Tone::Good,
            Self::Pending => Tone::Warning,
            Self::Refused => Tone::Error,
            Self::Unknown | Self::NeverSeen => Tone::Dim,
        }
    }
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
mod tests {
    use super::*;
    use skerry_proto::v1::SiteState;

    fn proxy(phase: Phase) -> ProxyState {
        ProxyState { phase: phase.into(), ..ProxyState::default() }
    }

    fn site(phases: &[Phase]) -> SiteSummary {
        let proxies = phases.iter().map(|phase| proxy(*phase)).collect();
        let state = SiteState { manifest: vec![1], proxies, ..SiteState::default() };
        SiteSummary {
            desired: vec![1],
            connected: true,
            last_seen_ms: 1,
            state: Some(state),
            ..SiteSummary::default()
        }
    }

    #[test]
    fn invariant_10_a_dark_site_is_unknown_whatever_it_said() {
        let dark = SiteSummary { connected: false, ..site(&[Phase::Ready]) };
        assert_eq!(State::of(&dark), State::Unknown);
        assert_eq!(State::of(&SiteSummary { last_seen_ms: 0, ..dark }), State::NeverSeen);
    }

    #[test]
    fn a_connected_site_is_judged_by_its_bundle_and_its_proxies() {
        let behind = SiteSummary { desired: vec![2], ..site(&[Phase::Ready]) };
        let silent = SiteSummary { state: None, ..site(&[]) };
        let cases = [
            (site(&[]), State::InSync),
            (site(&[Phase::Ready, Phase::Ready]), State::InSync),
            (site(&[Phase::Ready, Phase::Absent]), State::Pending),
            (site(&[Phase::Ready, Phase::Detached]), State::Pending),
            (site(&[Phase::Pending, Phase::Refused]), State::Refused),
            (behind, State::Pending),
            (silent, State::Pending),
        ];
        for (site, expected) in cases {
            assert_eq!(State::of(&site), expected, "{site:?}");
        }
    }

    #[test]
    fn what_proxies_run_from_is_counted() {
        let cases: [(&[Phase], &str); 5] = [
            (&[], "-"),
            (&[Phase::Absent], "-"),
            (&[Phase::Ready, Phase::Absent], "agent"),
            (&[Phase::Detached], "snapshot"),
            (&[Phase::Ready, Phase::Detached], "agent (1 of 2 from snapshot)"),
        ];
        for (phases, expected) in cases {
            let proxies: Vec<_> = phases.iter().map(|phase| proxy(*phase)).collect();
            assert_eq!(runs_from(&proxies), expected);
        }
    }
}
