//! Changes of a source that are not carried out before someone has confirmed them (ARCHITECTURE.md, invariant 6).
//!
//! Finds out what kind of move a new head is, and decides, as a pure function. Must not remember what was confirmed;
//! that is the controller's part. Mass removal is judged in [`crate::removal`].

use std::fmt;

use crate::history::History;
use crate::oid::CommitId;
use crate::read_error::ReadError;

/// How a new head relates to the commit that was accepted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadChange {
    /// Nothing was accepted before.
    First,
    /// It is the same commit.
    Same,
    /// It continues the history.
    FastForward {
        /// How many commits are new.
        commits: usize,
    },
    /// It is not a continuation: the branch was force-pushed, or the source now follows another one.
    Rewritten {
        /// The newest commit that both have; `None` when they have none, or when the accepted one is gone.
        merge_base: Option<CommitId>,
    },
    /// It is an ancestor: the branch was set back.
    RolledBack {
        /// How many accepted commits it lacks.
        commits: usize,
    },
}

/// Compares a new head with the commit that was accepted last.
pub fn classify(
    history: &History,
    last_accepted: Option<CommitId>,
    new: CommitId,
) -> Result<HeadChange, ReadError> {
    let Some(last) = last_accepted else { return Ok(HeadChange::First) };
    if last == new {
        return Ok(HeadChange::Same);
    }
    if !history.contains(last) {
        return Ok(HeadChange::Rewritten { merge_base: None });
    }
    let (ahead, behind) = history
        .repo
        .graph_ahead_behind(new.to_git(), last.to_git())
        .map_err(|error| ReadError::corrupt(&error))?;
    Ok(match (ahead, behind) {
        (commits, 0) => HeadChange::FastForward { commits },
        (0, commits) => HeadChange::RolledBack { commits },
        _ => {
            let merge_base =
                history.repo.merge_base(new.to_git(), last.to_git()).ok().map(CommitId::from_git);
            HeadChange::Rewritten { merge_base }
        }
    })
}

/// Whether a new head is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is.
    Apply,
    /// It is not until it is confirmed; everything stays as it is.
    Hold(Reason),
}

/// Why something is held. `Display` is one sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// See [`HeadChange::Rewritten`].
    Rewritten {
        /// The head that is held.
        to: CommitId,
        /// The newest commit in common.
        merge_base: Option<CommitId>,
    },
    /// See [`HeadChange::RolledBack`].
    RolledBack {
        /// The head that is held.
        to: CommitId,
        /// How many commits would be taken back.
        commits: usize,
    },
}

impl Reason {
    /// Says what would help, in one sentence.
    pub fn help(&self) -> String {
        let (Self::Rewritten { to, .. } | Self::RolledBack { to, .. }) = self;
        format!(
            "if that was meant, run `skerry source confirm {}`; else push the former history back",
            to.short()
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rewritten { to, merge_base: Some(base) } => {
                write!(
                    f,
                    "the branch was rewritten: {} continues {}, not what is in force",
                    to.short(),
                    base.short()
                )
            }
            Self::Rewritten { to, merge_base: None } => {
                write!(
                    f,
                    "the branch was rewritten: {} has no history in common with what is in force",
                    to.short()
                )
            }
            Self::RolledBack { to, commits: 1 } => {
                write!(f, "the branch was set back to {}, which takes 1 commit back", to.short())
            }
            Self::RolledBack { to, commits } => {
                write!(f, "the branch was set back to {}, which takes {commits} commits back", to.short())
            }
        }
    }
}

/// Decides about a head. `confirmed` is the head that someone confirmed last; a confirmation is for that commit only.
pub fn decide(change: HeadChange, to: CommitId, confirmed: Option<CommitId>) -> Decision {
    let reason = match change {
        HeadChange::First | HeadChange::Same | HeadChange::FastForward { .. } => return Decision::Apply,
        HeadChange::Rewritten { merge_base } => Reason::Rewritten { to, merge_base },
        HeadChange::RolledBack { commits } => Reason::RolledBack { to, commits },
    };
    if confirmed == Some(to) { Decision::Apply } else { Decision::Hold(reason) }
}
