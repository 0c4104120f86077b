//! Follows a repository: which head is in force, which one is held, and what a step changes.
//!
//! Whatever goes wrong leaves things as they were: an error, a held head or an unreadable revision
//! removes nothing. Must not wait and must not send.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use skerry_gitops::age::Ages;
use skerry_gitops::guard::{self, Decision, HeadChange};
use skerry_gitops::mirror::{Head, Mirror};
use skerry_gitops::oid::CommitId;
use skerry_gitops::snapshot::{Advance, SourceTree};
use tracing::warn;

use super::NotConfirmed;
use super::config::{Mode, SourceConfig};
use super::event::{Scope, SourceEvent};
use super::failure::Failure;
use super::login;
use super::status::SourceBoard;
use crate::clock::Clock;
use crate::store::{Accepted, HeldHead, Pending, Restored, StateStore};

/// The shortest abbreviation of a commit that confirms it.
const SHORTEST_ABBREVIATION: usize = 7;

/// The state of following one repository.
pub struct Follower<S> {
    config: SourceConfig,
    mirror: Mirror,
    store: Arc<S>,
    board: Arc<SourceBoard>,
    clock: Clock,
    /// The revision in force; `None` before the first.
    accepted: Option<Accepted>,
    /// The objects of that revision; `None` until it could be read after a start.
    tree: Option<SourceTree>,
    /// Ages as they were stored; taken by the first tree.
    ages: Option<Ages>,
    pending: Pending,
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
        let Restored { accepted, ages, pending, .. } = restored;
        board.set_held(pending.held.clone());
        Self { config, mirror, store, board, clock, accepted, tree: None, ages, pending, failures: 0 }
    }

    /// Returns how often the repository is to be asked.
    pub fn interval(&self) -> Duration {
        self.config.interval
    }

    /// Returns how many polls have failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Reads the accepted revision from the mirror, without the remote: what is in force stays in force.
    /// `None` when nothing was accepted yet, or when the mirror was lost and must be fetched first.
    pub fn restore(&mut self) -> Option<SourceEvent> {
        let accepted = self.accepted.clone()?;
        let holds: BTreeMap<_, _> = accepted.holds.iter().cloned().collect();
        let ages = self.known_ages(&accepted.path);
        let history = self.mirror.history();
        match SourceTree::restore(history, &accepted.path, accepted.commit, &holds, ages) {
            Ok((tree, advance)) => {
                (self.tree, self.ages) = (Some(tree), None);
                for lost in &advance.lost {
                    warn!(object = %lost, "its last good version cannot be read any more, so it is gone");
                }
                Some(SourceEvent::new(Scope::Whole, advance, accepted, None))
            }
            Err(error) => {
                warn!(revision = %accepted.revision, %error, help = error.help(), "the revision in force is not read");
                None
            }
        }
    }

    fn known_ages(&self, path: &str) -> Ages {
        let known = self.tree.as_ref().and_then(SourceTree::ages).or(self.ages.as_ref());
        let is_same_path = self.accepted.as_ref().is_some_and(|accepted| accepted.path == path);
        known.filter(|_| is_same_path).cloned().unwrap_or_else(|| Ages::new(path))
    }

    /// Fetches, and says what changed.
    ///
    /// # Errors
    /// The remote, its content, or the store: shown on the board too.
    pub fn poll(&mut self) -> Result<Vec<SourceEvent>, Failure> {
        let polled = match self.config.mode {
            Mode::Suspended => Ok(Vec::new()),
            Mode::Follow => self.fetch().and_then(|head| self.consider(&head)),
        };
        self.failures = if polled.is_ok() { 0 } else { self.failures.saturating_add(1) };
        self.board.set_failure(polled.as_ref().err().cloned());
        polled
    }

    /// Confirms the head that is held and carries it out.
    ///
    /// # Errors
    /// It is not the one that is held, or it cannot be read.
    pub fn confirm(&mut self, revision: &str) -> Result<Vec<SourceEvent>, NotConfirmed> {
        let held = self.pending.held.clone().ok_or(NotConfirmed::NothingHeld)?;
        let commit = held.commit.to_string();
        let is_abbreviation = revision.len() >= SHORTEST_ABBREVIATION && commit.starts_with(revision);
        if revision != held.revision.as_str() && !is_abbreviation {
            return Err(NotConfirmed::OtherHeld(held.revision));
        }
        self.pending.confirmed = Some(held.commit);
        let head = Head { commit: held.commit, revision: held.revision, received_bytes: 0 };
        let carried_out = self.keep_pending().and_then(|()| self.consider(&head));
        carried_out.map_err(NotConfirmed::Unreadable)
    }

    fn fetch(&mut self) -> Result<Head, Failure> {
        let credentials = login::read(&self.config.login)?;
        let head = self.mirror.fetch(&self.config.reference, &credentials, self.config.timeout)?;
        self.board.set_fetched(self.clock.now());
        Ok(head)
    }

    /// Decides about a head and carries it out if it may be.
    fn consider(&mut self, head: &Head) -> Result<Vec<SourceEvent>, Failure> {
        let mut events = Vec::new();
        if self.tree.is_none() {
            events.extend(self.restore());
        }
        let last = self.accepted.as_ref().map(|accepted| accepted.commit);
        let change = guard::classify(self.mirror.history(), last, head.commit)?;
        if change == HeadChange::Same && self.tree.is_some() && self.is_same_path() {
            self.hold(None)?;
            return Ok(events);
        }
        match guard::decide(change, head.commit, self.pending.confirmed) {
            Decision::Hold(reason) => {
                self.hold(Some(to_held(head, format!("{reason}; {}", reason.help()))))?;
            }
            Decision::Apply => events.extend(self.advance(head)?),
        }
        Ok(events)
    }

    fn is_same_path(&self) -> bool {
        self.accepted.as_ref().is_some_and(|accepted| accepted.path == self.config.path)
    }

    /// Goes to a head. One that has no object at all, where there were some, is held.
    fn advance(&mut self, head: &Head) -> Result<Option<SourceEvent>, Failure> {
        let had_objects = match &self.tree {
            Some(tree) => tree.objects().next().is_some(),
            None => self.accepted.is_some(),
        };
        let (scope, advance) = self.read(head)?;
        let tree = self.tree.as_ref().expect("a head that was read leaves its tree");
        if had_objects && tree.objects().next().is_none() && self.pending.confirmed != Some(head.commit) {
            // The state of the revision in force is in the store, as it was when that was accepted.
            self.restore();
            self.hold(Some(to_held(head, emptied(head, &self.config.path))))?;
            return Ok(None);
        }
        let accepted = Accepted {
            commit: head.commit,
            revision: head.revision.clone(),
            path: self.config.path.clone(),
            holds: tree.holds().iter().map(|(key, hold)| (key.clone(), hold.clone())).collect(),
        };
        let is_news = scope == Scope::Whole || advance.ages.learned > 0 || advance.ages.rewritten.is_some();
        let ages = tree.ages().filter(|_| is_news).cloned();
        self.retain(tree.needed_commits());
        self.accepted = Some(accepted.clone());
        self.hold(None)?;
        Ok(Some(SourceEvent::new(scope, advance, accepted, ages)))
    }

    /// Reads a head into the tree; on an error the tree is as it was.
    fn read(&mut self, head: &Head) -> Result<(Scope, Advance), Failure> {
        let history = self.mirror.history();
        let is_same_path = self.is_same_path();
        if let Some(tree) = self.tree.as_mut().filter(|_| is_same_path) {
            let advance = tree.advance(history, head.commit)?;
            warn_of_rewritten(&advance);
            return Ok((Scope::Changes, advance));
        }
        let (path, ages) = (&self.config.path, self.known_ages(&self.config.path));
        let (tree, advance) = SourceTree::restore(history, path, head.commit, &BTreeMap::new(), ages)?;
        warn_of_rewritten(&advance);
        (self.tree, self.ages) = (Some(tree), None);
        Ok((Scope::Whole, advance))
    }

    /// Keeps commits from being forgotten by the mirror: those of the new state, and those of the state
    /// that is in the store until the new one is.
    fn retain(&mut self, mut commits: BTreeSet<CommitId>) {
        let stored = self.accepted.iter();
        commits.extend(stored.clone().map(|accepted| accepted.commit));
        commits.extend(stored.flat_map(|accepted| accepted.holds.iter().map(|(_, hold)| hold.commit)));
        if let Err(error) = self.mirror.retain(&commits) {
            warn!(%error, help = error.help(), "the mirror may forget a revision that is in force");
        }
    }

    fn hold(&mut self, held: Option<HeldHead>) -> Result<(), Failure> {
        if self.pending.held != held {
            if let Some(HeldHead { revision, reason, .. }) = &held {
                warn!(%revision, reason, "held until confirmed");
            }
            self.board.set_held(held.clone());
            self.pending.held = held;
            self.keep_pending()?;
        }
        Ok(())
    }

    fn keep_pending(&self) -> Result<(), Failure> {
        Ok(self.store.keep_pending(&self.pending)?)
    }
}

fn to_held(head: &Head, reason: String) -> HeldHead {
    HeldHead { commit: head.commit, revision: head.revision.clone(), reason }
}

fn emptied(head: &Head, path: &str) -> String {
    let (commit, folder) = (head.commit.short(), if path.is_empty() { "." } else { path });
    format!(
        "{commit} has no object of ours below `{folder}`, and what is in force has some; \
         if that was meant, run `skerry source confirm {commit}`; else correct the path or bring the files back"
    )
}

fn warn_of_rewritten(advance: &Advance) {
    if let Some(rewritten) = &advance.ages.rewritten {
        let (from, objects) = (rewritten.from, rewritten.kept.len());
        warn!(%from, objects, "the history was rewritten; objects keep the age that they had");
    }
}
