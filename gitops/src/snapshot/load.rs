//! Reads a whole source once, for the commands that need no server: `validate`, `render`, `diff`, `explain`.
//!
//! There is nothing before, so nothing is held: a refused object is simply absent, and a flawed one is as its
//! document says.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::Revision;
use skerry_core::policy::Object;
use skerry_core::world::Age;

use super::catalog::Catalog;
use super::{Aging, SourceTree, folder};
use crate::history::History;
use crate::read_error::ReadError;

/// The content of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What was read.
    pub revision: Revision,
    /// Every object that can be used, by key, with its age.
    pub objects: Vec<(Object, Age)>,
    /// What is wrong with the rest, and with those that are flawed.
    pub diagnostics: Diagnostics,
    /// How many documents of other systems there are, by kind.
    pub foreign: BTreeMap<String, usize>,
    /// How many policy files were read.
    pub files: usize,
    /// How many links, submodules and unprintable names were passed over; each has a diagnostic.
    pub ignored: usize,
}

/// Reads a plain folder. Locations are relative to it; ages are unknown where none is committed.
///
/// # Errors
/// [`ReadError::FolderNotFound`], [`ReadError::TooMany`], [`ReadError::Io`].
pub fn load_folder(path: &Path) -> Result<Loaded, ReadError> {
    let folder = folder::read(path)?;
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
    let advance = tree.advance(&history, resolved.commit)?;
    let owned = |object: Arc<Object>| Arc::unwrap_or_clone(object);
    Ok(Loaded {
        revision: resolved.revision,
        objects: advance.upserts.into_iter().map(|aged| (owned(aged.object), aged.age)).collect(),
        diagnostics: advance.diagnostics,
        foreign: advance.foreign,
        files: advance.files,
        ignored: advance.ignored,
    })
}
