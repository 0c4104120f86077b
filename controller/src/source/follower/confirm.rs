//! Confirmations: who names the head that is held has it carried out, unless it is held for its signature.

use skerry_core::id::Revision;
use skerry_gitops::mirror::Head;
use skerry_gitops::oid::CommitId;
use skerry_gitops::snapshot::SourceTree;

use super::Follower;
use crate::source::NotConfirmed;
use crate::source::event::{Confirmed, Scope, SourceEvent};
use crate::store::{HeldHead, Pending, StateStore, Until};

/// The shortest abbreviation of a commit that confirms it.
const SHORTEST_ABBREVIATION: usize = 7;

impl<S: StateStore> Follower<S> {
    /// Confirms the head that is held and carries it out, for [`Self::take_events`]. Of the revision in force it confirms
    /// what sites may have refused of it.
    ///
    /// # Errors
    /// It is neither, or it cannot be read, or its signature is not trusted.
    pub fn confirm(&mut self, revision: &str) -> Result<(), NotConfirmed> {
        let held = self.pending.held.clone().filter(|held| is_meant(revision, held.commit, &held.revision));
        let Some(held) = held else { return self.confirm_in_force(revision) };
        check_trusted(&held)?;
        let pending = Pending { confirmed: Some(held.commit), ..self.pending.clone() };
        let head = Head { commit: held.commit, revision: held.revision, received_bytes: 0 };
        let carried_out = self.set_pending(pending).and_then(|()| self.consider(&head));
        self.repair(carried_out).map_err(NotConfirmed::Unreadable)?;
        // The signer's key may have been revoked since it was held for another reason.
        self.pending.held.as_ref().map_or(Ok(()), check_trusted)
    }

    fn confirm_in_force(&mut self, revision: &str) -> Result<(), NotConfirmed> {
        let accepted = self.accepted.clone();
        let accepted = accepted.filter(|known| is_meant(revision, known.commit, &known.revision));
        let advance = self.known_tree().and_then(SourceTree::standing);
        let Some((accepted, advance)) = accepted.zip(advance) else {
            return Err(match &self.pending.held {
                Some(held) => NotConfirmed::OtherHeld(held.revision.clone()),
                None => NotConfirmed::NothingHeld,
            });
        };
        self.events.push(SourceEvent::new(Scope::Changes, advance, accepted, None, Confirmed::InForce));
        Ok(())
    }
}

fn check_trusted(held: &HeldHead) -> Result<(), NotConfirmed> {
    match &held.until {
        Until::Confirmed => Ok(()),
        Until::Trusted { help } => {
            let (reason, help) = (held.reason.clone(), help.clone());
            Err(NotConfirmed::Untrusted { reason, help })
        }
    }
}

/// Says whether a person means a commit: by its revision, or the first digits of its hash.
fn is_meant(given: &str, commit: CommitId, revision: &Revision) -> bool {
    let is_abbreviation = given.len() >= SHORTEST_ABBREVIATION && commit.to_string().starts_with(given);
    given == revision.as_str() || is_abbreviation
}
