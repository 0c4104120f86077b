//! Keys: ECDSA P-256 for certificates, Ed25519 for what is signed as a whole (manifests, trust roots).
//!
//! Must not let a secret out but through `to_pkcs8` and `to_pem`, whose results are wiped when dropped. The secret itself
//! lives in memory of aws-lc, which wipes whatever it frees.

pub use ecdsa::{EcdsaKey, EcdsaPublicKey};
pub use ed25519::{SignatureBytes, SigningKey, VerifyingKey};

mod ecdsa;
mod ed25519;

/// The provider failed: no randomness, or no memory. Nothing that a caller can mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the crypto provider failed")]
pub struct ProviderFailed;

impl From<aws_lc_rs::error::Unspecified> for ProviderFailed {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

/// Draws random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], ProviderFailed> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes)
}
