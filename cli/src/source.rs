//! Reads a source of policies: a revision of a Git repository, the files of a clone as they are, or a plain folder.
//!
//! Must not compile and must not print.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use skerry_core::diagnostic::{Diagnostics, Severity};
use skerry_core::id::{ObjectKey, Revision};
use skerry_core::world::World;
use skerry_gitops::history::History;
use skerry_gitops::read_error::ReadError;
use skerry_gitops::remote::Remote;
use skerry_gitops::snapshot::hold::Hold;
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
    /// Objects that are held, and where from; only of a [`Reading`] that knows what was before.
    pub holds: BTreeMap<ObjectKey, Hold>,
    /// Where lines and commits are looked up.
    pub origin: Origin,
}

/// What was read, before it is known whether something was there before it.
#[derive(Debug)]
pub struct Reading {
    files: load::Loaded,
    origin: Origin,
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
        /// The folder below it that was read, for people.
        read: String,
        /// What it is to a repository.
        stand: Stand,
    },
    /// In a commit; locations are relative to the top.
    Commit {
        /// The repository.
        repository: PathBuf,
        /// The revision, as it was typed.
        revision: String,
    },
}

/// What a folder is to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It has none.
    Alone,
    /// It is the work tree of one, with the policy files of HEAD.
    AsHead,
    /// It is the work tree of one, with other policy files than HEAD.
    Changed,
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
        self.read(revision).map(Loaded::from)
    }

    /// Reads it as [`Source::load`] does, with what a core holds that followed the history up to this.
    pub fn load_followed(&self, revision: Option<&str>) -> Result<Loaded, CliError> {
        Ok(self.followed(self.read(revision)?)?.into())
    }

    fn read(&self, revision: Option<&str>) -> Result<Reading, CliError> {
        match (revision, self.kind) {
            (Some(revision), _) => Ok(self.read_commit(revision)?),
            (None, SourceKind::Bare) => Ok(self.read_commit("HEAD")?),
            (None, SourceKind::WorkTree | SourceKind::Folder) => self.read_files(),
        }
    }

    /// Puts to a state what the history before it makes a core hold.
    pub fn followed(&self, reading: Reading) -> Result<Reading, CliError> {
        let past = match self.kind {
            SourceKind::Folder => None,
            SourceKind::WorkTree | SourceKind::Bare => {
                load::load_past(&self.typed, &self.path, &reading.files)?
            }
        };
        Ok(match past {
            Some(past) => Reading { files: reading.files.after(&past), ..reading },
            None => reading,
        })
    }

    /// Says whether it is a folder without a history of its own.
    pub fn is_folder(&self) -> bool {
        self.kind == SourceKind::Folder
    }

    /// Reads it as [`Source::load`] does; where the folder inside it is missing, as nothing at all. A comparison tells
    /// so what a change does that brings or takes the folder.
    pub fn read_or_nothing(&self, revision: Option<&str>) -> Result<Reading, CliError> {
        if self.path.is_empty() {
            return self.read(revision);
        }
        match (revision, self.kind) {
            (Some(revision), _) => self.commit_or_nothing(revision),
            (None, SourceKind::Bare) => self.commit_or_nothing("HEAD"),
            (None, SourceKind::WorkTree | SourceKind::Folder) if self.typed.join(&self.path).is_dir() => {
                self.read_files()
            }
            (None, SourceKind::WorkTree | SourceKind::Folder) => {
                let files = load::Loaded::nothing(Revision::folder(), None);
                Ok(Reading { files, origin: self.as_they_are(Stand::Alone) })
            }
        }
    }

    fn commit_or_nothing(&self, revision: &str) -> Result<Reading, CliError> {
        match self.read_commit(revision) {
            Err(ReadError::PathNotFound { .. }) => {
                let resolved = History::open(&self.typed)?.resolve(revision)?;
                let files = load::Loaded::nothing(resolved.revision, Some(resolved.commit));
                Ok(Reading { files, origin: self.origin(revision) })
            }
            read => Ok(read?),
        }
    }

    fn origin(&self, revision: &str) -> Origin {
        Origin::Commit { repository: self.typed.clone(), revision: revision.to_owned() }
    }

    fn as_they_are(&self, stand: Stand) -> Origin {
        let (root, read) = (self.typed.clone(), shown(&self.typed.join(&self.path)));
        Origin::Folder { shown: shown(&root), read, root, stand }
    }

    fn read_commit(&self, revision: &str) -> Result<Reading, ReadError> {
        let files = load::load_revision(&self.typed, revision, &self.path, Aging::FromHistory)?;
        Ok(Reading { files, origin: self.origin(revision) })
    }

    fn read_files(&self) -> Result<Reading, CliError> {
        let mut files = load::load_folder(&self.typed, &self.path)?;
        let stand = match self.kind {
            SourceKind::WorkTree => work_tree::age(&mut files, &self.typed, &self.path)?,
            SourceKind::Bare | SourceKind::Folder => Stand::Alone,
        };
        Ok(Reading { files, origin: self.as_they_are(stand) })
    }
}

impl Reading {
    /// Counts the policy files.
    pub fn files(&self) -> usize {
        self.files.files
    }

    /// Says what a core makes of this that has `base` in force.
    #[must_use]
    pub fn after(self, base: &Self) -> Self {
        Self { files: self.files.after(&base.files), ..self }
    }
}

impl From<Reading> for Loaded {
    fn from(Reading { files, origin }: Reading) -> Self {
        Self {
            holds: files.holds().clone(),
            revision: files.revision,
            world: World::new(files.objects),
            diagnostics: files.diagnostics,
            files: files.files,
            foreign: files.foreign,
            origin,
        }
    }
}

impl Loaded {
    /// Finds and reads a source that must hold something.
    pub fn read(args: &RevisionArgs) -> Result<Self, CliError> {
        Source::find(&args.source)?.load(args.rev.as_deref())?.not_empty(args)
    }

    /// Does the same, with what a core holds that followed the history up to this.
    pub fn read_followed(args: &RevisionArgs) -> Result<Self, CliError> {
        Source::find(&args.source)?.load_followed(args.rev.as_deref())?.not_empty(args)
    }

    fn not_empty(self, args: &RevisionArgs) -> Result<Self, CliError> {
        if self.files == 0 { Err(self.no_policy(&args.source)) } else { Ok(self) }
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
            Origin::Folder { read, .. } if read.is_empty() => "the files as they are".to_owned(),
            Origin::Folder { read, .. } => format!("the files in {read}"),
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
