//! Whether policy keys have signed what was fetched: asked when all of it is here, before it is kept as candidate.
//!
//! The core's signature is looked at first of all, on the manifest alone. This one is about fragments, so it comes last; that
//! none is there although one is needed shows at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::v1::{FragmentList, FragmentRef, Manifest};
use skerry_core::id::Digest;
use skerry_core::policy_digest::policy_digest;
use skerry_identity::envelope::Signatures;
use skerry_identity::policy::PolicyProof;
use skerry_proto::v1::{self, Offer};
use tracing::info;

use super::Site;
use crate::fetch::Fragment;
use crate::store::{Slot, StoreError};

/// Why what was fetched is not tried.
pub(super) enum NotVouched {
    /// Nobody who is believed vouches for it.
    Distrusted(String),
    /// It cannot be read from the store.
    Store(StoreError),
}

impl From<StoreError> for NotVouched {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Site {
    /// Remembers what policy keys say of an offer that is followed.
    pub(super) fn note_proof(&mut self, digest: Digest, offer: &Offer) {
        self.vouchers.proof = offer.policy.clone().map(|proof| (digest, proof));
    }

    /// Asks whether policy keys vouch for what was fetched. Their number is the floor from then on, whatever becomes of it.
    pub(super) fn check_policy(
        &self,
        manifest: &Manifest,
        slot: &Slot,
        arrived: &[Fragment],
    ) -> Result<(), NotVouched> {
        let proof = self.vouchers.proof.as_ref().filter(|(of, _)| *of == slot.digest());
        let proof = proof.map(|(_, proof)| to_proof(proof, &manifest.revision)).transpose();
        let proof = proof.map_err(NotVouched::Distrusted)?;
        let floor = self.store.policy_floor()?;
        let vouched = self.store.with_fragments(|known| {
            (self.vouchers.policy)(proof.as_ref(), &|| digest(slot, arrived, known), floor)
        })?;
        if let Some(number) = vouched.map_err(NotVouched::Distrusted)? {
            let commit = proof.map(|proof| proof.commit).unwrap_or_default();
            info!(number, commit, "policy keys have signed it");
            self.store.raise_policy_floor(number)?;
        }
        Ok(())
    }
}

fn digest(
    slot: &Slot,
    arrived: &[Fragment],
    known: &dyn Fn(&Digest) -> Option<Arc<[u8]>>,
) -> Result<Digest, String> {
    let arrived: BTreeMap<&Digest, &Arc<[u8]>> = arrived.iter().map(|(id, bytes)| (id, bytes)).collect();
    let list = FragmentList::decode(slot.list.as_slice()).map_err(|error| error.to_string())?;
    let find = |entry: &FragmentRef| {
        let id = Digest::from_slice(&entry.id).map_err(|error| error.to_string())?;
        let bytes = arrived.get(&id).map(|bytes| Arc::clone(bytes)).or_else(|| known(&id));
        let bytes = bytes.ok_or_else(|| format!("fragment `{}` is missing", entry.key))?;
        Ok::<_, String>((entry.key.clone(), bytes))
    };
    let fragments = list.fragments.iter().map(find).collect::<Result<Vec<_>, _>>()?;
    policy_digest(fragments.iter().map(|(key, bytes)| (key.as_str(), &**bytes)))
        .map_err(|error| error.to_string())
}

/// Reads a proof; the commit of the manifest's revision is not said twice.
fn to_proof(wire: &v1::PolicyProof, revision: &str) -> Result<PolicyProof, String> {
    let commit = match wire.commit.as_slice() {
        [] => revision.rsplit_once("@sha1:").map(|(_, commit)| commit.to_owned()).unwrap_or_default(),
        bytes if bytes.len() == 20 => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes => return Err(format!("a commit of {} bytes", bytes.len())),
    };
    let signatures = Signatures::from_bytes(&wire.signatures).map_err(|error| error.to_string())?;
    Ok(PolicyProof { number: wire.number, commit, signatures })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_says_the_commit_where_the_manifest_does_not() {
        let read = |commit: &[u8], revision: &str| {
            let wire = v1::PolicyProof { number: 3, commit: commit.to_vec(), signatures: Vec::new() };
            to_proof(&wire, revision).map(|proof| proof.commit)
        };
        assert_eq!(read(&[], "main@sha1:1a2b").unwrap(), "1a2b");
        assert_eq!(read(&[], "folder@none").unwrap(), "");
        assert_eq!(read(&[0xab; 20], "main@sha1:1a2b").unwrap(), "ab".repeat(20));
        assert!(read(&[1, 2], "main@sha1:1a2b").is_err());
        let wire = v1::PolicyProof { number: 3, commit: Vec::new(), signatures: vec![0; 71] };
        assert!(to_proof(&wire, "").is_err());
    }
}
