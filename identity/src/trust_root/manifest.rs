//! Whether a manifest is signed by those whom the trust root names.
//!
//! The first of the checks of acceptance (see `skerry_core::accept`), on the bytes as they came: nothing is decoded before.

use std::collections::BTreeSet;

use skerry_core::id::Timestamp;

use super::{RoleName, TooFew, TrustedRoot};
use crate::envelope::{KeyId, PayloadType, Signatures};
use crate::key::VerifyingKey;

/// Whether a site wants policy signatures beyond what the trust root says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyDemand {
    /// As the trust root says.
    AsRoot,
    /// Always: set at the site itself, where the core cannot reach it.
    Always,
}

/// Who signed a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouchers {
    /// The core keys.
    pub core: BTreeSet<KeyId>,
    /// The policy keys; possibly some although none is required.
    pub policy: BTreeSet<KeyId>,
}

/// Why a manifest is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestRefusal {
    /// The trust root is over.
    #[error(
        "trust root {version} was valid until {expires} (seconds since 1970): nothing new is believed until it is rotated"
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
    /// The site requires policy signatures, and the root names no keys for it.
    #[error("this site requires policy signatures, and trust root {0} has no policy keys")]
    NoPolicyKeys(u64),
}

impl TrustedRoot {
    /// Verifies the signatures of a manifest, at the trusted time.
    pub fn verify_manifest(
        &self,
        manifest: &[u8],
        signatures: &Signatures,
        demand: PolicyDemand,
        now: Timestamp,
    ) -> Result<Vouchers, ManifestRefusal> {
        let root = &self.root;
        if root.is_over(now) {
            return Err(ManifestRefusal::RootOver { version: root.version, expires: root.expires });
        }
        let check = |role| root.check_role(role, PayloadType::Manifest, manifest, signatures);
        let core = check((RoleName::Core, &root.core))?;
        let policy = match (&root.policy, root.require_policy || demand == PolicyDemand::Always) {
            (Some(policy), true) => check((RoleName::Policy, policy))?,
            (Some(policy), false) => check((RoleName::Policy, policy)).unwrap_or_default(),
            (None, true) => return Err(ManifestRefusal::NoPolicyKeys(root.version)),
            (None, false) => BTreeSet::new(),
        };
        Ok(Vouchers { core: ids(&core), policy: ids(&policy) })
    }
}

fn ids(keys: &BTreeSet<VerifyingKey>) -> BTreeSet<KeyId> {
    keys.iter().map(KeyId::of).collect()
}
