//! The desk notes which sites cannot get on with this core by themselves.
//!
//! Must not decide that (`identity::astray`), and keeps nothing from such a site: it goes on with what it has.

use skerry_core::id::{SiteId, Timestamp};
use tracing::warn;

use super::Desk;
use crate::identity::astray::{Astray, SaidRoot, Versions, Why, judge};
use crate::identity::store::Entry;
use crate::store::StoreError;

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
                %site, trust_root_version = has, core_version = core, ?why,
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

    /// Notes sites that a new link root leaves behind. They do not come to be told anything any more.
    pub(super) fn note_left(&self, sites: &[SiteId], now: Timestamp) -> Result<(), StoreError> {
        let astray = Astray { at: now, why: Why::LeftBehind };
        let mut roll = self.roll.write();
        let noted: Vec<_> =
            sites.iter().filter_map(|site| Some((site, roll.note_astray(site, astray)?))).collect();
        drop(roll);
        let entries = noted.iter().map(|(site, enrolled)| Entry {
            site,
            enrolled: Some(enrolled),
            token: None,
            ends_tokens: false,
            revoked: None,
            trust_version: None,
        });
        self.store.keep_entries(&entries.collect::<Vec<_>>())
    }
}
