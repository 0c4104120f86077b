//! What of a repository is followed: a branch, a tag, or one commit.
//!
//! Must not look anything up.

use std::fmt;

use serde::{Deserialize, Serialize};
use skerry_core::id::Revision;

use crate::oid::CommitId;

/// What a source follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reference {
    /// A branch, named without `refs/heads/`.
    Branch(String),
    /// A tag, named without `refs/tags/`; an annotated one stands for its commit.
    Tag(String),
    /// One commit, reachable from any branch or tag.
    Commit(CommitId),
}

impl Reference {
    /// Returns the full name (`refs/heads/main`); `None` for a commit.
    pub fn full_name(&self) -> Option<String> {
        match self {
            Self::Branch(name) => Some(format!("refs/heads/{name}")),
            Self::Tag(name) => Some(format!("refs/tags/{name}")),
            Self::Commit(_) => None,
        }
    }

    /// Names a commit that was found at this reference, as `main@sha1:…`.
    pub fn revision(&self, commit: CommitId) -> Revision {
        let label = match self {
            Self::Branch(name) | Self::Tag(name) => name,
            Self::Commit(_) => "commit",
        };
        Revision::commit(label, &commit.to_string())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(name) => write!(f, "branch `{name}`"),
            Self::Tag(name) => write!(f, "tag `{name}`"),
            Self::Commit(commit) => write!(f, "commit {}", commit.short()),
        }
    }
}
