//! From an offer to a candidate: accept, fetch, verify, lower, keep.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use skerry_core::accept::{Refusal, Terms, Verdict, accept, check_removals};
use skerry_core::bundle::v1::Manifest;
use skerry_core::id::{Digest, NamespacedName};
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::{Chunk, Offer};
use tracing::{info, warn};

use super::again::Trouble;
use super::boot::hold;
use super::policy::NotVouched;
use super::publish::Lowered;
use super::{Held, Site};
use crate::clock::{Now, Stamp, share, wall_ms};
use crate::fetch::{Fetch, FetchError, Fragment, Stock, Taken};
use crate::link::Command;
use crate::link::secure::LinkTime;
use crate::machine::Origin;
use crate::report;
use crate::step::step;
use crate::store::{Refused, Slot, StoreError};

impl Site {
    /// The core has a manifest for this site.
    pub(super) fn handle_offer(&mut self, now: Now, offer: Offer) {
        step("agent.apply.offer-received");
        let digest = Digest::of(&offer.manifest);
        if self.candidate.as_ref().is_some_and(|held| held.bundle.digest == digest) {
            return; // it is being tried, and the answer follows
        }
        if !self.machine.is_steady() {
            self.next_offer = Some(Box::new(offer));
            return;
        }
        if let Some(refused) = self.refused.as_ref().filter(|refused| refused.digest == digest) {
            return self.answer(digest, &refused.reason);
        }
        self.again.handle_offer(digest);
        self.accept_offer(now, &offer, digest);
    }

    fn accept_offer(&mut self, now: Now, offer: &Offer, digest: Digest) {
        // First of all: nothing is decoded before it is known whose it is.
        if let Err(reason) = (self.vouchers.offer)(offer, LinkTime::now(&self.trusted)) {
            return self.distrust(now, digest, &reason);
        }
        let floor = match self.store.floors() {
            Ok(floors) => floors.floor,
            Err(error) => return self.wait_for_disk(now, digest, &Manifest::default(), &error),
        };
        let terms = Terms { site: &self.id, floor, now: LinkTime::now(&self.trusted) };
        let verdict = match accept(&offer.manifest, &terms) {
            // The disk lost it, and the site went back to the one before: it is news again.
            Ok(Verdict::Same) if !self.runs(digest) => {
                accept(&offer.manifest, &Terms { floor: None, ..terms })
            }
            verdict => verdict,
        };
        match verdict {
            Ok(Verdict::Same) => self.answer(digest, ""),
            Ok(Verdict::Newer(accepted)) => {
                self.trusted.observe_claim(accepted.manifest.issued_at_ms, wall_ms());
                self.note_proof(digest, offer);
                // Before anything is fetched: what cannot be kept costs the link nothing.
                if let Err(error) = self.store.open_to_write() {
                    return self.wait_for_disk(now, digest, &accepted.manifest, &error);
                }
                if self.fetch.as_ref().is_some_and(|fetch| fetch.digest() == digest) {
                    self.fetch.iter_mut().for_each(Fetch::handle_offer);
                    return self.advance(now);
                }
                self.begin_fetch(now, offer, &accepted.manifest, digest);
            }
            Err(refusal) => {
                // Whatever it claims to be is of use for who looks for it.
                let claims = Manifest::decode(&*offer.manifest).unwrap_or_default();
                self.refuse(digest, &claims, &refusal.to_string());
            }
        }
    }

    fn runs(&self, digest: Digest) -> bool {
        self.current.as_ref().is_some_and(|held| held.bundle.digest == digest)
    }

    fn begin_fetch(&mut self, now: Now, offer: &Offer, manifest: &Manifest, digest: Digest) {
        info!(generation = manifest.generation, revision = manifest.revision, "a newer bundle is offered");
        // What came of the offer before may be of use for this one.
        self.stage_rest();
        let bases: Vec<&Slot> = self.current.iter().map(|held| &held.slot).collect();
        let begun = self.store.part().and_then(|part| {
            self.store.with_fragments(|known| Fetch::begin(offer, manifest, &bases, &Stock { known, part }))
        });
        match begun {
            Ok(Ok(fetch)) => self.follow(now, fetch),
            Ok(Err(error)) => self.cannot_follow(now, digest, manifest, error),
            Err(error) => self.wait_for_disk(now, digest, manifest, &error),
        }
    }

    /// Goes on with a fetch that has just begun, or whose list has just come.
    fn follow(&mut self, now: Now, fetch: Fetch) {
        // Before anything more is fetched: what is refused costs the link nothing.
        let current = self.current.as_ref().map(|held| &held.bundle);
        let allowed = match (current, fetch.list()) {
            (Some(current), Some(list)) => check_removals(current, fetch.manifest(), &list),
            _ => Ok(()),
        };
        if let Err(refusal) = allowed {
            return self.refuse(fetch.digest(), fetch.manifest(), &refusal.to_string());
        }
        if !fetch.is_complete()
            && let Err(error) = self.store.keep_fetching(Some(fetch.slot()))
        {
            return self.wait_for_disk(now, fetch.digest(), fetch.manifest(), &error);
        }
        self.set_fetch(Some(fetch));
        self.advance(now);
    }

    fn cannot_follow(&mut self, now: Now, digest: Digest, manifest: &Manifest, error: FetchError) {
        match error {
            error @ (FetchError::UnknownBase(_) | FetchError::WrongStep)
                if self.out.identity.borrow().list.is_none() =>
            {
                self.try_again(now, manifest, digest, &format!("{error}, and all of it was asked for"));
            }
            error @ (FetchError::UnknownBase(_) | FetchError::WrongStep) => {
                info!("asks for the whole list: {error}");
                self.out.identity.send_modify(|identity| identity.list = None);
                self.tell_link(Command::Restart(Duration::ZERO));
            }
            // Damaged on its way, or a dictionary that went meanwhile: a new try is a new chance.
            FetchError::Refused(error @ Refusal::WrongList) => {
                self.try_again(now, manifest, digest, &error.to_string());
            }
            FetchError::Codec(error) => self.try_again(now, manifest, digest, &error.to_string()),
            FetchError::Refused(refusal) => self.refuse(digest, manifest, &refusal.to_string()),
        }
    }

    /// Replaces what is being fetched. The next hello names it, so that the core does not begin anew.
    pub(super) fn set_fetch(&mut self, fetch: Option<Fetch>) {
        self.fetch = fetch;
        let pending = self.pending();
        self.out
            .identity
            .send_if_modified(|identity| std::mem::replace(&mut identity.pending, pending) != pending);
    }

    /// The digest of the manifest that is being fetched.
    pub(super) fn pending(&self) -> Option<Digest> {
        self.fetch.as_ref().filter(|fetch| !fetch.is_complete()).map(Fetch::digest)
    }

    /// A part of a fragment, or of the list, arrived.
    pub(super) fn handle_chunk(&mut self, now: Now, chunk: &Chunk) {
        let Some(fetch) = &mut self.fetch else { return };
        match fetch.handle_chunk(now, chunk) {
            Ok(Taken::Part) => self.advance(now),
            Ok(Taken::List(list)) => self.take_list(now, list),
            Err(error) => {
                let (manifest, digest) = (fetch.manifest().clone(), fetch.digest());
                self.try_again(now, &manifest, digest, &error.to_string());
            }
        }
    }

    fn take_list(&mut self, now: Now, list: Vec<u8>) {
        let Some(mut fetch) = self.fetch.take() else { return };
        let (digest, manifest) = (fetch.digest(), fetch.manifest().clone());
        let taken = self
            .store
            .with_fragments(|known| fetch.handle_list(list, Vec::new(), &Stock { known, part: None }));
        match taken {
            Ok(Ok(())) => self.follow(now, fetch),
            Ok(Err(error)) => self.cannot_follow(now, digest, &manifest, error),
            Err(error) => self.wait_for_disk(now, digest, &manifest, &error),
        }
    }

    /// What came is not what was offered: says so, and asks for it again in a while. What is whole of it stays, and so
    /// does the link.
    fn try_again(&mut self, now: Now, manifest: &Manifest, digest: Digest, reason: &str) {
        if self.again.poll_timeout().is_some() {
            return; // the rest of the same answer
        }
        self.fetch.iter_mut().for_each(Fetch::handle_damage);
        warn!(manifest = digest.short(), "arrived damaged, and is asked for again: {reason}");
        self.again.handle_failure(now, Trouble::Damaged, share());
        self.answer(digest, &format!("it arrived damaged, and is asked for again: {reason}"));
        if self.again.is_news(Trouble::Damaged) {
            let times = self.again.failures();
            let words = format!(
                "it arrived damaged {times} times in a row, the last time so: {reason}; it is asked for again, every 5 minutes in \
                 the end"
            );
            self.report_event(Kind::BundleRefused, manifest, &words);
        }
    }

    /// Hangs up when nothing comes of what was asked for, for longer each time in a row.
    pub(super) fn handle_stall(&mut self, now: Now) {
        if self.fetch.as_ref().and_then(Fetch::poll_timeout).is_some_and(|due| due <= now) {
            let pause = self.again.handle_stall(share());
            warn!(pause_s = pause.as_secs(), "hangs up: nothing comes of what was asked for");
            self.fetch.iter_mut().for_each(Fetch::handle_link_down);
            self.tell_link(Command::Restart(pause));
        }
    }

    /// Hands to the disk what came of an offer, so that an agent that is restarted meanwhile goes on with it.
    pub(super) fn stage_rest(&mut self) {
        let Some((fragments, part)) = self.fetch.as_mut().and_then(Fetch::flush) else { return };
        if let Err(error) = self.store.stage(&fragments, part.as_ref()) {
            warn!("what came of an offer is not kept, it is asked for again: {error}");
            self.set_fetch(None);
        }
    }

    /// Stages what arrived, asks for what is missing, or takes the whole as candidate.
    fn advance(&mut self, now: Now) {
        let Some(fetch) = &mut self.fetch else { return };
        if let Some((fragments, part)) = fetch.poll_batch() {
            if let Err(error) = self.store.stage(&fragments, part.as_ref()) {
                let (manifest, digest) = (fetch.manifest().clone(), fetch.digest());
                return self.wait_for_disk(now, digest, &manifest, &error);
            }
            step("agent.apply.fragments-staged");
        }
        let Some(fetch) = &mut self.fetch else { return };
        if let Some(need) = fetch.poll_need(now) {
            self.tell_link(Command::Need(need));
        }
        if let Some(fetch) = self.fetch.take_if(|fetch| fetch.is_complete()) {
            let manifest = fetch.manifest().clone();
            let (slot, fragments) = fetch.into_parts();
            self.set_fetch(None);
            match self.check_policy(&manifest, &slot, &fragments) {
                Ok(()) => self.take_candidate(now, &manifest, &slot, &fragments),
                Err(NotVouched::Distrusted(reason)) => self.distrust(now, slot.digest(), &reason),
                Err(NotVouched::Store(error)) => self.wait_for_disk(now, slot.digest(), &manifest, &error),
            }
        }
    }

    /// Keeps the candidate, verifies what was kept, lowers it for a look, and starts the trial.
    fn take_candidate(&mut self, now: Now, manifest: &Manifest, slot: &Slot, fragments: &[Fragment]) {
        if let Err(error) = self.store.put_candidate(slot, fragments) {
            return self.wait_for_disk(now, slot.digest(), manifest, &error);
        }
        step("agent.apply.candidate-stored");
        let before = self.current.as_ref().map(|held| &*held.bundle);
        let held = match hold(&self.store, slot, before) {
            Ok(held) => held.map_err(|refusal| refusal.to_string()),
            Err(error) => return self.wait_for_disk(now, slot.digest(), manifest, &error),
        };
        if held.is_ok() {
            step("agent.apply.verified");
        }
        match held.and_then(|held| Ok((self.lower_candidate(&held)?, held))) {
            Ok((lowered, held)) => {
                step("agent.apply.lowered");
                self.lowered = Some(lowered);
                self.candidate = Some(held);
                self.machine.handle_candidate(now, self.origin(now));
            }
            Err(reason) => {
                self.refuse(slot.digest(), manifest, &reason);
            }
        }
    }

    /// Just after a start proxies that run are on their way back to the agent. They are given the time, so that what
    /// one of them would refuse is not committed behind its back. (Without a bundle none can run.)
    fn origin(&self, now: Now) -> Origin {
        let is_early = self.current.is_some() && now < self.returning;
        if is_early { Origin::Resumed } else { Origin::Offered }
    }

    /// A bundle that takes from a proxy what the running one gives it whole is refused; what is
    /// wrong with a workload itself is no fault of the bundle.
    fn lower_candidate(&mut self, held: &Held) -> Result<Lowered, String> {
        let after = self.lower(&held.bundle);
        if after.failed.is_empty() {
            return Ok(after);
        }
        let current = self.current.as_ref().map(|current| Arc::clone(&current.bundle));
        let before = current.map(|current| self.lower(&current));
        let was_well =
            |name: &NamespacedName| before.as_ref().is_some_and(|before| !before.failed.contains_key(name));
        match after.failed.iter().find(|(name, _)| was_well(name)) {
            Some((name, reason)) => Err(format!("it cannot be lowered for proxy {name}: {reason}")),
            None => Ok(after),
        }
    }

    /// Remembers, reports and tells that a manifest is refused: once for each.
    fn refuse(&mut self, digest: Digest, manifest: &Manifest, reason: &str) {
        warn!(manifest = digest.short(), "refused: {reason}");
        self.set_fetch(None);
        self.answer(digest, reason);
        let refused = Refused { digest, reason: reason.to_owned() };
        let event = report::of_event(Kind::BundleRefused, manifest, reason, Stamp::now());
        // Remembered with the report: an agent that starts anew does not say it twice.
        match self.store.refuse(&refused, vec![event.clone()]) {
            Ok(()) => self.wake_reports(),
            Err(error) => {
                warn!("what is refused is remembered until the agent ends: {error}");
                self.keep_reports(vec![event]);
            }
        }
        self.refused = Some(refused);
        self.publish_identity();
    }

    /// Tells the core what became of an offer; no reason: it runs.
    pub(super) fn answer(&self, digest: Digest, reason: &str) {
        self.tell_link(Command::Answer { manifest: digest, refused: reason.to_owned() });
    }

    /// Says why the offer is not followed, which needs no disk, and asks for it again in a while. It is
    /// not remembered as refused.
    fn wait_for_disk(&mut self, now: Now, digest: Digest, manifest: &Manifest, error: &StoreError) {
        warn!("the offer waits for the disk: {error}");
        self.set_fetch(None);
        self.again.handle_failure(now, Trouble::Disk, share());
        let words = format!("it cannot be kept: {error}; it is asked for again");
        self.answer(digest, &words);
        if self.again.is_news(Trouble::Disk) {
            self.report_event(Kind::BundleRefused, manifest, &words);
        }
    }

    /// Says why nobody who is believed vouches for the offer, and asks for it again in a while: the signature is not part of
    /// what a manifest is known by, so the same one may come with a better one. It is not remembered as refused.
    fn distrust(&mut self, now: Now, digest: Digest, reason: &str) {
        warn!(manifest = digest.short(), "not believed: {reason}");
        self.set_fetch(None);
        self.again.handle_failure(now, Trouble::Distrusted, share());
        self.answer(digest, reason);
        if self.again.is_news(Trouble::Distrusted) {
            // What it claims to be is nobody's word.
            self.report_event(Kind::BundleRefused, &Manifest::default(), reason);
        }
    }

    /// Says hello again, once that is due. Without a disk there is nothing to ask for: the agent starts over when it has one.
    pub(super) fn handle_again(&mut self, now: Now) {
        if self.again.handle_timeout(now) && !self.store.is_volatile() {
            self.tell_link(Command::Restart(Duration::ZERO));
        }
    }
}
