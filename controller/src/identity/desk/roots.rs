//! The trust root in force, and the next one where the policy keys change.
//!
//! Where there are policy keys, each version has to be signed by them too: the walk of sites says so, and it is asked here.

use std::sync::Arc;

use skerry_identity::trust_root::{PolicyDemand, SignedRoot, TrustRoot, TrustedRoot};
use tracing::error;

use super::{Authority, Desk, NotHanded, NotRotated};
use crate::identity::rotation::{Stage, TrustKey};
use crate::store::StoreError;

/// Believes the newest version, which is the core's own.
pub(super) fn newest(authority: &Authority) -> Result<TrustedRoot, StoreError> {
    let newest = authority.trust_roots_after(0).last();
    let newest = newest.ok_or_else(|| StoreError::Failed("there is no trust root".to_owned()))?;
    TrustedRoot::first(newest.clone()).map_err(|error| StoreError::Failed(error.to_string()))
}

impl Desk {
    /// Returns the trust root in force.
    pub fn trusted_root(&self) -> Arc<TrustedRoot> {
        let (authority, trusted) = (self.authority(), Arc::clone(&self.trusted.read()));
        if authority.is_newest(trusted.signed()) {
            return trusted;
        }
        match newest(&authority) {
            Ok(newest) => {
                let newest = Arc::new(newest);
                *self.trusted.write() = Arc::clone(&newest);
                newest
            }
            // It was believed before it was kept.
            Err(error) => {
                error!(%error, "the newest trust root is not used");
                trusted
            }
        }
    }

    /// Puts the next version into force. Nothing but the policy keys may differ; the core signs it too. Sites hear of it as
    /// of every change of whom they believe.
    ///
    /// # Errors
    /// A site would not believe it, or it changes more than policy keys.
    pub fn set_policy_keys(&self, mut signed: SignedRoot) -> Result<Arc<TrustedRoot>, NotHanded> {
        let _writing = self.writers.lock();
        let (before, current, next) = (self.authority(), self.trusted_root(), signed.root()?);
        let TrustRoot { policy, require_policy, version, .. } = next.clone();
        if next != (TrustRoot { policy, require_policy, version, ..current.root().clone() }) {
            let reason = "the new trust root differs in more than its policy keys: make it of the newest one";
            return Err(NotHanded::Invalid(reason.to_owned()));
        }
        let is_first = current.root().policy.is_none() && next.policy.is_some();
        if is_first && before.stage(TrustKey::ManifestKey) != Stage::Steady {
            let reason = "the manifest key is being rotated, which policy keys would stop half-way: finish that first (`skerry \
                          trust rotate manifest-key`)";
            return Err(NotHanded::Invalid(reason.to_owned()));
        }
        before.sign_trust_root(&mut signed)?;
        let steps = [signed];
        let believed = current.walk(&steps, PolicyDemand::AsRoot);
        let believed = believed.map_err(|refusal| NotHanded::Invalid(refusal.to_string()))?;
        let [signed] = steps;
        if believed.root().version == current.root().version {
            return Ok(current);
        }
        let put = self.put(before.with_trust_root(signed), self.next_trust(), &[]);
        put.map_err(|why| match why {
            NotRotated::Store(error) => NotHanded::Store(error),
            why => NotHanded::Invalid(why.to_string()),
        })?;
        Ok(self.trusted_root())
    }
}

#[cfg(test)]
mod tests;
