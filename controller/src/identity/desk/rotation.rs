//! Rotation of the core's keys: asks what is known of sites, has it decided, and keeps the step before it counts.

use std::sync::Arc;

use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::key::ProviderFailed;
use tracing::warn;

use super::Desk;
use super::astray::Switched;
use crate::identity::authority::{Authority, AuthorityError, ShownKey, Turn};
use crate::identity::roll::Enrolled;
use crate::identity::rotation::{
    Ask, Behind, Decision, Facts, SiteFacts, Stage, Step, TrustKey, Waits, decide,
};
use crate::identity::store::Entry;
use crate::store::StoreError;

/// What is known of a key and its rotation.
#[derive(Debug, Clone)]
pub struct KeyFacts {
    /// Which key it is.
    pub key: TrustKey,
    /// Where its rotation is.
    pub stage: Stage,
    /// Since when; `None`: it is not rotated.
    pub since: Option<Timestamp>,
    /// The key that signs.
    pub signs: ShownKey,
    /// The key that is believed beside it.
    pub beside: Option<ShownKey>,
    /// How many sites there are.
    pub sites: usize,
    /// Those whom the next step would leave behind.
    pub behind: Behind,
    /// The sites whose unused join tokens it waits for.
    pub tokens: Vec<SiteId>,
}

/// A step that was taken.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The step.
    pub step: Step,
    /// It had been taken already, and nothing has changed.
    pub was_taken: bool,
    /// The sites that it left behind.
    pub left: Vec<SiteId>,
    /// The sites whose join tokens it withdrew.
    pub withdrawn: Vec<SiteId>,
    /// What is known then.
    pub now: KeyFacts,
}

/// Why no step is taken.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    /// Somebody or something is waited for.
    #[error(transparent)]
    Waits(#[from] Waits),
    /// A key cannot be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// It cannot be sealed.
    #[error(transparent)]
    Provider(#[from] ProviderFailed),
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Desk {
    /// Returns the number of what sites shall believe now.
    pub fn trust_version(&self) -> u64 {
        *self.trust.borrow()
    }

    /// Tells what is known of a key.
    pub fn key_facts(
        &self,
        key: TrustKey,
        is_live: impl Fn(&SiteId) -> bool,
    ) -> Result<KeyFacts, AuthorityError> {
        let authority = self.authority();
        let facts = self.facts(&authority, key, is_live)?;
        Ok(show(&authority, &facts, self.now()))
    }

    /// Takes the next step of a rotation, if it is time for it.
    pub fn rotate(
        &self,
        key: TrustKey,
        ask: impl Into<Ask>,
        is_live: impl Fn(&SiteId) -> bool,
    ) -> Result<Rotated, NotRotated> {
        let _writing = self.writers.lock();
        let (before, now) = (self.authority(), self.now());
        let facts = self.facts(&before, key, &is_live)?;
        let (step, left) = match decide(&facts, ask, now)? {
            Decision::Take { step, left } => (step, left),
            Decision::Taken(step) => {
                let now = show(&before, &facts, now);
                return Ok(Rotated { step, was_taken: true, left: Vec::new(), withdrawn: Vec::new(), now });
            }
        };
        let version = if key.tells(step) { self.next_trust() } else { self.trust_version() };
        let after = before.step(key, step, Turn { version, at: now })?;
        let is_switch_of_link = key == TrustKey::LinkRoot && step == Step::Switch;
        let switched = if is_switch_of_link { self.switched(&facts, now) } else { Switched::default() };
        let after = self.put(after, version, &switched.entries())?;
        switched.count(&mut self.roll.write());
        warn!(%key, %step, version, left_behind = left.len(), "a key of the core is rotated");
        if key == TrustKey::LinkRoot && step == Step::End {
            // Operators whose credentials the old one signed are none any more.
            self.changes.send_modify(|count| *count += 1);
        }
        let facts = self.facts(&after, key, &is_live)?;
        let now = show(&after, &facts, now);
        Ok(Rotated { step, was_taken: false, left, withdrawn: switched.tokens, now })
    }

    /// Keeps other authorities and what that changes with sites, lets them count, and tells whoever it is news for. For who holds
    /// `writers`.
    pub(super) fn put(
        &self,
        after: Authority,
        version: u64,
        entries: &[Entry<'_>],
    ) -> Result<Arc<Authority>, NotRotated> {
        self.store.keep_trust(version, Some(&after.to_record(&self.seal)?), entries)?;
        let after = Arc::new(after);
        self.authority.store(Arc::clone(&after));
        self.trust.send_if_modified(|told| std::mem::replace(told, version) != version);
        Ok(after)
    }

    fn facts(
        &self,
        authority: &Authority,
        key: TrustKey,
        is_live: impl Fn(&SiteId) -> bool,
    ) -> Result<Facts, AuthorityError> {
        let (roll, standing) = (self.roll.read(), self.standing.lock());
        // Where nothing is rotated nobody lacks anything of it.
        let needed = authority.turn(key).map_or(0, |turn| turn.version);
        let known = |(site, enrolled): (&SiteId, &Enrolled)| SiteFacts {
            site: site.clone(),
            is_live: is_live(site),
            has_other_root: enrolled.astray.is_some_and(|astray| astray.has_other_root()),
            knows_since: if needed == 0 { Some(Timestamp::default()) } else { standing.since(site, needed) },
        };
        Ok(Facts {
            key,
            stage: authority.stage(key),
            ended: authority.ended(key),
            sites: roll.members().map(known).collect(),
            tokens: roll.unused_tokens(self.now()),
            policy_signs: authority.newest_trust_root()?.policy.is_some(),
            root_is_away: authority.offline_root().is_some(),
        })
    }
}

fn show(authority: &Authority, facts: &Facts, now: Timestamp) -> KeyFacts {
    let (signs, beside) = authority.shown(facts.key);
    KeyFacts {
        key: facts.key,
        stage: facts.stage,
        since: authority.turn(facts.key).map(|turn| turn.at),
        signs,
        beside,
        sites: facts.sites.len(),
        behind: facts.behind(now),
        tokens: facts.tokens_waited_for().to_vec(),
    }
}
