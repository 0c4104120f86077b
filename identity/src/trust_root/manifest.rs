//! Whether a manifest is signed by those whom the trust root names.
//!
//! The first of the checks of acceptance (see `skerry_core::accept`), on the bytes as they came: nothing is decoded before.

use std::collections::BTreeSet;

use skerry_core::id::Timestamp;

use super::{RoleName, TooFew, TrustedRoot};
use crate::envelope::{KeyId, PayloadType, Signatures};

/// Whether a site wants policy signatures beyond what the trust root says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PolicyDemand {
    /// As the trust root says.
    #[default]
    AsRoot,
    /// Always: set at the site itself, where the core cannot reach it.
    Always,
}

/// Why a manifest is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestRefusal {
    /// The trust root is over.
    #[error(
        "trust root {version} was valid until {}: nothing new is believed until it is rotated",
        Timestamp::from_seconds(*.expires)
    )]
    RootOver {
        /// Its version.
        version: u64,
        /// Its end.
        expires: u64,
    },
    /// Too few keys signed it.
    #[error("the manifest has {0}")]
    NotSigned(#[from] TooFew),
}

impl TrustedRoot {
    /// Verifies the signatures of a manifest by core keys, at the trusted time. What policy keys have to say is not about the
    /// manifest, whose numbers and dates are the core's: see [`crate::policy`].
    pub fn verify_manifest(
        &self,
        manifest: &[u8],
        signatures: &Signatures,
        now: Timestamp,
    ) -> Result<BTreeSet<KeyId>, ManifestRefusal> {
        let root = &self.root;
        if root.is_over(now) {
            return Err(ManifestRefusal::RootOver { version: root.version, expires: root.expires });
        }
        let role = (RoleName::Core, &root.core);
        let keys = root.check_role(role, PayloadType::Manifest, manifest, signatures)?;
        Ok(keys.iter().map(KeyId::of).collect())
    }
}
