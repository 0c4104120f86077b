//! How long a site can go on renewing identity with no link. Must not print.

use serde::Serialize;
use skerry_proto::v1::{Enrolled, SiteSummary};

use super::state::Evidence;
use crate::output::age::{rfc3339, span};
use crate::output::table::Tone;

/// A site that nobody hears from has used most of what it had when less than this part of its budget is left.
const LAST_PART: u64 = 4;

/// Says whether a box has no authority yet: the mesh root is kept offline, and has not signed for it.
pub fn waits_for_root(enrolled: &Enrolled) -> bool {
    enrolled.revoked_at_ms == 0 && enrolled.authority_until_ms <= enrolled.enrolled_at_ms
}

/// The runway of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunwayView {
    /// When it ends: with the certificate of the site's authority.
    pub until: String,
    /// What is left by the core's clock: seconds; 0: it is over.
    pub seconds: u64,
    /// What the site shall be able to do without the core; 0 if it has not said what it was told.
    pub budget_seconds: u64,
}

impl RunwayView {
    /// Takes the site's own word if there is one, since what the core has signed may not have arrived. `None` for one that is
    /// not enrolled, or is revoked.
    pub fn of(site: &SiteSummary, now_ms: u64) -> Option<Self> {
        let enrolled = site.enrolled.as_ref().filter(|enrolled| enrolled.revoked_at_ms == 0)?;
        if waits_for_root(enrolled) {
            return None;
        }
        let said = site.state.as_ref().filter(|state| state.identity_until_ms > 0);
        let until = said.map_or(enrolled.authority_until_ms, |state| state.identity_until_ms);
        Some(Self {
            until: rfc3339(until),
            seconds: until.saturating_sub(now_ms) / 1000,
            budget_seconds: said.map_or(0, |state| state.offline_budget_seconds),
        })
    }

    /// Says what is wrong with it. With a link there is always the whole budget left; without one it gets shorter, and is worth
    /// a word when little is left.
    pub fn trouble(&self, evidence: Evidence) -> Option<(&'static str, String)> {
        let is_there = matches!(evidence, Evidence::Fresh | Evidence::NoReport);
        let least = if is_there { self.budget_seconds } else { self.budget_seconds / LAST_PART };
        match () {
            () if self.seconds == 0 => Some((
                "IdentityOver",
                "the site's authority is over: its workloads are not believed until it has renewed"
                    .to_owned(),
            )),
            () if self.seconds >= least => None,
            () if is_there => Some((
                "RunwayShort",
                format!(
                    "identity lasts {} with no link, and the site's offline budget is {}: it is not renewed (help: the agent's log \
                     says why)",
                    span(self.seconds * 1000),
                    span(self.budget_seconds * 1000)
                ),
            )),
            () => Some((
                "RunwayShort",
                format!(
                    "identity lasts {} more with no link (help: bring the link back)",
                    span(self.seconds * 1000)
                ),
            )),
        }
    }

    /// Returns it for a table.
    pub fn cell(&self) -> (String, Tone) {
        match self.seconds {
            0 => ("over".to_owned(), Tone::Error),
            left if left < self.budget_seconds / LAST_PART => (span(left * 1000), Tone::Warning),
            left => (span(left * 1000), Tone::Plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use skerry_proto::v1::SiteState;

    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const DAY: u64 = 86_400_000;

    fn site(core: u64, own: Option<u64>) -> SiteSummary {
        let state = own.map(|days| SiteState {
            identity_until_ms: NOW + days * DAY,
            offline_budget_seconds: 7 * DAY / 1000,
            ..SiteState::default()
        });
        let enrolled = Enrolled { authority_until_ms: NOW + core * DAY, ..Enrolled::default() };
        SiteSummary { enrolled: Some(enrolled), state, ..SiteSummary::default() }
    }

    #[test]
    fn the_site_s_own_word_counts_before_the_core_s() {
        let days = |site: &SiteSummary| RunwayView::of(site, NOW).map(|runway| runway.seconds / 86_400);
        assert_eq!(days(&site(12, None)), Some(12));
        assert_eq!(days(&site(12, Some(9))), Some(9), "what the core signed has not arrived");
        assert_eq!(days(&SiteSummary::default()), None);
        let mut waits = site(12, Some(9));
        let box_of = waits.enrolled.as_mut().unwrap();
        (box_of.enrolled_at_ms, box_of.authority_until_ms) = (NOW, NOW);
        assert_eq!(days(&waits), None, "it was never signed for: what is said is of the box before");
        let mut revoked = site(12, Some(9));
        revoked.enrolled.as_mut().unwrap().revoked_at_ms = NOW;
        assert_eq!(days(&revoked), None);
    }

    #[test]
    fn it_is_short_with_a_link_below_the_budget_and_without_one_when_little_is_left() {
        for (days, evidence, expected) in [
            (8, Evidence::Fresh, None),
            (6, Evidence::Fresh, Some("RunwayShort")),
            (6, Evidence::Dark, None),
            (2, Evidence::Dark, None),
            (1, Evidence::Dark, Some("RunwayShort")),
            (1, Evidence::Silent, Some("RunwayShort")),
            (0, Evidence::Fresh, Some("IdentityOver")),
            (0, Evidence::Dark, Some("IdentityOver")),
        ] {
            let runway = RunwayView::of(&site(12, Some(days)), NOW).unwrap();
            assert_eq!(runway.trouble(evidence).map(|(kind, _)| kind), expected, "{days} {evidence:?}");
        }
        let unsaid = RunwayView::of(&site(1, None), NOW).unwrap();
        assert_eq!(unsaid.trouble(Evidence::Fresh), None, "nobody knows what it shall last");
    }
}
