//! What the core keeps of a join token, and whether somebody may enrol with it.
//!
//! One pure function. The core writes the record back before it answers; until then nothing is given out.

use serde::{Deserialize, Serialize};
use skerry_core::id::{SiteId, Timestamp};

use super::TokenSecret;
use crate::thumbprint::{Thumbprint, sha256};

/// SHA-256 of a token's secret. The secret has 256 random bits, so a plain hash gives nothing away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a secret.
    pub fn of(secret: &TokenSecret) -> Self {
        Self(sha256(&[b"skerry-join.v1 secret", &secret.0]))
    }

    /// Returns the bytes, as a key of the store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in a time that does not depend on where they differ.
    fn matches(&self, other: &Self) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

/// A token as the core keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The site that it is for.
    pub site: SiteId,
    /// The hash of its secret.
    pub hash: TokenHash,
    /// When it ends.
    pub expires: Timestamp,
    /// Who has used it.
    pub used: Option<Use>,
}

/// That a token was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The key that was enrolled with it.
    pub key: Thumbprint,
    /// When.
    pub at: Timestamp,
}

/// What an agent says when it enrols.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The site that it is.
    pub site: &'a SiteId,
    /// The secret of its token.
    pub secret: &'a TokenSecret,
    /// The key that it wants a certificate for, and that it has proven.
    pub key: Thumbprint,
}

/// Why nobody may enrol with a token now. Every one of them is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    /// The core does not know it.
    #[error("this join token is not known here: it was withdrawn, or another core made it")]
    Unknown,
    /// It is for another site.
    #[error("this join token is for site `{0}`")]
    OtherSite(SiteId),
    /// Another key was enrolled with it: somebody has used a copy.
    #[error("this join token was used before, at {}, by another key ({})", .0.at, .0.key.short())]
    Used(Use),
    /// It is over.
    #[error("this join token ended at {0}: make a new one with `skerry site enroll`")]
    Expired(Timestamp),
}

impl TokenRecord {
    /// Makes the record of a token.
    pub fn new(site: SiteId, secret: &TokenSecret, expires: Timestamp) -> Self {
        Self { site, hash: TokenHash::of(secret), expires, used: None }
    }

    /// Judges a claim. What comes back is the use to write down before anything is signed. The same key may claim again
    /// until the token ends, with the use of the first time: an answer that was lost on the way is not a second box.
    pub fn judge(&self, claim: &Claim<'_>, now: Timestamp) -> Result<Use, TokenRefusal> {
        if !self.hash.matches(&TokenHash::of(claim.secret)) {
            return Err(TokenRefusal::Unknown);
        }
        if self.site != *claim.site {
            return Err(TokenRefusal::OtherSite(self.site.clone()));
        }
        if let Some(used) = self.used.filter(|used| used.key != claim.key) {
            return Err(TokenRefusal::Used(used));
        }
        if now >= self.expires {
            return Err(TokenRefusal::Expired(self.expires));
        }
        Ok(self.used.unwrap_or(Use { key: claim.key, at: now }))
    }
}
