//! How old each object is: when it first came into the history, whatever file it was in.
//!
//! Must not decide between objects, and must not forget: an age once known is kept, also when a rewritten history
//! would tell another one (design.md, "Age in Git").

use std::collections::{BTreeMap, BTreeSet};

use skerry_core::id::ObjectKey;
use skerry_core::policy::Object;
use skerry_core::world::Age;

use crate::history::History;
use crate::oid::CommitId;
use crate::read_error::ReadError;
use crate::tree::normalize;

mod identity;
mod order;
mod scan;

/// The commit that brought an object into the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstSeen {
    /// The commit.
    pub commit: CommitId,
    /// When it was committed: seconds since 1970, by the committer's clock.
    pub seconds: i64,
}

/// What is known of ages at one commit. The controller keeps it in its state store, object by object.
///
/// Commits are looked at in one order that depends on the graph alone, not on clocks: all of a commit's first
/// parent's history, then that of its further parents, then itself. Each is compared with its first parent. So
/// advancing along a branch commit by commit tells the same ages as reading it at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ages {
    path: String,
    at: Option<CommitId>,
    /// Grows with every object that ever was; an object that is removed and comes back keeps its age.
    by_object: BTreeMap<ObjectKey, FirstSeen>,
}

/// What an advance learned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgeReport {
    /// How many commits were looked at.
    pub commits: usize,
    /// Objects that were new.
    pub learned: BTreeMap<ObjectKey, FirstSeen>,
    /// The history was rewritten: what was known before is kept.
    pub rewritten: Option<Rewritten>,
    /// Objects that are older than a shallow clone reaches: their age is not known, and not guessed.
    pub unanswered: BTreeSet<ObjectKey>,
}

impl AgeReport {
    /// Refuses objects whose age a shallow clone cannot tell and that do not tell it themselves.
    ///
    /// # Errors
    /// [`ReadError::Shallow`].
    pub fn must_answer<'a>(&self, objects: impl Iterator<Item = &'a Object>) -> Result<(), ReadError> {
        let unanswered: BTreeSet<_> = objects
            .filter(|object| object.created.is_none() && self.unanswered.contains(&object.key))
            .map(|object| &object.key)
            .collect();
        match unanswered.first() {
            Some(example) => {
                Err(ReadError::Shallow { objects: unanswered.len(), example: example.to_string() })
            }
            None => Ok(()),
        }
    }
}

/// Ages that come from commits which the history no longer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// The commit whose history was known.
    pub from: CommitId,
    /// The objects that keep an age from a commit which is gone, in order.
    pub kept: Vec<ObjectKey>,
}

impl Ages {
    /// Starts with nothing known, for objects below `path`.
    pub fn new(path: &str) -> Self {
        Self { path: normalize(path), ..Self::default() }
    }

    /// Goes on with what was known: of what is below `path`, up to the commit `at`.
    pub fn restore(
        path: &str,
        at: Option<CommitId>,
        objects: impl IntoIterator<Item = (ObjectKey, FirstSeen)>,
    ) -> Self {
        Self { path: normalize(path), at, by_object: objects.into_iter().collect() }
    }

    /// Returns the folder.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Lists everything that is known, in the order of the keys.
    pub fn objects(&self) -> impl Iterator<Item = (&ObjectKey, FirstSeen)> {
        self.by_object.iter().map(|(key, first)| (key, *first))
    }

    /// Returns the commit up to which the history is known.
    pub fn at(&self) -> Option<CommitId> {
        self.at
    }

    /// Returns the commit that introduced an object.
    pub fn first_seen(&self, key: &ObjectKey) -> Option<FirstSeen> {
        self.by_object.get(key).copied()
    }

    /// Tells an object's age: its committed `metadata.creationTimestamp`, else the commit that introduced it.
    pub fn age_of(&self, object: &Object) -> Age {
        let committed = self.by_object.get(&object.key).map(|first| first.seconds);
        object.created.or(committed).map_or(Age::Unknown, Age::Known)
    }

    /// Learns the history of `to`, reading only commits and blobs that are new.
    ///
    /// # Errors
    /// On any error nothing has changed.
    pub fn advance(&mut self, history: &History, to: CommitId) -> Result<AgeReport, ReadError> {
        let (report, learned) = self.read(history, to)?;
        self.accept(learned);
        Ok(report)
    }

    /// Reads what [`Ages::accept`] then takes: for callers that may still fail in between.
    pub(crate) fn read(&self, history: &History, to: CommitId) -> Result<(AgeReport, Learned), ReadError> {
        let mut report = AgeReport::default();
        let mut by_object = BTreeMap::new();
        let known = self.at.filter(|at| history.contains(*at));
        if known == Some(to) {
            return Ok((report, Learned { to, by_object }));
        }
        let cut = history.shallow_commits()?;
        let mut scan = scan::Scan::new(history, &self.path);
        for commit in order::new_commits(history, known, to)? {
            report.commits += 1;
            let (first, keys) = scan.introduced_by(commit)?;
            for key in keys.into_iter().filter(|key| !self.by_object.contains_key(key)) {
                if cut.contains(&commit) {
                    report.unanswered.insert(key);
                } else if !report.unanswered.contains(&key) {
                    by_object.entry(key).or_insert(first);
                }
            }
        }
        report.rewritten = self.rewritten(history, to)?;
        report.learned = by_object.clone();
        Ok((report, Learned { to, by_object }))
    }

    /// Takes what was read.
    pub(crate) fn accept(&mut self, learned: Learned) {
        self.by_object.extend(learned.by_object);
        self.at = Some(learned.to);
    }

    fn rewritten(&self, history: &History, to: CommitId) -> Result<Option<Rewritten>, ReadError> {
        let Some(from) = self.at else { return Ok(None) };
        if history.is_ancestor(from, to)? || history.is_ancestor(to, from)? {
            return Ok(None);
        }
        let reachable = order::reachable(history, to)?;
        let gone = |first: &FirstSeen| !reachable.contains(&first.commit.to_git());
        let kept = self.by_object.iter().filter(|(_, first)| gone(first));
        Ok(Some(Rewritten { from, kept: kept.map(|(key, _)| key.clone()).collect() }))
    }
}

/// Ages that were read and not yet taken.
pub(crate) struct Learned {
    to: CommitId,
    by_object: BTreeMap<ObjectKey, FirstSeen>,
}
