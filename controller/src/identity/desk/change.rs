//! Another box of a site, or none: kept, and then let count. Whoever it is news for is told.

use skerry_core::id::{SiteId, Timestamp};
use tracing::warn;

use super::{Desk, NotHanded};
use crate::identity::roll::{Enrolled, Revoked, Stranger, Token};
use crate::identity::standing::next_version;
use crate::identity::store::Entry;
use crate::store::StoreError;

/// The most revoked keys that are told to sites: 4,096 × 34 B = 136 KiB. The oldest end first and are dropped first.
pub const MAX_REVOKED: usize = 4_096;

/// What a change is besides the box.
#[derive(Debug, Default)]
pub struct Change {
    /// The token that was used.
    pub token: Option<Token>,
    /// The box that is the site's no more, or whose authority has another key now.
    pub gone: Option<Enrolled>,
    /// Whether every other token of the site ends.
    pub ends_tokens: bool,
}

impl Desk {
    /// Revokes the box of a site, and every token of it, also where no box is. Returns the box as it was. It is cut off first and kept then: a disk
    /// that takes nothing helps no thief.
    pub fn revoke(&self, site: &SiteId, now: Timestamp) -> Result<Enrolled, NotHanded> {
        let _writing = self.writers.lock();
        let before = self.roll.read().enrolled(site).cloned();
        let Some(before) = before else {
            self.end_tokens(site)?;
            return Err(Stranger::NotEnrolled(site.clone()).into());
        };
        let enrolled = Enrolled { revoked: before.revoked.or(Some(now)), ..before.clone() };
        let change = Change { gone: Some(before.clone()), ends_tokens: true, token: None };
        let (revoked, version) = (self.with_revoked(&change), self.next_trust());
        self.note(site, enrolled.clone(), &change, revoked.clone(), Some(version));
        warn!(%site, key = before.key.short(), "a site is revoked");
        self.store.keep_entries(&[Entry {
            enrolled: Some(&enrolled),
            ends_tokens: true,
            revoked: Some(&*revoked),
            trust_version: Some(version),
            ..Entry::of(site)
        }])?;
        Ok(before)
    }

    /// Keeps a change, and lets it count.
    pub(super) fn keep(&self, site: &SiteId, enrolled: Enrolled, change: &Change) -> Result<(), StoreError> {
        let revoked = self.with_revoked(change);
        // One that was revoked and has a new box is believed again.
        let is_back = self.roll.read().enrolled(site).is_some_and(|before| before.revoked.is_some());
        let version = (change.gone.is_some() || is_back).then(|| self.next_trust());
        self.store.keep_entries(&[Entry {
            site,
            enrolled: Some(&enrolled),
            token: change.token.as_ref(),
            ends_tokens: change.ends_tokens,
            revoked: change.gone.is_some().then_some(&*revoked),
            trust_version: version,
        }])?;
        self.note(site, enrolled, change, revoked, version);
        Ok(())
    }

    /// Lets a change count, and tells whoever it is news for.
    fn note(
        &self,
        site: &SiteId,
        enrolled: Enrolled,
        change: &Change,
        revoked: Vec<Revoked>,
        version: Option<u64>,
    ) {
        self.roll.write().note(site, enrolled, change, revoked);
        if change.gone.is_some() {
            self.standing.lock().forget(site);
            self.changes.send_modify(|count| *count += 1);
        }
        if let Some(version) = version {
            self.trust.send_replace(version);
        }
    }

    pub(super) fn next_trust(&self) -> u64 {
        next_version(*self.trust.borrow(), self.time.now())
    }

    /// What is revoked after a change. What ended is kept for as long as a clock that is wrong might make it count again.
    fn with_revoked(&self, change: &Change) -> Vec<Revoked> {
        let roll = self.roll.read();
        let gone = change.gone.as_ref();
        let gone = gone.map(|gone| Revoked { authority: gone.authority, until: gone.authority_until });
        let others = roll.all_revoked().iter().copied();
        let others = others.filter(|other| gone.is_none_or(|gone| gone.authority != other.authority));
        let mut revoked: Vec<Revoked> = others.chain(gone).collect();
        revoked.sort_by_key(|revoked| std::cmp::Reverse(revoked.until));
        revoked.truncate(MAX_REVOKED);
        revoked
    }
}
