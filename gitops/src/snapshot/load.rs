//! Reads a whole source once, for the commands that need no server: `validate`, `render`, `diff`, `explain`.
//!
//! By itself there is nothing before, so nothing is held: a refused object is simply absent, and a flawed one is as its
//! document says. [`Loaded::after`] is for commands that know what was before, and [`load_past`] finds it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::{ObjectKey, Revision};
use skerry_core::policy::Object;
use skerry_core::world::Age;

use super::catalog::Catalog;
use super::hold::Hold;
use super::{Aging, SourceTree, folder, past};
use crate::history::History;
use crate::oid::{BlobId, CommitId};
use crate::read_error::ReadError;
use crate::tree::normalize;

/// The content of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What was read.
    pub revision: Revision,
    /// Every object that can be used or is held, by key, with its age.
    pub objects: Vec<(Object, Age)>,
    /// What is wrong with the rest, and with those that are flawed.
    pub diagnostics: Diagnostics,
    /// How many documents of other systems there are, by kind.
    pub foreign: BTreeMap<String, usize>,
    /// How many policy files were read.
    pub files: usize,
    /// How many links, submodules and unprintable names were passed over; each has a diagnostic.
    pub ignored: usize,
    /// What the objects were made of, for [`Loaded::after`].
    catalog: Catalog,
    /// `None` of a folder.
    commit: Option<CommitId>,
}

impl Loaded {
    /// Stands for a revision or a folder (`None`) without anything in it.
    pub fn nothing(revision: Revision, commit: Option<CommitId>) -> Self {
        let tree = SourceTree { commit, ..SourceTree::new("", Aging::Skip) };
        Self::of(tree, revision)
    }

    /// Lists the objects that are held, and where from; none before [`Loaded::after`].
    pub fn holds(&self) -> &BTreeMap<ObjectKey, Hold> {
        self.catalog.holds()
    }

    /// Says what a core makes of this that has `base` in force: what it would hold is as it was (ADR 0003). The files
    /// of both must be named from the same top.
    #[must_use]
    pub fn after(mut self, base: &Self) -> Self {
        let mut catalog = base.catalog.clone();
        catalog.apply(base.catalog.batch_to(&self.catalog), Some(base.commit.unwrap_or(CommitId::NONE)));
        let holds = catalog.holds();
        self.objects.retain(|(object, _)| !holds.contains_key(&object.key));
        self.objects
            .extend(base.objects.iter().filter(|(object, _)| holds.contains_key(&object.key)).cloned());
        self.objects.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
        self.diagnostics = catalog.diagnostics();
        self.catalog = catalog;
        self
    }

    /// Says whether these are the policy files of a commit, byte by byte.
    ///
    /// # Errors
    /// The commit cannot be read. One without the folder has none of them.
    pub fn is_of(&self, history: &History, commit: CommitId, path: &str) -> Result<bool, ReadError> {
        let there = match history.changed_files(None, commit, path) {
            Ok(changes) => changes.files,
            Err(ReadError::PathNotFound { .. }) => Vec::new(),
            Err(error) => return Err(error),
        };
        let there: BTreeMap<&str, Option<BlobId>> =
            there.iter().map(|file| (file.path.as_str(), file.blob)).collect();
        Ok(self.catalog.blobs() == there)
    }

    fn of(tree: SourceTree, revision: Revision) -> Self {
        let owned = |object: Arc<Object>| Arc::unwrap_or_clone(object);
        Self {
            revision,
            objects: tree.objects().map(|aged| (owned(aged.object), aged.age)).collect(),
            diagnostics: tree.catalog.diagnostics(),
            foreign: tree.catalog.foreign().clone(),
            files: tree.catalog.files() - tree.ignored.len(),
            ignored: tree.ignored.len(),
            commit: tree.commit,
            catalog: tree.catalog,
        }
    }
}

/// Reads the folder `path` of a plain folder. Locations are relative to `top`; ages are unknown where none is committed.
///
/// # Errors
/// [`ReadError::FolderNotFound`], [`ReadError::TooMany`], [`ReadError::Io`].
pub fn load_folder(top: &Path, path: &str) -> Result<Loaded, ReadError> {
    let folder = folder::read(top, &normalize(path))?;
    let mut catalog = Catalog::default();
    catalog.apply(folder.files, None);
    let age = |object: &Object| object.created.map_or(Age::Unknown, Age::Known);
    Ok(Loaded {
        revision: Revision::folder(),
        objects: catalog.objects().map(|object| (Object::clone(object), age(object))).collect(),
        diagnostics: catalog.diagnostics(),
        foreign: catalog.foreign().clone(),
        files: catalog.files() - folder.ignored,
        ignored: folder.ignored,
        catalog,
        commit: None,
    })
}

/// Reads a revision of a clone or a bare repository: a branch, a tag, a hash, `HEAD~1`. The work tree is not looked at.
///
/// `repository` may be a folder inside a clone; `path` is then below that folder. Locations are relative to the top
/// of the repository.
///
/// # Errors
/// [`ReadError::NotARepository`], [`ReadError::RevisionNotFound`], and those of [`SourceTree::advance`].
pub fn load_revision(
    repository: &Path,
    revision: &str,
    path: &str,
    aging: Aging,
) -> Result<Loaded, ReadError> {
    let history = History::open(repository)?;
    let resolved = history.resolve(revision)?;
    let path = format!("{}/{path}", history.prefix_of(repository));
    let mut tree = SourceTree::new(&path, aging);
    tree.advance(&history, resolved.commit)?;
    Ok(Loaded::of(tree, resolved.revision))
}

/// Reads what a core has in force that followed the history up to `now`, before it came to that: the base for
/// [`Loaded::after`]. Of a folder it is the history of HEAD. `None` where nothing could be held.
///
/// # Errors
/// As [`load_revision`].
pub fn load_past(repository: &Path, path: &str, now: &Loaded) -> Result<Option<Loaded>, ReadError> {
    let doubtful = now.catalog.doubtful();
    if doubtful.is_empty() {
        return Ok(None);
    }
    let history = History::open(repository)?;
    let path = format!("{}/{path}", history.prefix_of(repository));
    let steps = past::steps(&history, &path, now.commit, doubtful)?;
    if steps.is_empty() {
        return Ok(None);
    }
    let mut tree = SourceTree::new(&path, Aging::FromHistory);
    for commit in steps {
        tree.advance(&history, commit)?;
    }
    let revision = now.revision.clone();
    Ok(Some(Loaded::of(tree, revision)))
}
