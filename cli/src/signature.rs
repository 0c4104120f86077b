//! What was found about the signature of a commit, as people and programs see it.

use serde::Serialize;
use skerry_core::bundle::v1::SignatureCheck;
use skerry_core::provenance::Provenance;

/// What was found about the signature of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureView {
    /// In one word.
    pub check: Check,
    /// The signer's e-mail address, if there is one who is trusted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub signer: String,
    /// Why it is not trusted, as far as that is known here.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What was found, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Check {
    /// An allowed signer has signed it.
    Verified,
    /// It is not signed.
    Unsigned,
    /// It is signed, and that is not trusted.
    Untrusted,
    /// It is signed, and nobody said who may sign.
    Unchecked,
}

impl SignatureView {
    /// Takes what was found; `None` if nobody looked.
    pub fn of(provenance: &Provenance, reason: String) -> Option<Self> {
        let check = match provenance {
            Provenance::Unchecked => return None,
            Provenance::Verified { .. } => Check::Verified,
            Provenance::Unsigned => Check::Unsigned,
            Provenance::Untrusted => Check::Untrusted,
        };
        // To be unsigned is its own reason.
        let reason = if check == Check::Untrusted { reason } else { String::new() };
        Some(Self { check, signer: provenance.signer().to_owned(), reason })
    }

    /// Takes what a core says; `None` if it has not looked.
    pub fn of_wire(check: SignatureCheck, signer: String, reason: String) -> Option<Self> {
        Self::of(&Provenance::from_wire(check, signer), reason)
    }

    /// Says it in words.
    pub fn words(&self) -> String {
        match self.check {
            Check::Verified => format!("verified, signed by {}", self.signer),
            Check::Unsigned => "not signed".to_owned(),
            Check::Untrusted if self.reason.is_empty() => "not trusted".to_owned(),
            Check::Untrusted => format!("not trusted: {}", self.reason),
            Check::Unchecked => "signed, not checked".to_owned(),
        }
    }
}
