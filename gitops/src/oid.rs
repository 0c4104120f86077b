//! Git's object ids as newtypes, so that a commit and a blob cannot be mixed up.
//!
//! Must not read objects. Only SHA-1 repositories are known; libgit2 refuses others.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use skerry_core::id::InvalidId;

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 20]);

        impl $name {
            /// Returns the first 8 hex digits, for tables and messages.
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }

            pub(crate) fn to_git(self) -> git2::Oid {
                git2::Oid::from_bytes(&self.0).expect("20 bytes are a SHA-1 id")
            }

            pub(crate) fn from_git(oid: git2::Oid) -> Self {
                let mut bytes = [0; 20];
                bytes.copy_from_slice(&oid.as_bytes()[..20]);
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = || InvalidId { what: $what, value: text.to_owned(), rule: "40 hex digits (SHA-1)" };
                let bytes = hex_bytes(text).ok_or_else(invalid)?;
                <[u8; 20]>::try_from(bytes.as_slice()).map(Self).map_err(|_| invalid())
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

object_id!(
    /// The id of a commit: 20 bytes, printed as 40 lower-case hex digits.
    CommitId,
    "commit id"
);
object_id!(
    /// The id of a blob, the content of one file: 20 bytes, printed as 40 lower-case hex digits.
    BlobId,
    "blob id"
);

impl CommitId {
    /// Stands for what is in no commit, as Git itself writes it: all zeros.
    pub const NONE: Self = Self([0; 20]);
}

impl BlobId {
    /// Tells the id that Git gives this content.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let id = git2::Oid::hash_object(git2::ObjectType::Blob, bytes);
        Self::from_git(id.expect("bytes in memory can be hashed"))
    }
}

/// Decodes hex digits of either case; `None` when the text is anything else.
pub(crate) fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?)).collect()
}
