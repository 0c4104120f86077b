//! Why the source could not be read. Nothing is removed by it, and it is tried again.

use std::fmt;

use skerry_gitops::fetch_error::FetchError;
use skerry_gitops::read_error::ReadError;

use crate::store::StoreError;

/// What the follower does besides trying again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Remedy {
    /// Nothing.
    #[default]
    Wait,
    /// The mirror is damaged: it is built anew.
    Rebuild,
}

/// One sentence of what is wrong, and one of what would help.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub error: String,
    /// What would help.
    pub help: String,
    /// What is done about it.
    pub remedy: Remedy,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl Remedy {
    fn of(is_corrupt: bool) -> Self {
        if is_corrupt { Self::Rebuild } else { Self::Wait }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        let remedy = Remedy::of(matches!(error, FetchError::Corrupt { .. }));
        Self { error: error.to_string(), help: error.help(), remedy }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let remedy = Remedy::of(matches!(error, ReadError::Corrupt { .. }));
        Self { error: error.to_string(), help: error.help(), remedy }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        Self { error: error.to_string(), help: error.help().to_owned(), remedy: Remedy::Wait }
    }
}
