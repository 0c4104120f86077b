//! libgit2's errors → ours.
//!
//! libgit2 tells some things only in its message; the words looked for are pinned by tests against real servers.

use std::path::Path;

use git2::{ErrorClass, ErrorCode};

use crate::fetch_error::FetchError;
use crate::remote::{Remote, Transport};

/// What hinders writing, whatever is being written.
const STORAGE: [&str; 3] = ["No space left on device", "Read-only file system", "Disk quota exceeded"];

/// Explains an error of a connection.
pub(super) fn of_transfer(dir: &Path, remote: &Remote, error: &git2::Error) -> FetchError {
    let (name, reason) = (remote.to_string(), reason(error));
    match (error.code(), error.class()) {
        _ if STORAGE.iter().any(|text| reason.contains(text)) => {
            FetchError::Storage { dir: dir.to_owned(), reason }
        }
        _ if reason.starts_with("failed to authenticate SSH session") => {
            FetchError::AuthenticationFailed { remote: name, reason }
        }
        (ErrorCode::Auth, _) => FetchError::AuthenticationFailed { remote: name, reason },
        _ if is_status(error.message(), &["401", "403"]) => {
            FetchError::AuthenticationFailed { remote: name, reason }
        }
        _ if is_no_repository(remote, error, &reason) => FetchError::NotARepository { remote: name },
        (
            _,
            ErrorClass::Odb | ErrorClass::Zlib | ErrorClass::Indexer | ErrorClass::Object | ErrorClass::Sha1,
        ) => FetchError::Corrupt { remote: name, reason },
        _ => FetchError::Unreachable { remote: name, reason },
    }
}

/// How libgit2 words a status that it does not expect.
const STATUS: &str = "unexpected http status code: ";

/// Explains an error of the mirror itself.
pub(super) fn damaged(remote: &Remote, error: &git2::Error) -> FetchError {
    FetchError::Corrupt { remote: remote.to_string(), reason: reason(error) }
}

fn reason(error: &git2::Error) -> String {
    let message = error.message().trim().trim_end_matches(['.', ';']).replace('\n', " ");
    message.replace(STATUS, "the server answered with status ")
}

fn is_status(message: &str, statuses: &[&str]) -> bool {
    message.strip_prefix(STATUS).is_some_and(|status| statuses.contains(&status))
}

fn is_no_repository(remote: &Remote, error: &git2::Error, reason: &str) -> bool {
    let told = match remote.transport() {
        Transport::Local => {
            let absent = error.code() == ErrorCode::NotFound || error.class() == ErrorClass::Repository;
            // Of a path where nothing is, libgit2 cannot tell that it was meant as one.
            absent || reason == "unsupported URL protocol"
        }
        Transport::Http => is_status(error.message(), &["404", "410"]) || reason.contains("content-type"),
        // Git's own words, and those of hosts (`ERROR: Repository not found`).
        Transport::Ssh => {
            let reason = reason.to_ascii_lowercase();
            reason.contains("not appear to be a git repository") || reason.contains("repository not found")
        }
    };
    told || (reason.starts_with("remote error") && reason.to_ascii_lowercase().contains("not found"))
}
