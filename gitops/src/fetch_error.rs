//! Why a fetch failed. What was fetched before stays in force.
//!
//! Must never hold a password: remotes are kept as text that was printed without one.

use std::path::PathBuf;

use crate::read_error::list;
use crate::reference::Reference;

/// A failed fetch. Each prints one sentence; [`FetchError::help`] says what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The host could not be reached, or broke off.
    #[error("cannot reach {remote}: {reason}")]
    Unreachable {
        /// The repository.
        remote: String,
        /// What the system or the server says.
        reason: String,
    },
    /// The server wants other credentials, or lets these do nothing.
    #[error("{remote} refused access: {reason}")]
    AuthenticationFailed {
        /// The repository.
        remote: String,
        /// What was refused.
        reason: String,
    },
    /// The branch, tag or commit is not there; a branch that was followed may have been deleted.
    #[error("{remote} has no {reference}")]
    RefNotFound {
        /// The repository.
        remote: String,
        /// What was asked for.
        reference: Reference,
        /// Branches that are there (tags, if a tag was asked for), at most [`crate::limits::NAMES_IN_ERROR`], in order.
        known: Vec<String>,
        /// How many of them there are.
        total: usize,
    },
    /// The repository has no commit.
    #[error("{remote} is empty")]
    EmptyRepository {
        /// The repository.
        remote: String,
    },
    /// The SSH server's key is not the one that `known_hosts` lists.
    #[error("the host key of {host} cannot be trusted: {reason} (its key is {key_type} {fingerprint})")]
    HostKeyUnknown {
        /// The host.
        host: String,
        /// The kind of key, as `ssh-ed25519`.
        key_type: String,
        /// The key's fingerprint, as `SHA256:…`.
        fingerprint: String,
        /// What is wrong.
        reason: String,
    },
    /// The fetch took longer than it may.
    #[error("{remote} did not answer in full within {seconds} s")]
    TimedOut {
        /// The repository.
        remote: String,
        /// The time given.
        seconds: u64,
    },
    /// The pack is larger than one fetch may be ([`crate::limits::FETCH_BYTES`]).
    #[error("{remote} sends more than {limit} bytes")]
    TooLarge {
        /// The repository.
        remote: String,
        /// The bound.
        limit: usize,
    },
    /// There is something at the address that is no Git repository, or nothing.
    #[error("{remote} is not a Git repository")]
    NotARepository {
        /// The address.
        remote: String,
    },
    /// The mirror, or what was sent, is damaged.
    #[error("the mirror of {remote} is damaged: {reason}")]
    Corrupt {
        /// The repository.
        remote: String,
        /// What Git says.
        reason: String,
    },
    /// The mirror's folder cannot be used.
    #[error("cannot keep a mirror in `{}`: {reason}", dir.display())]
    Storage {
        /// The folder.
        dir: PathBuf,
        /// What the operating system says.
        reason: String,
    },
}

impl FetchError {
    /// Says what would help, in one sentence.
    pub fn help(&self) -> String {
        match self {
            Self::Unreachable { .. } => {
                "check the address, name resolution, the network and the server's certificate; it is tried again by itself"
            }
            Self::AuthenticationFailed { .. } => {
                "check user, token or key, and that they may read this repository; tokens expire"
            }
            Self::RefNotFound { reference, known, total, .. } => return names_help(reference, known, *total),
            Self::EmptyRepository { .. } => "push a first commit; nothing is removed from sites meanwhile",
            Self::HostKeyUnknown { host, .. } => {
                return format!(
                    "compare the fingerprint with the one that the host's owner publishes, then add the line that \
                     `ssh-keyscan {host}` prints to the known_hosts file"
                );
            }
            Self::TimedOut { .. } => "allow more time for a first fetch over a slow link; it is tried again by itself",
            Self::TooLarge { .. } => "keep policies in a repository of their own, without large files in its history",
            Self::NotARepository { .. } => {
                "check the path of the address; hosts also answer so when the credentials may not see the repository"
            }
            Self::Corrupt { .. } => "the mirror is thrown away and built anew; run `git fsck` at the remote if it comes back",
            Self::Storage { .. } => "give the data folder space and write permission, and do not share it",
        }
        .to_owned()
    }
}

fn names_help(reference: &Reference, known: &[String], total: usize) -> String {
    let what = if matches!(reference, Reference::Tag(_)) { "tags" } else { "branches" };
    if known.is_empty() {
        return format!("the repository has no {what}");
    }
    format!("its {what} are {}", list(known, total))
}
