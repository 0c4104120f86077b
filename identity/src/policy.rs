//! Policy statements: what a site shall run, signed by a key that is not in the core.
//!
//! A manifest cannot be signed ahead of time: its generation, epoch and dates are the core's. A statement has none of them. It
//! names the site, the commit, a number that grows with the history, and the policy digest
//! ([`skerry_core::policy_digest`]), which names every fragment but for the address indexes that the core gives. It never
//! travels: a site that has the fragments writes it anew, and checks the signatures over that.
//!
//! Whether a site runs what it was offered is decided by one function, [`TrustedRoot::accept_policy`].

use serde::Serialize;
use skerry_core::id::{Digest, SiteId};

use crate::envelope::{self, PayloadType, Signature, Signatures};
use crate::key::{ProviderFailed, SigningKey};
use crate::spiffe_id::MeshDomain;
use crate::trust_root::{PolicyDemand, RoleName, TooFew, TrustedRoot};

/// What is signed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Statement<'a> {
    /// The mesh.
    pub mesh: &'a MeshDomain,
    /// The site.
    pub site: &'a SiteId,
    /// Counts up along the history: how many commits there are up to this one, unless somebody gave another.
    pub number: u64,
    /// The commit that was compiled: 40 hexadecimal digits.
    pub commit: &'a str,
    /// What the site shall run.
    pub policy: &'a Digest,
}

impl Statement<'_> {
    /// Writes the one form that it has: compact JSON, fields in order.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a number are JSON")
    }

    /// Signs it.
    ///
    /// # Errors
    /// The provider failed.
    pub fn sign(&self, key: &SigningKey) -> Result<Signature, ProviderFailed> {
        envelope::sign(PayloadType::Policy, &self.to_bytes(), key)
    }
}

/// What travels beside a manifest: what of the statement a site cannot tell by itself, and the signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyProof {
    /// As in [`Statement`].
    pub number: u64,
    /// As in [`Statement`].
    pub commit: String,
    /// By policy keys.
    pub signatures: Signatures,
}

/// What a proof is held against.
#[derive(Debug, Clone, Copy)]
pub struct PolicyTerms<'a> {
    /// The site that asks.
    pub site: &'a SiteId,
    /// The digest of what it was offered, worked out from the fragments themselves.
    pub policy: &'a Digest,
    /// The highest number that it has accepted; 0: none.
    pub floor: u64,
    /// What the site itself asks for.
    pub demand: PolicyDemand,
}

/// Why policy is not believed, whatever the core says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// The site requires policy signatures, and the root names no keys for it.
    #[error("this site requires policy signatures, and trust root {0} has no policy keys")]
    NoPolicyKeys(u64),
    /// There is no proof.
    #[error(
        "no policy key has signed what it offers this site (trust root {0} names who has to): see `skerry bundle sign`"
    )]
    Unsigned(u64),
    /// Too few keys signed exactly this, for this site.
    #[error("what it offers this site has {0}")]
    NotSigned(#[from] TooFew),
    /// It was signed, and is older than what the site has accepted.
    #[error(
        "policy number {number} is below {floor}, which this site has accepted: sign it anew with a higher one if it is meant"
    )]
    Older {
        /// Its number.
        number: u64,
        /// The highest one that was accepted.
        floor: u64,
    },
}

impl TrustedRoot {
    /// Says whether nothing is run that no policy key has signed.
    pub fn requires_policy(&self, demand: PolicyDemand) -> bool {
        self.root().require_policy || demand == PolicyDemand::Always
    }

    /// Decides whether a site may run what it was offered, as far as policy keys have a say. Returns the number of the
    /// statement, which becomes the floor; `None`: no policy key has signed it, and none has to.
    ///
    /// # Errors
    /// See [`PolicyRefusal`].
    pub fn accept_policy(
        &self,
        proof: Option<&PolicyProof>,
        terms: &PolicyTerms<'_>,
    ) -> Result<Option<u64>, PolicyRefusal> {
        match self.check_policy(proof, terms) {
            Ok(number) => Ok(Some(number)),
            // What nobody asks for may be missing, and may be wrong.
            Err(_) if !self.requires_policy(terms.demand) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    fn check_policy(
        &self,
        proof: Option<&PolicyProof>,
        terms: &PolicyTerms<'_>,
    ) -> Result<u64, PolicyRefusal> {
        let root = self.root();
        let role = root.policy.as_ref().ok_or(PolicyRefusal::NoPolicyKeys(root.version))?;
        let proof = proof.ok_or(PolicyRefusal::Unsigned(root.version))?;
        let PolicyProof { number, commit, signatures } = proof;
        let PolicyTerms { site, policy, floor, .. } = *terms;
        let statement = Statement { mesh: &root.mesh, site, number: *number, commit, policy }.to_bytes();
        root.check_role((RoleName::Policy, role), PayloadType::Policy, &statement, signatures)?;
        if *number < floor {
            return Err(PolicyRefusal::Older { number: *number, floor });
        }
        Ok(*number)
    }
}

#[cfg(test)]
mod tests;
