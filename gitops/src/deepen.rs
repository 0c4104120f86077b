//! Completes the history of a shallow clone that a person works in, so that ages can be told.
//!
//! Adds objects to the clone and nothing else: no branch, tag or file of it moves.

use std::path::Path;
use std::time::Duration;

use git2::{FetchOptions, Repository};

use crate::credentials::Credentials;
use crate::fetch_error::FetchError;
use crate::mirror::{Session, Terms};
use crate::remote::Remote;

/// The depth that asks for everything (libgit2's `GIT_FETCH_DEPTH_UNSHALLOW`).
const WHOLE_HISTORY: i32 = i32::MAX;

/// Fetches what a shallow clone lacks from its remote `origin`. `timeout` is looked at whenever the server sends.
///
/// # Errors
/// [`FetchError::NotARepository`] when `repository` is none or has no `origin`; [`FetchError::Unreachable`] when
/// `origin` is a path, where libgit2 cannot deepen; else as [`crate::mirror::Mirror::fetch`].
pub fn deepen(repository: &Path, credentials: &Credentials, timeout: Duration) -> Result<(), FetchError> {
    let not_found = || FetchError::NotARepository { remote: repository.display().to_string() };
    let repo = Repository::discover(repository).map_err(|_| not_found())?;
    if !repo.is_shallow() {
        return Ok(());
    }
    let mut origin = repo.find_remote("origin").map_err(|_| not_found())?;
    let remote = origin.url().ok().and_then(|url| Remote::parse(url).ok()).ok_or_else(not_found)?;
    let session = Session::new(Terms::new(repository, &remote, credentials, timeout));
    let mut options = FetchOptions::new();
    options.remote_callbacks(session.callbacks()).depth(WHOLE_HISTORY);
    origin.download::<&str>(&[], Some(&mut options)).map_err(|error| session.failure(&error))
}
