//! The order in which commits are looked at: parents first, along first parents first.
//!
//! Must not look at trees or clocks: two clones of one history give one order.

use std::collections::HashSet;

use git2::Oid;

use crate::history::History;
use crate::oid::CommitId;
use crate::read_error::ReadError;

/// Lists the commits that `to` has and `known` has not, each after its parents: the depth-first post-order that
/// goes into first parents first.
pub(super) fn new_commits(
    history: &History,
    known: Option<CommitId>,
    to: CommitId,
) -> Result<Vec<Oid>, ReadError> {
    let mut fresh = walk(history, known, to)?;
    let mut ordered = Vec::with_capacity(fresh.len());
    let mut stack = vec![(to.to_git(), 0)];
    while let Some((commit, next)) = stack.pop() {
        if next == 0 && !fresh.remove(&commit) {
            continue;
        }
        let found = history.repo.find_commit(commit).map_err(|error| ReadError::corrupt(&error))?;
        match found.parent_id(next) {
            Ok(parent) => stack.extend([(commit, next + 1), (parent, 0)]),
            Err(_) => ordered.push(commit),
        }
    }
    Ok(ordered)
}

/// Collects every commit that `to` reaches, itself among them.
pub(super) fn reachable(history: &History, to: CommitId) -> Result<HashSet<Oid>, ReadError> {
    walk(history, None, to)
}

fn walk(history: &History, hidden: Option<CommitId>, to: CommitId) -> Result<HashSet<Oid>, ReadError> {
    let walked = || -> Result<HashSet<Oid>, git2::Error> {
        let mut walk = history.repo.revwalk()?;
        walk.push(to.to_git())?;
        if let Some(hidden) = hidden {
            walk.hide(hidden.to_git())?;
        }
        walk.collect()
    };
    walked().map_err(|error| ReadError::corrupt(&error))
}
