//! Who vouches for a revision: what the core found about the signature of its commit. It goes with the revision into the
//! rows of the ledger and into manifests.
//!
//! Checking signatures is `gitops`' part.

use serde::{Deserialize, Serialize};

use crate::bundle::v1::SignatureCheck;

/// What was found about the signature of a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provenance {
    /// Nobody looked.
    #[default]
    Unchecked,
    /// It is signed by an allowed signer.
    Verified {
        /// The committer's e-mail address, which that signer may use: at most 254 bytes.
        signer: String,
    },
    /// It is not signed.
    Unsigned,
    /// It is signed, and that is not trusted.
    Untrusted,
}

impl Provenance {
    /// Reads what a message or a stored row says. A value that this version does not know proves nothing.
    pub fn from_wire(check: SignatureCheck, signer: String) -> Self {
        match check {
            SignatureCheck::None => Self::Unchecked,
            SignatureCheck::Verified => Self::Verified { signer },
            SignatureCheck::Unsigned => Self::Unsigned,
            SignatureCheck::Untrusted => Self::Untrusted,
        }
    }

    /// Returns the check as messages have it.
    pub fn check(&self) -> SignatureCheck {
        match self {
            Self::Unchecked => SignatureCheck::None,
            Self::Verified { .. } => SignatureCheck::Verified,
            Self::Unsigned => SignatureCheck::Unsigned,
            Self::Untrusted => SignatureCheck::Untrusted,
        }
    }

    /// Returns the signer who is trusted; empty if there is none.
    pub fn signer(&self) -> &str {
        match self {
            Self::Verified { signer } => signer,
            Self::Unchecked | Self::Unsigned | Self::Untrusted => "",
        }
    }
}
