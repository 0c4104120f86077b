//! Which commits made a core hold what it holds: found backwards from a state with documents that are not good.
//!
//! Must not decide what is held: the commits are advanced through, by the rules of the [`catalog`](super::catalog).

use std::collections::BTreeSet;

use crate::history::{Blob, History};
use crate::limits::PAST_COMMITS;
use crate::oid::CommitId;
use crate::read_error::ReadError;

use super::file::SourceFile;

/// Lists the commits before a commit, or up to HEAD for the files of a clone (`None`), oldest first. The first of them
/// is one without any document that is not good, so that nothing is held there; or the last one that is looked at.
pub(super) fn steps(
    history: &History,
    path: &str,
    commit: Option<CommitId>,
    mut doubtful: BTreeSet<String>,
) -> Result<Vec<CommitId>, ReadError> {
    let mut steps = Vec::new();
    let mut next = match commit {
        Some(commit) => history.first_parent(commit)?,
        None => history.resolve("HEAD").ok().map(|head| head.commit),
    };
    // Of the files of a clone it is not known how they differ from HEAD: all of HEAD is looked at.
    let mut from = commit;
    for _ in 0..PAST_COMMITS {
        let Some(to) = next else { break };
        let changes = match history.changed_files(from, to, path) {
            Ok(changes) => changes,
            Err(ReadError::PathNotFound { .. }) => break,
            Err(error) => return Err(error),
        };
        if from.is_none() {
            doubtful.clear();
        }
        for file in changes.files {
            doubtful.remove(&file.path);
            if let Some(blob) = file.blob
                && is_doubtful(history.read_blob(blob)?, &file.path)
            {
                doubtful.insert(file.path);
            }
        }
        steps.push(to);
        if doubtful.is_empty() {
            break;
        }
        (from, next) = (Some(to), history.first_parent(to)?);
    }
    steps.reverse();
    Ok(steps)
}

fn is_doubtful(blob: Blob, path: &str) -> bool {
    match blob {
        Blob::Bytes(bytes) => SourceFile::read(path, None, &bytes).is_doubtful(),
        Blob::TooLarge { .. } => true,
    }
}
