//! Going back to what is in force: after a start, with a mirror that was built anew, and from a head that is not
//! carried out.
//!
//! What is in force is a commit and, for each object that is held, the version before its document went bad
//! (ADR 0003). A mirror that was lost comes back with what the branch leads to now, and that may have neither. What is
//! not known is not told, and what is not told removes nothing:
//!
//! | the commit | versions that are held | what comes of it |
//! | --- | --- | --- |
//! | there | all in the store or the mirror | it is told, and nothing changes |
//! | there | one is in neither | the revision itself waits for a confirmation |
//! | gone | | the next head waits: rewritten, or it cannot be told what it takes away |
//!
//! With a version lost, the next head is judged as usual, and waits as well as long as the rules of holds say that this
//! version would stand. One that mends the document, or that takes it out of a file that can be read, goes into force.
//! Whoever confirms a head lets go what is lost, and that alone: what the store or the mirror has stays held.
//! Decided by [`skerry_gitops::snapshot::catalog`] and `objection`.

use std::collections::BTreeMap;

use skerry_core::id::ObjectKey;
use skerry_gitops::age::Ages;
use skerry_gitops::mirror::Head;
use skerry_gitops::snapshot::hold::Hold;
use skerry_gitops::snapshot::{Advance, SourceTree};
use tracing::warn;

use super::{Follower, to_held, warn_of_rewritten};
use crate::source::event::{Confirmed, Scope, SourceEvent};
use crate::source::failure::Failure;
use crate::source::folder;
use crate::source::objection::lost;
use crate::store::{Accepted, StateStore};

impl<S: StateStore> Follower<S> {
    /// Reads the accepted revision from the mirror, without the remote: what is in force stays in force.
    /// Nothing happens when nothing was accepted yet, or when the mirror was lost and must be fetched first.
    pub fn restore(&mut self) {
        let Some((advance, mut accepted)) = self.read_accepted() else { return };
        if self.known_tree().is_none() {
            return self.hold_in_force(&accepted);
        }
        self.keep_files(&mut accepted);
        self.accepted = Some(accepted.clone());
        self.events.push(SourceEvent::new(Scope::Whole, advance, accepted, None, Confirmed::No));
    }

    /// Makes the tree that of the accepted revision; on an error there is none.
    pub(super) fn read_accepted(&mut self) -> Option<(Advance, Accepted)> {
        let accepted = self.accepted.clone()?;
        let holds = holds_of(&accepted);
        let ages = self.known_ages(&accepted.path);
        let history = self.mirror.history();
        match SourceTree::restore(history, &accepted.path, accepted.commit, (&holds, &accepted.kept), ages) {
            Ok((tree, advance)) => {
                (self.tree, self.ages) = (Some(tree), None);
                self.learned.extend(advance.ages.learned.clone());
                Some((advance, accepted))
            }
            Err(error) => {
                warn!(revision = %accepted.revision, %error, help = error.help(), "the revision in force is not read");
                self.forget_tree();
                None
            }
        }
    }

    /// The tree, if it has all that is in force: the planner has it as well.
    pub(super) fn known_tree(&self) -> Option<&SourceTree> {
        self.tree.as_ref().filter(|tree| tree.lost().is_empty())
    }

    /// Notes that the revision in force waits. A confirmation from before is not for what was lost since.
    fn hold_in_force(&mut self, accepted: &Accepted) {
        let Some(tree) = self.tree.as_ref().filter(|_| self.is_same_path()) else { return };
        let (commit, revision) = (accepted.commit, accepted.revision.clone());
        let head = Head { commit, revision, received_bytes: 0 };
        let held = to_held(&head, lost(&head, tree.lost()));
        self.examined = Some(held.clone());
        self.pending.confirmed = None;
        self.is_unsaved = true;
        if let Err(error) = self.hold(held) {
            warn!(%error, help = error.help, "that it is held is not kept yet");
        }
    }

    /// Reads a head into a tree of its own: the one that there is does not have all that is in force, or is of another
    /// folder.
    pub(super) fn read_anew(&self, head: &Head) -> Result<(SourceTree, Advance), Failure> {
        let (history, path) = (self.mirror.history(), &self.config.path);
        let known = self.accepted.as_ref().filter(|_| self.is_same_path());
        let (mut tree, mut advance) = match self.tree.as_ref().filter(|_| known.is_some()) {
            Some(tree) => {
                let mut tree = tree.clone();
                let advance = tree.advance(history, head.commit)?;
                (tree, advance)
            }
            None => {
                let (holds, kept) =
                    known.map_or_else(Default::default, |known| (holds_of(known), known.kept.clone()));
                SourceTree::restore(history, path, head.commit, (&holds, &kept), self.known_ages(path))?
            }
        };
        warn_of_rewritten(&advance);
        if self.pending.confirmed == Some(head.commit) {
            advance.deletes.extend(tree.give_up_lost());
        }
        tree.tell_all(&mut advance);
        Ok((tree, advance))
    }

    /// Has the files of all that is held in the state that goes to the store.
    pub(super) fn keep_files(&self, accepted: &mut Accepted) {
        let holds = accepted.holds.iter().map(|(_, hold)| hold);
        let missing = accepted.kept.keep(holds, self.mirror.history());
        if missing > 0 {
            warn!(missing, "files of objects that are held cannot be kept: they are lost with the mirror");
        }
    }

    /// Drops the objects; their ages are kept.
    pub(super) fn forget_tree(&mut self) {
        if let Some(tree) = self.tree.take() {
            self.ages = tree.ages().cloned();
        }
    }

    fn known_ages(&self, path: &str) -> Ages {
        let known = self.tree.as_ref().and_then(SourceTree::ages).or(self.ages.as_ref());
        known.map_or_else(|| Ages::new(path), |ages| folder::moved(ages, path))
    }
}

fn holds_of(accepted: &Accepted) -> BTreeMap<ObjectKey, Hold> {
    accepted.holds.iter().cloned().collect()
}
