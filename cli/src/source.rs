//! Reads a source of policies: a revision of a Git repository, the files of a clone as they are, or a plain folder.
//!
//! Must not compile and must not print.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use skerry_core::diagnostic::{Diagnostics, Severity};
use skerry_core::id::Revision;
use skerry_core::world::World;
use skerry_gitops::history::History;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::remote::Remote;
use skerry_gitops::snapshot::{Aging, load};

use crate::args::source::{RevisionArgs, SourceArgs};
use crate::error::{CliError, ErrorKind};

pub mod commit;
pub mod policy;
pub mod signature;
mod work_tree;

/// How many of the things are named that were passed over where there is nothing else.
const PASSED_OVER: usize = 3;

/// A source that was found; nothing of it is read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As it was typed.
    typed: PathBuf,
    kind: SourceKind,
    /// The folder inside it.
    path: String,
}

/// What a source turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceKind {
    /// The top of a clone.
    WorkTree,
    /// A repository without files.
    Bare,
    /// A folder that is neither.
    Folder,
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// The revision; a folder has none.
    pub revision: Revision,
    /// The objects in good order.
    pub world: World,
    /// What is wrong with the rest.
    pub diagnostics: Diagnostics,
    /// How many policy files there are.
    pub files: usize,
    /// Documents of other systems, by kind.
    pub foreign: BTreeMap<String, usize>,
    /// Where lines and commits are looked up.
    pub origin: Origin,
}

/// Where the text of a location is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In a file below this folder.
    Folder {
        /// The folder that locations are relative to.
        root: PathBuf,
        /// The same for people: as it was typed.
        shown: String,
        /// The repository that it is the work tree of, if it is one, and where the folder is in it.
        work_tree: Option<(PathBuf, String)>,
    },
    /// In a commit; locations are relative to the top.
    Commit {
        /// The repository.
        repository: PathBuf,
        /// The revision, as it was typed.
        revision: String,
    },
}

impl Source {
    /// Finds out what a source is.
    pub fn find(args: &SourceArgs) -> Result<Self, CliError> {
        refuse_url(&args.source)?;
        refuse_way_out(&args.path)?;
        let typed = PathBuf::from(&args.source);
        if !typed.is_dir() {
            let error = CliError::new(ErrorKind::Source, format!("there is no folder `{}`", typed.display()));
            return Err(
                error.hint("name a folder with policies, a clone, or a bare repository with `--source`")
            );
        }
        let kind = match () {
            () if typed.join(".git").exists() => SourceKind::WorkTree,
            () if is_bare(&typed) => SourceKind::Bare,
            () => SourceKind::Folder,
        };
        Ok(Self { typed, kind, path: args.path.clone() })
    }

    /// Reads it: a revision if one is named, else the files as they are; of a bare repository HEAD.
    pub fn load(&self, revision: Option<&str>) -> Result<Loaded, CliError> {
        match (revision, self.kind) {
            (Some(revision), _) => self.load_commit(revision),
            (None, SourceKind::Bare) => self.load_commit("HEAD"),
            (None, SourceKind::WorkTree | SourceKind::Folder) => self.load_files(),
        }
    }

    /// Says whether it is a folder without a history of its own.
    pub fn is_folder(&self) -> bool {
        self.kind == SourceKind::Folder
    }

    /// Reads it as [`Source::load`] does; where the folder inside it is missing, as nothing at all. A comparison tells
    /// so what a change does that brings or takes the folder.
    pub fn load_or_nothing(&self, revision: Option<&str>) -> Result<Loaded, CliError> {
        if self.path.is_empty() {
            return self.load(revision);
        }
        match (revision, self.kind) {
            (Some(revision), _) => self.commit_or_nothing(revision),
            (None, SourceKind::Bare) => self.commit_or_nothing("HEAD"),
            (None, SourceKind::WorkTree | SourceKind::Folder) if self.root().is_dir() => self.load_files(),
            (None, SourceKind::WorkTree | SourceKind::Folder) => {
                let (root, shown) = (self.root(), shown(&self.root()));
                let origin = Origin::Folder { root, shown, work_tree: None };
                Ok(Loaded::nothing(Revision::folder(), origin))
            }
        }
    }

    fn commit_or_nothing(&self, revision: &str) -> Result<Loaded, CliError> {
        match self.read_commit(revision) {
            Err(ReadError::PathNotFound { .. }) => {
                let resolved = History::open(&self.typed)?.resolve(revision)?;
                Ok(Loaded::nothing(resolved.revision, self.origin(revision)))
            }
            read => Ok(read?),
        }
    }

    fn origin(&self, revision: &str) -> Origin {
        Origin::Commit { repository: self.typed.clone(), revision: revision.to_owned() }
    }

    /// The folder that files are read from.
    fn root(&self) -> PathBuf {
        self.typed.join(&self.path)
    }

    fn load_commit(&self, revision: &str) -> Result<Loaded, CliError> {
        Ok(self.read_commit(revision)?)
    }

    fn read_commit(&self, revision: &str) -> Result<Loaded, ReadError> {
        let files = load::load_revision(&self.typed, revision, &self.path, Aging::FromHistory)?;
        Ok(Loaded::new(files, self.origin(revision)))
    }

    fn load_files(&self) -> Result<Loaded, CliError> {
        let root = self.root();
        let mut files = load::load_folder(&root)?;
        let work_tree = (self.kind == SourceKind::WorkTree).then(|| (self.typed.clone(), self.path.clone()));
        if work_tree.is_some() {
            work_tree::age(&mut files.objects, &self.typed, &self.path)?;
        }
        let shown = shown(&root);
        Ok(Loaded::new(files, Origin::Folder { root, shown, work_tree }))
    }
}

impl Loaded {
    fn new(files: load::Loaded, origin: Origin) -> Self {
        Self {
            revision: files.revision,
            world: World::new(files.objects),
            diagnostics: files.diagnostics,
            files: files.files,
            foreign: files.foreign,
            origin,
        }
    }

    fn nothing(revision: Revision, origin: Origin) -> Self {
        let (world, diagnostics, foreign) = (World::default(), Diagnostics::new(), BTreeMap::new());
        Self { revision, world, diagnostics, files: 0, foreign, origin }
    }

    /// Finds and reads a source that must hold something.
    pub fn read(args: &RevisionArgs) -> Result<Self, CliError> {
        let loaded = Source::find(&args.source)?.load(args.rev.as_deref())?;
        if loaded.files == 0 { Err(loaded.no_policy(&args.source)) } else { Ok(loaded) }
    }

    /// Says that there is nothing to work on, and what was passed over.
    pub fn no_policy(&self, source: &SourceArgs) -> CliError {
        let folder =
            if source.path.is_empty() { String::new() } else { format!("folder `{}` of ", source.path) };
        let message = format!("there is no policy file in {folder}`{}`", source.source);
        let hint =
            "policy files end in `.yaml`, `.yml` or `.json`; name their folder with `--source` and `--path`";
        let passed_over = self.diagnostics.iter().take(PASSED_OVER);
        passed_over.fold(CliError::new(ErrorKind::Source, message).hint(hint), |error, diagnostic| {
            error.hint(format!("{}: {}", diagnostic.location, diagnostic.message))
        })
    }

    /// Names what was read, for people.
    pub fn name(&self) -> String {
        match &self.origin {
            Origin::Commit { .. } => self.revision.to_string(),
            Origin::Folder { shown, .. } if shown.is_empty() => "the files as they are".to_owned(),
            Origin::Folder { shown, .. } => format!("the files in {shown}"),
        }
    }

    /// Returns the folder to put before locations, so that they can be opened from where the command was typed.
    pub fn folder(&self) -> &str {
        match &self.origin {
            Origin::Folder { shown, .. } => shown,
            Origin::Commit { .. } => "",
        }
    }
}

/// Writes a folder as people would, without `./`; the one that they are in is empty.
fn shown(folder: &Path) -> String {
    let parts = folder.components().filter(|part| *part != Component::CurDir);
    parts.collect::<PathBuf>().display().to_string()
}

/// Counts diagnostics of one severity.
pub fn count(diagnostics: &Diagnostics, severity: Severity) -> usize {
    diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

/// The path of a source is a folder inside it, in a commit as in a folder.
fn refuse_way_out(path: &str) -> Result<(), CliError> {
    let is_inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if Path::new(path).components().all(is_inside) {
        return Ok(());
    }
    let error = CliError::new(ErrorKind::Usage, format!("`--path {path}` is not a folder inside the source"));
    Err(error.hint("write it from the top of the source, without `..`; name another source with `--source`"))
}

fn refuse_url(source: &str) -> Result<(), CliError> {
    let host = source.split_once(':').map_or("", |(host, _)| host);
    let is_scp =
        source.contains('@') && !host.is_empty() && !host.contains('/') && !Path::new(source).exists();
    if !source.contains("://") && !is_scp {
        return Ok(());
    }
    // Without what may be a password.
    let shown = Remote::parse(source).map_or_else(|invalid| invalid.text, |remote| remote.to_string());
    let error =
        CliError::new(ErrorKind::Source, format!("`{shown}` is a URL, and only local sources are read"));
    Err(error.hint(format!("clone it first: `git clone {shown} policies`, then `--source policies`")))
}

/// Says whether a folder is a Git repository without files (gitrepository-layout(5)).
fn is_bare(folder: &Path) -> bool {
    folder.join("HEAD").is_file() && folder.join("objects").is_dir() && folder.join("refs").is_dir()
}
