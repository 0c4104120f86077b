//! Follows a repository: which head is in force, which one is held, and what a step changes.
//!
//! Whatever goes wrong leaves things as they were: an error, a held head or an unreadable revision
//! removes nothing. Must not wait and must not send.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use skerry_core::id::{Kind, ObjectKey};
use skerry_gitops::age::{Ages, FirstSeen};
use skerry_gitops::guard::{self, Decision, HeadChange};
use skerry_gitops::mirror::{Head, Mirror};
use skerry_gitops::oid::CommitId;
use skerry_gitops::removal::{self, Recent, Standing};
use skerry_gitops::snapshot::{Advance, SourceTree};
use tracing::warn;

use super::config::{Mode, SourceConfig};
use super::event::{Confirmed, Scope, SourceEvent};
use super::failure::{Failure, Remedy};
use super::objection::{emptied, lost, moved, taken, unknown};
use super::signature::{self, Checked};
use super::status::SourceBoard;
use super::{folder, login};
use crate::clock::Clock;
use crate::step::step;
use crate::store::{Accepted, HeldHead, LearnedAges, Pending, Restored, Signature, StateStore, Until};

mod confirm;
mod restore;

/// The state of following one repository.
pub struct Follower<S> {
    config: SourceConfig,
    mirror: Mirror,
    store: Arc<S>,
    board: Arc<SourceBoard>,
    clock: Clock,
    /// The revision in force; `None` before the first.
    accepted: Option<Accepted>,
    /// The objects of that revision; `None` until it could be read after a start. One that lacks some (see `restore`)
    /// is not told to anybody.
    tree: Option<SourceTree>,
    /// Ages as they were stored; taken by the first tree.
    ages: Option<Ages>,
    /// Ages that were learned and are in no event yet: a head that is held teaches some too.
    learned: BTreeMap<ObjectKey, FirstSeen>,
    pending: Pending,
    /// `pending` is not in the store yet, since that failed.
    is_unsaved: bool,
    /// What to say of the head that was read last and may not be carried out: it is not read at each poll.
    examined: Option<HeldHead>,
    /// What was not taken yet. Outlives errors, since what comes later builds upon it.
    events: Vec<SourceEvent>,
    /// The mirror was thrown away, and no poll has gone well since: once is enough.
    is_rebuilt: bool,
    failures: u32,
}

impl<S: StateStore> Follower<S> {
    /// Goes on where the store says.
    pub fn new(
        config: SourceConfig,
        mirror: Mirror,
        (store, restored): (Arc<S>, Restored),
        board: Arc<SourceBoard>,
        clock: Clock,
    ) -> Self {
        let Restored { accepted, ages, mut pending, .. } = restored;
        board.set_held(pending.held.clone());
        if accepted.as_ref().is_some_and(|accepted| !folder::is_same(&accepted.path, &config.path)) {
            // It was given before the path changed, or while that was not carried out: asked for again.
            pending.confirmed = None;
        }
        Self {
            config,
            mirror,
            store,
            board,
            clock,
            accepted,
            tree: None,
            ages,
            learned: BTreeMap::new(),
            pending,
            is_unsaved: false,
            examined: None,
            events: Vec::new(),
            is_rebuilt: false,
            failures: 0,
        }
    }

    /// Returns how often the repository is to be asked.
    pub fn interval(&self) -> Duration {
        self.config.interval
    }

    /// Returns how many polls have failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns what happened since the last call, oldest first. Due after every step, failed ones too.
    pub fn take_events(&mut self) -> Vec<SourceEvent> {
        std::mem::take(&mut self.events)
    }

    /// Fetches and takes what changed, for [`Self::take_events`].
    ///
    /// # Errors
    /// The remote, its content, or the store: shown on the board too.
    pub fn poll(&mut self) -> Result<(), Failure> {
        login::look_at_webhook(self.config.webhook_secret.as_deref(), &self.board);
        let polled = match self.config.mode {
            Mode::Suspended => Ok(()),
            Mode::Follow => {
                let polled = self.fetch().and_then(|head| self.consider(&head));
                self.repair(polled)
            }
        };
        self.failures = if polled.is_ok() { 0 } else { self.failures.saturating_add(1) };
        self.board.set_failure(polled.as_ref().err().cloned());
        polled
    }

    /// Throws a damaged mirror away, fetches, and tries again, once until a poll goes well.
    fn repair(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        let is_damaged = outcome.as_ref().is_err_and(|failure| failure.remedy == Remedy::Rebuild);
        if !is_damaged || self.is_rebuilt {
            self.is_rebuilt &= outcome.is_err();
            return outcome;
        }
        warn!(error = ?outcome, "the mirror is damaged and built anew");
        self.is_rebuilt = true;
        self.forget_tree();
        self.mirror.rebuild()?;
        let head = self.fetch()?;
        self.restore();
        if let Some(tree) = &self.tree {
            self.retain(tree.needed_commits());
        }
        self.consider(&head)
    }

    fn fetch(&mut self) -> Result<Head, Failure> {
        let credentials = login::read(&self.config.login)?;
        let head = self.mirror.fetch(&self.config.reference, &credentials, self.config.timeout)?;
        self.board.set_fetched(self.clock.now());
        Ok(head)
    }

    /// Decides about a head and carries it out if it may be.
    fn consider(&mut self, head: &Head) -> Result<(), Failure> {
        if self.tree.is_none() {
            self.restore();
        }
        let signers = signature::signers(self.config.verify.as_ref(), &self.board);
        let last = self.accepted.as_ref().map(|accepted| accepted.commit);
        let change = guard::classify(self.mirror.history(), last, head.commit)?;
        // What is in force stays in force, whatever has become of the signer's key since.
        let in_force = self.accepted.as_ref().filter(|_| change == HeadChange::Same && self.is_same_path());
        signature::show_in_force(self.mirror.history(), in_force, signers.as_ref(), self.now(), &self.board);
        let signature = match in_force {
            Some(_) if self.known_tree().is_some() => return self.settle(head),
            Some(accepted) => accepted.signature.clone(),
            None => match signature::check(self.mirror.history(), head, signers.as_ref(), self.now())? {
                Checked::Admitted(signature) => signature,
                Checked::Held(held) => return self.hold(held),
            },
        };
        match guard::decide(change, head.commit, self.pending.confirmed) {
            Decision::Hold(reason) => self.hold(to_held(head, format!("{reason}; {}", reason.help()))),
            Decision::Apply => self.advance(head, signature),
        }
    }

    fn is_same_path(&self) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| folder::is_same(&accepted.path, &self.config.path))
    }

    /// Goes to a head, unless there is an objection that nobody has overruled.
    fn advance(&mut self, head: &Head, signature: Signature) -> Result<(), Failure> {
        let is_confirmed = self.pending.confirmed == Some(head.commit);
        if let Some(held) = self.examined.clone().filter(|held| held.commit == head.commit && !is_confirmed) {
            return self.hold(held);
        }
        let before = self.tree.as_ref().map(|tree| (tree.counts(), tree.max_removal_percent()));
        step("core.commit.fetched");
        let (anew, advance) = self.read(head)?;
        step("core.commit.read");
        self.learned.extend(advance.ages.learned.clone());
        let tree = anew.as_ref().or(self.tree.as_ref()).expect("a head that was read leaves its tree");
        let objection = self.objection(head, tree, before.as_ref(), &advance).filter(|_| !is_confirmed);
        let Some(objection) = objection else { return self.accept(head, signature, anew, advance) };
        if anew.is_none() {
            // The holds are those of the revision in force, and the planner has that one already.
            self.read_accepted();
        }
        let held = to_held(head, objection);
        self.examined = Some(held.clone());
        self.hold(held)
    }

    /// Says why a head that was read is not carried out unasked.
    /// `before` has the counts and the limit of what is in force; `None` when that is not known.
    fn objection(
        &self,
        head: &Head,
        tree: &SourceTree,
        before: Option<&(BTreeMap<Kind, usize>, u8)>,
        advance: &Advance,
    ) -> Option<String> {
        let to = &self.config.path;
        let accepted = self.accepted.as_ref()?;
        let had_objects = before.is_none_or(|(counts, _)| !counts.is_empty());
        if !self.is_same_path() {
            return Some(moved(head, &accepted.path, to, tree.objects().count()));
        }
        if had_objects && !has_objects(tree) {
            return Some(emptied(head, to));
        }
        let Some((counts, percent)) = before else { return Some(unknown(head)) };
        if !tree.lost().is_empty() {
            return Some(lost(head, tree.lost()));
        }
        let (recent, now) = (&accepted.recent, self.now());
        let standing = Standing { counts, recent, percent: *percent, now };
        let is_there = |key: &ObjectKey| tree.object(key).is_some();
        let mass = removal::judge(&standing, &advance.deletes, is_there, &tree.counts())?;
        Some(taken(head, &mass, counts.get(&Kind::Site).copied().unwrap_or_default()))
    }

    fn now(&self) -> u64 {
        self.clock.now().0 / 1_000
    }

    /// What counts with the next head's removals; a confirmation settles everything before it.
    fn recent(&self, tree: &SourceTree, advance: &Advance) -> Recent {
        match &self.accepted {
            Some(accepted) if self.pending.confirmed != Some(advance.to) => {
                let is_there = |key: &ObjectKey| tree.object(key).is_some();
                accepted.recent.with(&advance.deletes, self.now(), is_there)
            }
            _ => Recent::default(),
        }
    }

    /// Puts a head into force that was read: into a new tree, or else into the one that is there.
    fn accept(
        &mut self,
        head: &Head,
        signature: Signature,
        anew: Option<SourceTree>,
        advance: Advance,
    ) -> Result<(), Failure> {
        let scope = if anew.is_some() { Scope::Whole } else { Scope::Changes };
        if anew.is_some() {
            (self.tree, self.ages) = (anew, None);
        }
        let tree = self.tree.as_ref().expect("a head that was read leaves its tree");
        let mut accepted = Accepted {
            commit: head.commit,
            revision: head.revision.clone(),
            path: self.config.path.clone(),
            holds: tree.holds().iter().map(|(key, hold)| (key.clone(), hold.clone())).collect(),
            kept: self.accepted.as_ref().map(|accepted| accepted.kept.clone()).unwrap_or_default(),
            recent: self.recent(tree, &advance),
            signature,
        };
        self.keep_files(&mut accepted);
        let is_confirmed = self.pending.confirmed == Some(head.commit);
        let confirmed = if is_confirmed { Confirmed::Change } else { Confirmed::No };
        let ages = tree.ages().map(|ages| match scope {
            Scope::Whole => LearnedAges::all(ages),
            Scope::Changes => LearnedAges::some(ages, self.learned.clone()),
        });
        self.learned.clear();
        self.retain(tree.needed_commits());
        self.accepted = Some(accepted.clone());
        self.examined = None;
        self.events.push(SourceEvent::new(scope, advance, accepted, ages, confirmed));
        self.settle(head)
    }

    /// Reads a head: into the tree if that is of the same folder and has all that is in force, else into a new one, which
    /// is returned. On an error the tree is as it was.
    fn read(&mut self, head: &Head) -> Result<(Option<SourceTree>, Advance), Failure> {
        let (history, is_same_path) = (self.mirror.history(), self.is_same_path());
        let known = self.tree.as_mut().filter(|tree| is_same_path && tree.lost().is_empty());
        let Some(tree) = known else {
            let (tree, advance) = self.read_anew(head)?;
            return Ok((Some(tree), advance));
        };
        let advance = tree.advance(history, head.commit)?;
        warn_of_rewritten(&advance);
        Ok((None, advance))
    }

    /// Keeps commits from being forgotten by the mirror: those of the new state, and those of the state
    /// that is in the store until the new one is. One that a new mirror did not bring back is none of them.
    fn retain(&mut self, mut commits: BTreeSet<CommitId>) {
        let stored = self.accepted.iter();
        commits.extend(stored.clone().map(|accepted| accepted.commit));
        commits.extend(stored.flat_map(|accepted| accepted.holds.iter().map(|(_, hold)| hold.commit)));
        commits.retain(|commit| self.mirror.history().contains(*commit));
        if let Err(error) = self.mirror.retain(&commits) {
            warn!(%error, help = error.help(), "the mirror may forget a revision that is in force");
        }
    }

    /// Notes that a head waits.
    fn hold(&mut self, held: HeldHead) -> Result<(), Failure> {
        if self.pending.held.as_ref() != Some(&held) {
            let until =
                if held.until == Until::Confirmed { "it is confirmed" } else { "its signature is trusted" };
            warn!(revision = %held.revision, reason = held.reason, until, "held");
        }
        self.set_pending(Pending { held: Some(held), ..self.pending.clone() })
    }

    /// Notes that a head is in force: nothing waits, and a confirmation of any other one is spent.
    fn settle(&mut self, head: &Head) -> Result<(), Failure> {
        let confirmed = self.pending.confirmed.filter(|confirmed| *confirmed == head.commit);
        self.set_pending(Pending { held: None, confirmed })
    }

    /// Keeps what waits for a confirmation; what cannot be stored is tried again at the next step.
    fn set_pending(&mut self, pending: Pending) -> Result<(), Failure> {
        if self.pending != pending {
            self.board.set_held(pending.held.clone());
            (self.pending, self.is_unsaved) = (pending, true);
        }
        if self.is_unsaved {
            self.store.keep_pending(&self.pending)?;
            self.is_unsaved = false;
        }
        Ok(())
    }
}

fn has_objects(tree: &SourceTree) -> bool {
    tree.objects().next().is_some()
}

fn to_held(head: &Head, reason: String) -> HeldHead {
    HeldHead { commit: head.commit, revision: head.revision.clone(), reason, until: Until::Confirmed }
}

fn warn_of_rewritten(advance: &Advance) {
    if let Some(rewritten) = &advance.ages.rewritten {
        let (from, objects) = (rewritten.from, rewritten.kept.len());
        warn!(%from, objects, "the history was rewritten; objects keep the age that they had");
    }
}

#[cfg(test)]
mod tests;
