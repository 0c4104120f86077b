//! Files → objects: which document of an object counts, and what stays when a document goes bad.
//!
//! Pure: no Git, no files. The rules:
//!
//! 1. Of several documents for one object a good one counts before a flawed one (that has errors and can be used all
//!    the same), then the first by path, then by place in the file; each further one is a `DuplicateObject`.
//! 2. A refused document never counts, and hides no other.
//! 3. An object that was there and has no usable document now is **held**: it stays as it last was, as long as (a) a
//!    refused document names it, or (b) the file that it came from has documents that may be anything. A file over
//!    budget is such a file. If that file is gone and the same step brings a new file with such documents, the hold
//!    waits for that one: it may be the old one, renamed.
//! 4. An object in force in a good version and with flawed documents at best now is held too. Was the version in force
//!    flawed itself, or is there none, the flawed document counts.
//! 5. Otherwise it is removed.
//! 6. Of a hold whose version cannot be read any more (**lost**) the same rules tell how long it stands. As long as it
//!    does, the object is in force and not among those here, whatever flawed documents there are; that a head must not
//!    go into force meanwhile is for others to see to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skerry_core::diagnostic::{Code, Diagnostic, Diagnostics, Location};
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::policy::Object;

use super::file::{Entry, Soundness, SourceFile, Version};
use super::hold::{Held, Hold};
use crate::oid::{BlobId, CommitId};

/// Files that are new or differ, and files that are gone (`None`), by path.
pub type Batch = BTreeMap<String, Option<SourceFile>>;

/// The objects of all files together. Every map below is kept current by [`Catalog::apply`] alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalog {
    files: BTreeMap<String, SourceFile>,
    /// Every document of ours with a known identity, usable or refused.
    claims: BTreeMap<ObjectKey, BTreeSet<Claim>>,
    live: BTreeMap<ObjectKey, Live>,
    /// How many of them there are of each kind. No zeros.
    counts: BTreeMap<Kind, usize>,
    /// A subset of `live`.
    holds: BTreeMap<ObjectKey, Hold>,
    /// Holds of rule 6. None is in `live`.
    lost: BTreeMap<ObjectKey, Hold>,
    /// Diagnostics about an object as a whole; files carry their own. No empty lists.
    notes: BTreeMap<ObjectKey, Vec<Diagnostic>>,
    /// Files that have diagnostics.
    remarked: BTreeSet<String>,
    /// The sum over all files. No zeros.
    foreign: BTreeMap<String, usize>,
}

/// The place of a document. The order is that of rule 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    path: String,
    index: usize,
}

#[derive(Debug, Clone, PartialEq)]
struct Live {
    version: Version,
    blob: Option<BlobId>,
    path: String,
    line: u32,
}

/// The objects that a batch changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// New ones and ones that differ.
    pub upserts: BTreeSet<ObjectKey>,
    /// Ones that are gone.
    pub deletes: BTreeSet<ObjectKey>,
}

/// What a batch says to all of its objects.
struct Step {
    /// The commit that had the state before; nothing can be held without one.
    before: Option<CommitId>,
    /// The first new file with documents that may be anything.
    newcomer: Option<String>,
}

impl Catalog {
    /// Takes a batch of files. `before` is the commit that the state before was of, if any: holds name it.
    /// Cost is that of the batch's objects, not of all.
    pub fn apply(&mut self, batch: Batch, before: Option<CommitId>) -> Changed {
        let is_newcomer = |(path, file): &(&String, &Option<SourceFile>)| {
            !self.files.contains_key(*path) && file.as_ref().is_some_and(|file| file.unreadable > 0)
        };
        let newcomer = before.and_then(|_| batch.iter().find(is_newcomer).map(|(path, _)| path.clone()));
        let mut touched = self.waiting_for(&batch);
        for (path, file) in batch {
            self.replace(&path, file, &mut touched);
        }
        let step = Step { before, newcomer };
        let mut changed = Changed::default();
        for key in touched {
            self.resolve(key, &step, &mut changed);
        }
        changed
    }

    /// Lists the held objects whose file is in the batch, or is gone (after a restart with holds of another commit).
    fn waiting_for(&self, batch: &Batch) -> BTreeSet<ObjectKey> {
        let concerned = |path: &String| batch.contains_key(path) || !self.files.contains_key(path);
        let holds = self.holds.iter().chain(&self.lost);
        holds.filter(|(_, hold)| concerned(&hold.waits_for)).map(|(key, _)| key.clone()).collect()
    }

    /// Puts a held object in place before the first batch, after a restart.
    pub(super) fn seed(&mut self, held: Held) {
        let Held { version, hold } = held;
        let live = Live { version, blob: Some(hold.blob), path: hold.path.clone(), line: hold.line };
        let key = live.object().key.clone();
        self.set_live(&key, Some(live));
        self.holds.insert(key, hold);
    }

    /// Notes a hold whose version cannot be read, before the first batch, after a restart.
    pub(super) fn seed_lost(&mut self, key: ObjectKey, hold: Hold) {
        self.lost.insert(key, hold);
    }

    /// Gives up the holds whose version cannot be read: what documents say of their objects now counts. Returns the
    /// objects that are gone by that.
    pub(super) fn give_up_lost(&mut self) -> BTreeSet<ObjectKey> {
        let (step, mut changed) = (Step { before: None, newcomer: None }, Changed::default());
        let lost: BTreeSet<ObjectKey> = std::mem::take(&mut self.lost).into_keys().collect();
        for key in &lost {
            self.resolve(key.clone(), &step, &mut changed);
        }
        lost.into_iter().filter(|key| !self.live.contains_key(key)).collect()
    }

    fn set_live(&mut self, key: &ObjectKey, live: Option<Live>) -> Option<Live> {
        let is_there = live.is_some();
        let old = set(&mut self.live, key, live);
        let count = self.counts.entry(key.kind).or_default();
        *count = *count + usize::from(is_there) - usize::from(old.is_some());
        if *count == 0 {
            self.counts.remove(&key.kind);
        }
        old
    }

    /// Counts objects by kind; kinds without any are left out.
    pub fn counts(&self) -> &BTreeMap<Kind, usize> {
        &self.counts
    }

    /// Lists the content of each file that is read.
    pub(super) fn blobs(&self) -> BTreeMap<&str, Option<BlobId>> {
        let read = self.files.iter().filter(|(_, file)| !file.is_passed_over);
        read.map(|(path, file)| (path.as_str(), file.blob)).collect()
    }

    /// Lists the files that an object may be held for: with documents that are not good, or may be anything.
    pub(super) fn doubtful(&self) -> BTreeSet<String> {
        self.files.iter().filter(|(_, file)| file.is_doubtful()).map(|(path, _)| path.clone()).collect()
    }

    /// Makes the batch that leads from the files here to those there.
    pub(super) fn batch_to(&self, there: &Self) -> Batch {
        let differ = there.files.iter().filter(|(path, file)| self.files.get(*path) != Some(file));
        let gone = self.files.keys().filter(|path| !there.files.contains_key(*path));
        let differ = differ.map(|(path, file)| (path.clone(), Some(file.clone())));
        differ.chain(gone.map(|path| (path.clone(), None))).collect()
    }

    /// Returns the holds.
    pub fn holds(&self) -> &BTreeMap<ObjectKey, Hold> {
        &self.holds
    }

    /// Returns the holds whose version cannot be read any more.
    pub fn lost(&self) -> &BTreeMap<ObjectKey, Hold> {
        &self.lost
    }

    /// Lists every object, in order.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.live.values().map(Live::object)
    }

    /// Looks an object up.
    pub fn object(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.live.get(key).map(Live::object)
    }

    /// Collects all diagnostics.
    pub fn diagnostics(&self) -> Diagnostics {
        let of_files =
            self.remarked.iter().filter_map(|path| self.files.get(path)).flat_map(|file| &file.diagnostics);
        of_files.chain(self.notes.values().flatten()).cloned().collect()
    }

    /// Counts documents of other systems by kind.
    pub fn foreign(&self) -> &BTreeMap<String, usize> {
        &self.foreign
    }

    /// Counts files.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    fn replace(&mut self, path: &str, file: Option<SourceFile>, touched: &mut BTreeSet<ObjectKey>) {
        if let Some(old) = self.files.remove(path) {
            self.forget(path, &old, touched);
        }
        let Some(file) = file else { return };
        for (index, entry) in file.entries.iter().enumerate() {
            let claim = Claim { path: path.to_owned(), index };
            self.claims.entry(entry.key.clone()).or_default().insert(claim);
            touched.insert(entry.key.clone());
        }
        for (kind, count) in &file.foreign {
            *self.foreign.entry(kind.clone()).or_default() += count;
        }
        if !file.diagnostics.is_empty() {
            self.remarked.insert(path.to_owned());
        }
        self.files.insert(path.to_owned(), file);
    }

    fn forget(&mut self, path: &str, old: &SourceFile, touched: &mut BTreeSet<ObjectKey>) {
        self.remarked.remove(path);
        for (index, entry) in old.entries.iter().enumerate() {
            if let Some(claims) = self.claims.get_mut(&entry.key) {
                claims.remove(&Claim { path: path.to_owned(), index });
                if claims.is_empty() {
                    self.claims.remove(&entry.key);
                }
            }
            touched.insert(entry.key.clone());
        }
        for (kind, count) in &old.foreign {
            if let Some(total) = self.foreign.get_mut(kind) {
                *total -= count;
            }
        }
        self.foreign.retain(|_, total| *total > 0);
    }

    fn resolve(&mut self, key: ObjectKey, step: &Step, changed: &mut Changed) {
        let Verdict { live, hold, lost, notes } = self.decide(&key, step);
        set(&mut self.notes, &key, Some(notes).filter(|notes| !notes.is_empty()));
        set(&mut self.holds, &key, hold);
        let is_lost = lost.is_some();
        let was_lost = set(&mut self.lost, &key, lost).is_some();
        let old = self.set_live(&key, live);
        match (old, self.live.get(&key)) {
            (Some(_), None) => drop(changed.deletes.insert(key)),
            (None, None) if was_lost && !is_lost => drop(changed.deletes.insert(key)),
            (old, Some(new)) if old.as_ref().map(Live::object) != Some(new.object()) => {
                changed.upserts.insert(key);
            }
            _ => {}
        }
    }

    /// Decides about one object, by the rules at the top of this file.
    fn decide(&self, key: &ObjectKey, step: &Step) -> Verdict {
        let claims = self.claims.get(key).into_iter().flatten();
        let places: Vec<_> = claims.filter_map(|claim| self.place(claim)).collect();
        let mut usable: Vec<_> =
            places.iter().filter_map(|place| Some((*place, place.entry.version.as_ref()?))).collect();
        usable.sort_by_key(|(_, version)| version.soundness);
        let best = usable.first().map(|(_, version)| version.soundness);
        if best != Some(Soundness::Good) {
            if let Some((hold, note)) = self.hold(key, &places, best, step) {
                let live = self.live.get(key).cloned();
                return Verdict { live, hold: Some(hold), lost: None, notes: vec![note] };
            }
            if let lost @ Some(_) = self.still_lost(key, &places, step) {
                return Verdict { live: None, hold: None, lost, notes: Vec::new() };
            }
        }
        let live = usable.first().map(|(place, version)| Live::new(place, version));
        Verdict { live, hold: None, lost: None, notes: duplicates(&usable) }
    }

    /// Applies rules 3 and 4 to an object whose best document, if any, is not good.
    fn hold(
        &self,
        key: &ObjectKey,
        places: &[Place<'_>],
        best: Option<Soundness>,
        step: &Step,
    ) -> Option<(Hold, Diagnostic)> {
        let live = self.live.get(key).filter(|live| best.is_none_or(|best| live.version.soundness < best))?;
        let earlier = self.holds.get(key);
        let commit = earlier.map(|hold| hold.commit).or(step.before)?;
        let origin = earlier.map_or(&live.path, |hold| &hold.waits_for);
        let waits_for = self.waits_for(origin, places, step)?.to_owned();
        let hold = Hold { blob: live.blob?, path: live.path.clone(), line: live.line, commit, waits_for };
        let note = match places.first() {
            Some(place) => hold.beside_document(key, &place.entry.location),
            None => hold.beside_unreadable(key),
        };
        Some((hold, note))
    }

    /// Applies the same rules to a hold whose version cannot be read: it is taken for a good one.
    fn still_lost(&self, key: &ObjectKey, places: &[Place<'_>], step: &Step) -> Option<Hold> {
        let lost = self.lost.get(key)?;
        let waits_for = self.waits_for(&lost.waits_for, places, step)?.to_owned();
        Some(Hold { waits_for, ..lost.clone() })
    }

    /// Finds the file that keeps a hold alive, if one does; `origin` is the one that did, or that the object is from.
    fn waits_for<'a>(&self, origin: &'a str, places: &[Place<'a>], step: &'a Step) -> Option<&'a str> {
        if let Some(place) = places.first() {
            return Some(place.path);
        }
        match self.files.get(origin) {
            Some(file) => (file.unreadable > 0).then_some(origin),
            None => step.newcomer.as_deref(),
        }
    }

    fn place<'a>(&'a self, claim: &'a Claim) -> Option<Place<'a>> {
        let file = self.files.get(&claim.path)?;
        Some(Place { path: &claim.path, blob: file.blob, entry: file.entries.get(claim.index)? })
    }
}

/// What becomes of an object.
struct Verdict {
    live: Option<Live>,
    hold: Option<Hold>,
    lost: Option<Hold>,
    notes: Vec<Diagnostic>,
}

/// A document and where it is.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    blob: Option<BlobId>,
    entry: &'a Entry,
}

impl Live {
    fn new(place: &Place<'_>, version: &Version) -> Self {
        let (path, line) = (place.path.to_owned(), place.entry.location.line);
        Self { version: version.clone(), blob: place.blob, path, line }
    }

    fn object(&self) -> &Arc<Object> {
        &self.version.object
    }
}

fn duplicates(usable: &[(Place<'_>, &Version)]) -> Vec<Diagnostic> {
    let Some(((first, _), rest)) = usable.split_first() else { return Vec::new() };
    let duplicate = |(place, _): &(Place<'_>, &Version)| {
        let (first, entry) = (Location { column: 0, ..first.entry.location.clone() }, place.entry);
        let message =
            format!("the object is defined already at {first}; that one counts and this one does not");
        Diagnostic::error(Code::DuplicateObject, entry.location.clone(), message)
            .object(entry.key.clone())
            .help("remove one of the two, or give it another name or namespace")
    };
    rest.iter().map(duplicate).collect()
}

/// Sets or removes an entry of a map, and returns what was there.
fn set<V>(map: &mut BTreeMap<ObjectKey, V>, key: &ObjectKey, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key.clone(), value),
        None => map.remove(key),
    }
}
