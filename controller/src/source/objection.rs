//! Why a head that was read waits for a confirmation, in words: what is wrong, how to go on, how to go back.
//!
//! Must not decide.

use std::collections::BTreeMap;

use skerry_core::id::ObjectKey;
use skerry_gitops::limits::NAMES_IN_ERROR;
use skerry_gitops::mirror::Head;
use skerry_gitops::removal::MassRemoval;
use skerry_gitops::snapshot::hold::Hold;

use super::folder;

/// It removes too much at once.
pub(super) fn taken(head: &Head, mass: &MassRemoval, sites: usize) -> String {
    let commit = head.commit.short();
    let goes_on = if sites == 1 { "1 site goes on".to_owned() } else { format!("{sites} sites go on") };
    format!(
        "{commit} {mass} ({goes_on} as before); if that was meant, run `skerry source confirm {commit}`; \
         else bring them back"
    )
}

/// What is in force is not known.
pub(super) fn unknown(head: &Head) -> String {
    let commit = head.commit.short();
    format!(
        "what is in force cannot be read any more, so it cannot be told what {commit} takes away; if it is as it should \
         be, run `skerry source confirm {commit}`"
    )
}

/// Objects are held, and the versions that are kept of them cannot be read.
pub(super) fn lost(head: &Head, lost: &BTreeMap<ObjectKey, Hold>) -> String {
    let commit = head.commit.short();
    let name = |(key, hold): (&ObjectKey, &Hold)| {
        format!("{key} (commit {}, {}:{})", hold.commit.short(), hold.path, hold.line)
    };
    let mut names: Vec<String> = lost.iter().take(NAMES_IN_ERROR).map(name).collect();
    if lost.len() > names.len() {
        names.push(format!("{} more", lost.len() - names.len()));
    }
    format!(
        "documents at {commit} have errors, and the last good versions, which are in force, cannot be read any more: {}; \
         correct the documents, or run `skerry source confirm {commit}` to go on without those versions",
        names.join(", ")
    )
}

/// It has nothing.
pub(super) fn emptied(head: &Head, path: &str) -> String {
    let (commit, path) = (head.commit.short(), folder::shown(path));
    format!(
        "{commit} has no object of ours below `{path}`, and what is in force has some; \
         if that was meant, run `skerry source confirm {commit}`; else correct the path or bring the files back"
    )
}

/// It is another folder.
pub(super) fn moved(head: &Head, from: &str, to: &str, objects: usize) -> String {
    let (commit, from, to) = (head.commit.short(), folder::shown(from), folder::shown(to));
    format!(
        "the path was changed from `{from}` to `{to}`, which has {objects} objects of ours at {commit}; \
         if that was meant, run `skerry source confirm {commit}`; else set the path back"
    )
}
