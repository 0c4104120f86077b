//! Why a revision or a folder could not be read: nothing of it is used, and nothing that was there is lost.

use std::path::PathBuf;

use crate::limits::NAMES_IN_ERROR;

/// A failure to read a source. Each prints one sentence; [`ReadError::help`] says what would help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The path is not in the commit, or is a file there.
    #[error("there is no folder `{path}` at commit {commit}")]
    PathNotFound {
        /// The path inside the repository.
        path: String,
        /// The commit, 8 digits.
        commit: String,
        /// The folders at the top of the commit, in order.
        folders: Vec<String>,
    },
    /// The plain folder is not there, or is a file.
    #[error("there is no folder `{}`", path.display())]
    FolderNotFound {
        /// The folder.
        path: PathBuf,
    },
    /// The name does not stand for a commit.
    #[error("`{revision}` is no commit, branch or tag of `{}`", repository.display())]
    RevisionNotFound {
        /// The name.
        revision: String,
        /// The repository.
        repository: PathBuf,
        /// The branches that there are, in order.
        branches: Vec<String>,
    },
    /// The folder is not inside a Git repository.
    #[error("`{}` is not a Git repository", path.display())]
    NotARepository {
        /// The folder.
        path: PathBuf,
    },
    /// The repository belongs to another user, whose settings Git does not trust.
    #[error("`{}` belongs to another user", path.display())]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
    },
    /// More files than [`crate::limits::FILES`], or a tree that is larger than any real one.
    #[error("the source holds more than {limit} {what}")]
    TooMany {
        /// `policy files` or `tree entries`.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The clone lacks the history that says how old objects are.
    #[error("the clone is shallow, so the age of {objects} objects cannot be told (for one, {example})")]
    Shallow {
        /// How many objects.
        objects: usize,
        /// The first of them.
        example: String,
    },
    /// The clone lacks the history that would be counted.
    #[error("the clone is shallow, so its commits cannot be counted")]
    Uncountable,
    /// An object or file that should be there is missing or damaged.
    #[error("the repository cannot be read: {reason}")]
    Corrupt {
        /// What Git says.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot read `{}`: {reason}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
}

impl ReadError {
    /// Says what would help, in one sentence.
    pub fn help(&self) -> String {
        match self {
            Self::PathNotFound { folders, .. } if folders.is_empty() => {
                "the commit has no folders; leave the path out to read its top".to_owned()
            }
            Self::PathNotFound { folders, .. } => {
                format!("the folders at its top are {}", list(folders, folders.len()))
            }
            Self::FolderNotFound { .. } => "name a folder that holds policies".to_owned(),
            Self::RevisionNotFound { branches, .. } if branches.is_empty() => {
                "the repository has no commit yet: make the first one".to_owned()
            }
            Self::RevisionNotFound { branches, .. } => {
                format!("its branches are {}", list(branches, branches.len()))
            }
            Self::NotARepository { .. } => {
                "name a clone or a bare repository, or leave the revision out to read it as a plain folder".to_owned()
            }
            Self::ForeignOwner { path } => {
                format!("run `git config --global --add safe.directory {}`", path.display())
            }
            Self::TooMany { .. } => {
                "point the path at the folder that holds policies, or put several objects into one file".to_owned()
            }
            Self::Shallow { .. } => {
                "run `git fetch --unshallow` (in CI: check out with depth 0), or commit `metadata.creationTimestamp`"
                    .to_owned()
            }
            Self::Uncountable => {
                "run `git fetch --unshallow` (in CI: check out with depth 0)".to_owned()
            }
            Self::Corrupt { .. } => {
                "run `git fsck` there; a clone made with `--filter` lacks objects and cannot be used".to_owned()
            }
            Self::Io { .. } => "see that the folder exists and may be read".to_owned(),
        }
    }

    pub(crate) fn corrupt(error: &git2::Error) -> Self {
        Self::Corrupt { reason: error.message().trim().to_owned() }
    }

    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), reason: error.to_string() }
    }
}

/// Prints names for an error: at most [`NAMES_IN_ERROR`] of them, in backquotes, and how many more there are of `total`.
pub(crate) fn list(names: &[String], total: usize) -> String {
    let shown: Vec<_> = names.iter().take(NAMES_IN_ERROR).map(|name| format!("`{name}`")).collect();
    let more = total - shown.len();
    if more > 0 { format!("{} and {more} more", shown.join(", ")) } else { shown.join(", ") }
}
