//! The objects of a source at one commit, advanced commit by commit at the cost of what changed.
//!
//! Reads blobs and hands them to the pure [`catalog`]; must not decide what wins or what is kept.

use std::collections::{BTreeMap, BTreeSet};

use skerry_core::check::chosen_mesh;
use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::policy::{Mesh, Spec};
use skerry_core::world::{Age, Aged};

use crate::age::{AgeReport, Ages};
use crate::history::{Blob, History};
use crate::oid::{BlobId, CommitId};
use crate::read_error::ReadError;
use crate::tree::{Ignored, TreeChanges, normalize};

pub mod catalog;
pub mod file;
pub mod folder;
pub mod hold;
pub mod kept;
pub mod load;
mod past;

use catalog::{Batch, Catalog, Changed};
use file::SourceFile;
use hold::{Held, Hold};
use kept::KeptFiles;

/// Whether ages are worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aging {
    /// From the history, which must be complete.
    FromHistory,
    /// Not at all: every object without a committed `metadata.creationTimestamp` is of unknown age.
    Skip,
}

/// The state of a source at one commit.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTree {
    path: String,
    commit: Option<CommitId>,
    catalog: Catalog,
    /// Entries that are passed over. Each is also a file of the catalog, with one diagnostic.
    ignored: BTreeSet<String>,
    /// `None` when ages are skipped.
    ages: Option<Ages>,
}

/// What an advance changed, and what holds after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Advance {
    /// The commit before; `None` for the first.
    pub from: Option<CommitId>,
    /// The commit now.
    pub to: CommitId,
    /// Objects that are new or differ, in the order of their keys.
    pub upserts: Vec<Aged>,
    /// Objects that are gone, in order.
    pub deletes: Vec<ObjectKey>,
    /// All diagnostics of the source as it is now, not only new ones.
    pub diagnostics: Diagnostics,
    /// How many documents of other systems there are now, by kind.
    pub foreign: BTreeMap<String, usize>,
    /// How many policy files there are now.
    pub files: usize,
    /// How many links, submodules and unprintable names are passed over now; each has a diagnostic.
    pub ignored: usize,
    /// What was learned of ages.
    pub ages: AgeReport,
}

impl SourceTree {
    /// Starts empty, at no commit, for what is below `path` of a repository.
    pub fn new(path: &str, aging: Aging) -> Self {
        let ages = match aging {
            Aging::FromHistory => Some(Ages::new(path)),
            Aging::Skip => None,
        };
        let (path, catalog) = (normalize(path), Catalog::default());
        Self { path, commit: None, catalog, ignored: BTreeSet::new(), ages }
    }

    /// Builds the state at `commit` anew, after a restart. With the holds and ages that were saved at that commit the
    /// result equals that of the advances that led there (invariant 3), if the versions that holds keep can be read:
    /// `kept` is asked for their files first, then the history. Those that cannot are [`SourceTree::lost`].
    ///
    /// # Errors
    /// As [`SourceTree::advance`].
    pub fn restore(
        history: &History,
        path: &str,
        commit: CommitId,
        (holds, kept): (&BTreeMap<ObjectKey, Hold>, &KeptFiles),
        ages: Ages,
    ) -> Result<(Self, Advance), ReadError> {
        let mut tree = Self { ages: Some(ages), ..Self::new(path, Aging::Skip) };
        for (key, hold) in holds {
            let file = kept.read(hold.blob, history);
            let file = file.map(|bytes| SourceFile::read(&hold.path, Some(hold.blob), &bytes));
            match file.and_then(|file| file.find(key, hold.line)) {
                Some(version) => tree.catalog.seed(Held { version, hold: hold.clone() }),
                None => tree.catalog.seed_lost(key.clone(), hold.clone()),
            }
        }
        let mut advance = tree.advance(history, commit)?;
        advance.deletes.clear();
        tree.tell_all(&mut advance);
        Ok((tree, advance))
    }

    /// Makes an advance name every object, for somebody who does not know what there was before it.
    pub fn tell_all(&self, advance: &mut Advance) {
        advance.upserts = self.objects().collect();
        advance.diagnostics = self.catalog.diagnostics();
    }

    /// Gives up what is [`SourceTree::lost`]: documents count as they are, and objects without one are gone. Returns
    /// those.
    pub fn give_up_lost(&mut self) -> BTreeSet<ObjectKey> {
        self.catalog.give_up_lost()
    }

    /// Goes to another commit, forwards or anywhere else, reading only the files that differ.
    ///
    /// A guard that refuses what comes out (mass removal, say) goes back exactly by [`SourceTree::restore`] with the
    /// commit and the holds from before.
    ///
    /// # Errors
    /// [`ReadError::PathNotFound`] when the commit has no such folder, [`ReadError::Shallow`] when ages are asked for
    /// and the history is cut, and what else may hinder reading. On any error nothing has changed.
    pub fn advance(&mut self, history: &History, to: CommitId) -> Result<Advance, ReadError> {
        let changes = history.changed_files(self.commit, to, &self.path)?;
        let batch = read(history, &changes)?;
        let mut report = AgeReport::default();
        if let Some(ages) = &mut self.ages {
            let (read, learned) = ages.read(history, to)?;
            read.must_answer(batch.values().flatten().flat_map(SourceFile::objects).map(|object| &**object))?;
            ages.accept(learned);
            report = read;
        }
        let from = self.commit.replace(to);
        let changed = self.catalog.apply(batch, from);
        for (path, ignored) in changes.ignored {
            match ignored {
                Some(_) => self.ignored.insert(path),
                None => self.ignored.remove(&path),
            };
        }
        Ok(self.report(from, to, changed, report))
    }

    fn report(&self, from: Option<CommitId>, to: CommitId, changed: Changed, ages: AgeReport) -> Advance {
        let upserts = changed.upserts.iter().filter_map(|key| self.object(key)).collect();
        Advance {
            from,
            to,
            upserts,
            deletes: changed.deletes.into_iter().collect(),
            diagnostics: self.catalog.diagnostics(),
            foreign: self.catalog.foreign().clone(),
            files: self.catalog.files() - self.ignored.len(),
            ignored: self.ignored.len(),
            ages,
        }
    }

    /// Returns the commit that the state is of.
    pub fn commit(&self) -> Option<CommitId> {
        self.commit
    }

    /// Returns what is known of ages, to be saved with the holds.
    pub fn ages(&self) -> Option<&Ages> {
        self.ages.as_ref()
    }

    /// Lists the objects that are kept although the commit does not have them in good order, and where from.
    pub fn holds(&self) -> &BTreeMap<ObjectKey, Hold> {
        self.catalog.holds()
    }

    /// Lists objects that are in force in a version that cannot be read any more, and that are held as far as documents
    /// tell. They are not among the objects. Empty but for what [`SourceTree::restore`] began with.
    pub fn lost(&self) -> &BTreeMap<ObjectKey, Hold> {
        self.catalog.lost()
    }

    /// Lists the commits that this state needs, for [`crate::mirror::Mirror::retain`]: its own and those of its holds.
    pub fn needed_commits(&self) -> BTreeSet<CommitId> {
        self.commit.into_iter().chain(self.holds().values().map(|hold| hold.commit)).collect()
    }

    /// Lists every object, held ones among them, in the order of their keys.
    pub fn objects(&self) -> impl Iterator<Item = Aged> {
        self.catalog.objects().map(|object| self.aged(object))
    }

    /// Counts what is in force by kind, lost objects among it; kinds without any are left out.
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = self.catalog.counts().clone();
        for key in self.lost().keys() {
            *counts.entry(key.kind).or_default() += 1;
        }
        counts
    }

    /// Returns the share that may go unasked: that of the `Mesh` in force, in percent.
    pub fn max_removal_percent(&self) -> u8 {
        // Kinds are in order, and `Mesh` is the first.
        let meshes: Vec<Aged> =
            self.objects().take_while(|aged| aged.object.key.kind == Kind::Mesh).collect();
        match chosen_mesh(meshes.iter()).map(|aged| &aged.object.spec) {
            Some(Spec::Mesh(mesh)) => mesh.max_removal_percent,
            _ => Mesh::default().max_removal_percent,
        }
    }

    /// Describes what is there as an advance that changed nothing; `None` before the first commit.
    pub fn standing(&self) -> Option<Advance> {
        let commit = self.commit?;
        Some(self.report(Some(commit), commit, Changed::default(), AgeReport::default()))
    }

    /// Looks an object up.
    pub fn object(&self, key: &ObjectKey) -> Option<Aged> {
        self.catalog.object(key).map(|object| self.aged(object))
    }

    fn aged(&self, object: &std::sync::Arc<skerry_core::policy::Object>) -> Aged {
        let unaged = || object.created.map_or(Age::Unknown, Age::Known);
        let age = self.ages.as_ref().map_or_else(unaged, |ages| ages.age_of(object));
        Aged { age, object: object.clone() }
    }
}

fn read(history: &History, changes: &TreeChanges) -> Result<Batch, ReadError> {
    let file = |path: &str, blob: BlobId| {
        Ok(match history.read_blob(blob)? {
            Blob::Bytes(bytes) => SourceFile::read(path, Some(blob), &bytes),
            Blob::TooLarge { size } => SourceFile::over_budget(path, Some(blob), size),
        })
    };
    // What is passed over may stand for a file that was read before, so it comes after.
    let ignored = changes.ignored.iter();
    let passed_over = |(path, why): (&String, &Option<Ignored>)| {
        (path.clone(), why.map(|why| SourceFile::passed_over(path, why)))
    };
    let mut batch: Batch = ignored.clone().filter(|(_, why)| why.is_none()).map(passed_over).collect();
    for change in &changes.files {
        batch.insert(change.path.clone(), change.blob.map(|blob| file(&change.path, blob)).transpose()?);
    }
    batch.extend(ignored.filter(|(_, why)| why.is_some()).map(passed_over));
    Ok(batch)
}
