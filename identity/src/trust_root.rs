//! The trust root: whose signatures a site believes. Numbered versions, each vouched for by the one before.
//!
//! Two roles. **Core** keys sign every manifest, in the core. **Policy** keys are optional and never in the core: they sign
//! what a pipeline or a person has seen, and a root (or a site) can require them, so that whoever breaks into the core
//! cannot invent policy. Each role has a threshold; a key counts once, and no key has both roles.
//!
//! Must not know where roots are kept or how they travel; time is an argument.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use skerry_core::id::Timestamp;

use crate::envelope::{self, PayloadType, Signatures};
use crate::key::VerifyingKey;
use crate::malformed::Malformed;
use crate::spiffe_id::MeshDomain;

pub use manifest::{ManifestRefusal, PolicyDemand};
pub use signed::{SignedRoot, TrustedRoot};
pub use walk::{MAX_STEPS, RootRefusal};

mod manifest;
mod signed;
mod walk;

/// The most keys of a role: eight people, or eight replicas and what replaces them.
pub const MAX_KEYS: usize = 8;

/// The longest root in bytes: 16 keys of 47 B and 300 B of names come to 1 KiB.
pub const MAX_ROOT_BYTES: usize = 4 << 10;

const WHAT: &str = "trust root";

/// One version of the trust root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustRoot {
    /// The mesh: a key that two meshes share is not a bridge between them.
    pub mesh: MeshDomain,
    /// Counts the versions, from 1.
    pub version: u64,
    /// When nothing new is believed any more by this version: seconds since 1970. It does not stop what runs.
    pub expires: u64,
    /// The keys that sign manifests, in the core.
    pub core: Role,
    /// The keys that sign policy statements, outside of the core.
    pub policy: Option<Role>,
    /// Whether a site takes nothing without a policy statement.
    pub require_policy: bool,
}

/// Keys of which so many have to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// How many: 1 to the number of keys.
    pub threshold: u8,
    /// The keys: 1 to [`MAX_KEYS`].
    pub keys: BTreeSet<VerifyingKey>,
}

/// The two roles, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleName {
    /// Core keys.
    Core,
    /// Policy keys.
    Policy,
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::Policy => "policy",
        })
    }
}

/// Fewer keys of a role signed than have to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{found} of the {needed} signatures by {role} keys of trust root {version} that are needed")]
pub struct TooFew {
    /// The role.
    pub role: RoleName,
    /// How many keys signed.
    pub found: usize,
    /// How many have to.
    pub needed: u8,
    /// Of which version.
    pub version: u64,
}

impl Role {
    /// Makes a role; its bounds are checked when the root is written.
    pub fn new(threshold: u8, keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        Self { threshold, keys: keys.into_iter().collect() }
    }

    fn check(&self, name: RoleName) -> Result<(), Malformed> {
        if !(1..=MAX_KEYS).contains(&self.keys.len()) {
            let reason = format!("{} {name} keys, and there may be 1 to {MAX_KEYS}", self.keys.len());
            return Err(Malformed::new(WHAT, &reason));
        }
        if self.threshold == 0 || usize::from(self.threshold) > self.keys.len() {
            let reason = format!("a threshold of {} of {} {name} keys", self.threshold, self.keys.len());
            return Err(Malformed::new(WHAT, &reason));
        }
        Ok(())
    }
}

impl TrustRoot {
    /// Writes the one form that a root has: compact JSON, fields and keys in order. This is what is signed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Malformed> {
        self.check()?;
        serde_json::to_vec(self).map_err(|error| Malformed::new(WHAT, &error))
    }

    /// Reads a root. What is not exactly the form that is written is refused: nobody reads it in two ways.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_ROOT_BYTES {
            let reason = format!("{} bytes are over the limit of {MAX_ROOT_BYTES}", bytes.len());
            return Err(Malformed::new(WHAT, &reason));
        }
        let root: Self = serde_json::from_slice(bytes).map_err(|error| Malformed::new(WHAT, &error))?;
        if root.to_bytes()? == bytes {
            return Ok(root);
        }
        Err(Malformed::new(WHAT, &"it is not in canonical form"))
    }

    fn check(&self) -> Result<(), Malformed> {
        if self.version == 0 {
            return Err(Malformed::new(WHAT, &"versions begin at 1"));
        }
        self.core.check(RoleName::Core)?;
        let Some(policy) = &self.policy else {
            let reason = "it requires policy signatures and has no policy keys";
            return if self.require_policy { Err(Malformed::new(WHAT, &reason)) } else { Ok(()) };
        };
        policy.check(RoleName::Policy)?;
        if self.core.keys.is_disjoint(&policy.keys) {
            return Ok(());
        }
        Err(Malformed::new(WHAT, &"a key has both roles"))
    }

    /// Lists the roles that there are.
    fn roles(&self) -> impl Iterator<Item = (RoleName, &Role)> {
        [(RoleName::Core, Some(&self.core)), (RoleName::Policy, self.policy.as_ref())]
            .into_iter()
            .filter_map(|(name, role)| Some((name, role?)))
    }

    /// Checks that so many keys of a role signed as have to; says which.
    pub(crate) fn check_role(
        &self,
        (name, role): (RoleName, &Role),
        payload_type: PayloadType,
        payload: &[u8],
        signatures: &Signatures,
    ) -> Result<BTreeSet<VerifyingKey>, TooFew> {
        let signers = envelope::signers(payload_type, payload, signatures, &role.keys);
        if signers.len() >= usize::from(role.threshold) {
            return Ok(signers);
        }
        Err(TooFew { role: name, found: signers.len(), needed: role.threshold, version: self.version })
    }

    /// Says whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now.0 / 1000 >= self.expires
    }
}

#[cfg(test)]
mod tests;
