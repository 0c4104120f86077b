//! The desk notes which sites cannot get on with this core by themselves.
//!
//! Must not decide that (`identity::astray`), and keeps nothing from such a site: it goes on with what it has.

use skerry_core::id::{SiteId, Timestamp};
use tracing::warn;

use super::Desk;
use crate::identity::astray::{Astray, SaidRoot, Versions, Why, judge};
use crate::identity::roll::{Enrolled, Roll};
use crate::identity::rotation::{Facts, TrustKey};
use crate::identity::store::Entry;

impl Desk {
    /// Judges the trust root that a site says it has, and says so in the log where it is not the core's.
    pub(super) fn judge_root(&self, site: &SiteId, said: &SaidRoot, now: Timestamp) -> Option<Astray> {
        let authority = self.authority();
        let why =
            judge(said, authority.trust_root_version(), |version| authority.trust_root_digest(version))?;
        if let Why::OtherRoot(Versions { site: has, core }) | Why::NewerRoot(Versions { site: has, core }) =
            why
        {
            warn!(
                %site, trust_root_version = has, core_version = core,
                "a site has a trust root that is not this core's: identity.redb is an older copy, or another core has rotated the manifest \
                 key; the site keeps its certificates, and believes nothing that this core signs (help: bring the newest backup of \
                 identity.redb back, or enrol the site anew: `skerry site enroll {site} --replace`)"
            );
        }
        Some(Astray { at: now, why })
    }

    /// Returns the sites that cannot get on by themselves, by name.
    pub fn astray(&self) -> Vec<(SiteId, Astray)> {
        let roll = self.roll.read();
        roll.members().filter_map(|(site, enrolled)| Some((site.clone(), enrolled.astray?))).collect()
    }

    /// What a new link root that signs changes with sites: those that it leaves behind do not come to be told anything any more, and
    /// join tokens pin a key that the core shows no more.
    pub(super) fn switched(&self, facts: &Facts, now: Timestamp) -> Switched {
        let roll = self.roll.read();
        let astray = Some(Astray { at: now, why: Why::LeftBehind });
        let left = |site: &SiteId| Some((site.clone(), Enrolled { astray, ..roll.enrolled(site)?.clone() }));
        Switched {
            left: facts.behind(now).dark.iter().filter_map(left).collect(),
            tokens: facts.tokens.clone(),
        }
    }

    /// A site greets, and has the link root that signs now: whatever was thought, it was not left behind. The next renewal says so to
    /// the disk.
    pub fn note_greeting(&self, site: &SiteId, has: u64) {
        let is_left = self.roll.read().enrolled(site).is_some_and(Enrolled::is_left_behind);
        if is_left && self.authority().turn(TrustKey::LinkRoot).is_none_or(|needed| has >= needed.version) {
            self.roll.write().clear_left_behind(site);
        }
    }
}

/// What the switch of the link root changes with sites.
#[derive(Debug, Default)]
pub(super) struct Switched {
    left: Vec<(SiteId, Enrolled)>,
    /// The sites whose tokens end.
    pub(super) tokens: Vec<SiteId>,
}

impl Switched {
    /// The same, to be kept.
    pub(super) fn entries(&self) -> Vec<Entry<'_>> {
        let left = self.left.iter();
        let left = left.map(|(site, enrolled)| Entry { enrolled: Some(enrolled), ..Entry::of(site) });
        let tokens = self.tokens.iter().map(|site| Entry { ends_tokens: true, ..Entry::of(site) });
        left.chain(tokens).collect()
    }

    /// Lets it count.
    pub(super) fn count(&self, roll: &mut Roll) {
        self.left.iter().for_each(|(site, enrolled)| roll.note_astray(site, enrolled.astray));
        self.tokens.iter().for_each(|site| roll.end_tokens(site));
    }
}
