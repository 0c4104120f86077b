//! Why the state store cannot be used. Each says in one sentence what, and in `help` what would help.

use std::path::PathBuf;

/// A failure of the state store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("another core uses the folder `{}`", .0.display())]
    InUse(PathBuf),
    /// The file is of a newer version.
    #[error("the state store `{}` has schema {found}; this version knows up to {known}", path.display())]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The schema of this version.
        known: u32,
    },
    /// The file cannot be opened: its disk, its permissions, or its content.
    #[error("the state store `{}` cannot be opened: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system or redb says.
        reason: String,
    },
    /// Reading or writing failed: disk full, read-only, damaged.
    #[error("the state store cannot be used: {0}")]
    Failed(String),
    /// A value is not what was written.
    #[error("the state store is damaged: {what} cannot be read: {reason}")]
    Damaged {
        /// Which value.
        what: String,
        /// Why not.
        reason: String,
    },
}

impl StoreError {
    /// Says what would help.
    pub fn help(&self) -> &'static str {
        match self {
            Self::InUse(_) => "give each core a data folder of its own, or stop the other one",
            Self::NewerSchema { .. } => "run the version that wrote it, or a newer one",
            Self::Failed(_) => "see that the disk has room and may be written; it is tried again by itself",
            Self::Open { .. } | Self::Damaged { .. } => {
                "bring the file back from a backup, or move it away: sites keep what they run, and a new epoch begins"
            }
        }
    }

    /// Wraps what redb says about a read or write.
    pub(super) fn failed(error: impl Into<::redb::Error>) -> Self {
        Self::Failed(error.into().to_string())
    }

    /// Wraps a decoder's complaint.
    pub(super) fn damaged(what: impl Into<String>, reason: &impl ToString) -> Self {
        Self::Damaged { what: what.into(), reason: reason.to_string() }
    }
}
