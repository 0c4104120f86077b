//! Holds: objects that stay although their document went bad, described so that a restart can bring them back.
//!
//! Must not decide when to hold; that is the catalog's part.

use serde::{Deserialize, Serialize};
use skerry_core::diagnostic::{Code, Diagnostic, Location};
use skerry_core::id::ObjectKey;

use super::file::Version;
use crate::oid::{BlobId, CommitId};

/// Where the version that is kept can be read, and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The file's content that has the last good version.
    pub blob: BlobId,
    /// The file's path at that time.
    pub path: String,
    /// The line where the document begins, from 1.
    pub line: u32,
    /// The last commit of the source that had this version in good order; [`CommitId::NONE`] where an offline command
    /// compares with a folder.
    pub commit: CommitId,
    /// The file that keeps the hold alive: it has the bad document, or cannot be read in full.
    pub waits_for: String,
}

/// The version of an object that is kept, with its hold.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    pub(crate) version: Version,
    pub(crate) hold: Hold,
}

impl Hold {
    /// Explains the hold of an object whose document is there and is refused or flawed.
    pub(crate) fn beside_document(&self, key: &ObjectKey, bad: &Location) -> Diagnostic {
        let message = format!("the last good version stays in force: {}", self.version());
        Diagnostic::warning(Code::Held, bad.clone(), message)
            .object(key.clone())
            .help("correct the error, or remove the object to end this")
    }

    /// Explains the hold of an object that may be in the part of a file that cannot be read.
    pub(crate) fn beside_unreadable(&self, key: &ObjectKey) -> Diagnostic {
        let message = format!(
            "it may be in the part of this file that cannot be read, so the last good version stays in force: {}",
            self.version()
        );
        Diagnostic::warning(Code::Held, Location::file(&self.waits_for), message)
            .object(key.clone())
            .help("make the file readable; an object that is not in it then is removed")
    }

    /// Says for people where the version is that is kept.
    pub fn version(&self) -> String {
        if self.commit == CommitId::NONE {
            return format!("{}:{}", self.path, self.line);
        }
        format!("commit {}, {}:{}", self.commit.short(), self.path, self.line)
    }
}
