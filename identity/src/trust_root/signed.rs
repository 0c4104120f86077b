//! Roots with their signatures, and roots that are believed.
//!
//! Must not believe anything by itself: a first root is believed because of where it came from, the next ones because of
//! the one before ([`super::walk`]).

use serde::{Deserialize, Serialize};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{RootRefusal, TrustRoot, walk};
use crate::envelope::{self, PayloadType, Signatures};
use crate::key::{ProviderFailed, SigningKey};
use crate::malformed::Malformed;
use crate::thumbprint::sha256;

/// A root as it travels: the bytes that were signed, and the signatures. In JSON it is a DSSE envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct SignedRoot {
    /// The bytes of the root.
    pub payload: Vec<u8>,
    /// The signatures.
    pub signatures: Signatures,
}

impl SignedRoot {
    /// Writes a root, to be signed.
    pub fn new(root: &TrustRoot) -> Result<Self, Malformed> {
        Ok(Self { payload: root.to_bytes()?, signatures: Signatures::default() })
    }

    /// Signs it with one more key. Whoever holds a key may do so on their own: signatures are gathered.
    pub fn sign(&mut self, key: &SigningKey) -> Result<(), ProviderFailed> {
        self.signatures.push(envelope::sign(PayloadType::TrustRoot, &self.payload, key)?);
        Ok(())
    }

    /// Hashes what was signed: SHA-256. Signatures that are gathered later change nothing in it.
    pub fn digest(&self) -> [u8; 32] {
        sha256(&[&self.payload])
    }

    /// Reads what it says. Believes nothing.
    pub fn root(&self) -> Result<TrustRoot, Malformed> {
        TrustRoot::from_bytes(&self.payload)
    }
}

/// A DSSE envelope.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    payload_type: String,
    payload: String,
    #[serde(flatten)]
    signatures: Signatures,
}

impl From<SignedRoot> for Written {
    fn from(signed: SignedRoot) -> Self {
        Self {
            payload_type: PayloadType::TrustRoot.as_str().to_owned(),
            payload: STANDARD.encode(signed.payload),
            signatures: signed.signatures,
        }
    }
}

impl TryFrom<Written> for SignedRoot {
    type Error = Malformed;
    fn try_from(written: Written) -> Result<Self, Malformed> {
        const WHAT: &str = "signed trust root";
        if written.payload_type != PayloadType::TrustRoot.as_str() {
            return Err(Malformed::new(WHAT, &"its payload is of another type"));
        }
        let payload = STANDARD
            .decode(&written.payload)
            .map_err(|_| Malformed::new(WHAT, &"its payload is not base64"))?;
        Ok(Self { payload, signatures: written.signatures })
    }
}

/// A root that is believed. Kept by a site as the [`SignedRoot`] that it came as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRoot {
    pub(super) root: TrustRoot,
    pub(super) signed: SignedRoot,
}

impl TrustedRoot {
    /// Believes a first root, of any version, because of where it came from: over an enrolment whose core was pinned, from a
    /// stick, from the site's own disk. It has to be signed by its own keys, so that a wrong file shows.
    pub fn first(signed: SignedRoot) -> Result<Self, RootRefusal> {
        let root = signed.root()?;
        walk::check_quorum(&root, &signed)?;
        Ok(Self { root, signed })
    }

    /// Returns the root.
    pub fn root(&self) -> &TrustRoot {
        &self.root
    }

    /// Returns it as it came, to be stored.
    pub fn signed(&self) -> &SignedRoot {
        &self.signed
    }
}
