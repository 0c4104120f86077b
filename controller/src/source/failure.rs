//! Why the source could not be read. Nothing is removed by it, and it is tried again.

use std::fmt;

use skerry_gitops::fetch_error::FetchError;
use skerry_gitops::read_error::ReadError;

use crate::store::StoreError;

/// One sentence of what is wrong, and one of what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub error: String,
    /// What would help.
    pub help: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self { error: error.to_string(), help: error.help() }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self { error: error.to_string(), help: error.help() }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error: error.to_string(), help: error.help().to_owned() }
    }
}
