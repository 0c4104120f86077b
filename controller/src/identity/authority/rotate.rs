//! The authorities after a step of a rotation. Must not decide whether it is time for it (`rotation`).

use std::collections::BTreeSet;
use std::sync::Arc;

use skerry_core::id::Timestamp;
use skerry_identity::ca::{Authority as _, MeshRoot, TransportCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::envelope::KeyId;
use skerry_identity::key::{SigningKey, VerifyingKey};
use skerry_identity::lifetimes::{ROOT, Validity};
use skerry_identity::trust_root::{PolicyDemand, Role, SignedRoot, TrustRoot, TrustedRoot};

use super::{Authority, AuthorityError, Root, TRUST_ROOT, Turn};
use crate::identity::rotation::{Stage, Step, TrustKey};

/// A key as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// Its name: of a root the thumbprint, of the manifest key the id that is in signatures.
    pub id: String,
    /// Until when it can be believed; nothing for one that does not end by itself.
    pub until: Option<Timestamp>,
}

impl Authority {
    /// Says where the rotation of a key is.
    pub fn stage(&self, key: TrustKey) -> Stage {
        match key {
            TrustKey::MeshRoot => self.beside_root.stage(),
            TrustKey::LinkRoot => self.beside_transport.stage(),
            TrustKey::ManifestKey => self.beside_signing.stage(),
        }
    }

    /// Says when it got there.
    pub fn turn(&self, key: TrustKey) -> Option<Turn> {
        match key {
            TrustKey::MeshRoot => self.beside_root.turn(),
            TrustKey::LinkRoot => self.beside_transport.turn(),
            TrustKey::ManifestKey => self.beside_signing.turn(),
        }
    }

    /// Says when the last rotation of a key ended.
    pub fn ended(&self, key: TrustKey) -> Option<Timestamp> {
        self.ended.get(&key).copied()
    }

    /// Shows the key that signs, and what is believed beside it.
    pub fn shown(&self, key: TrustKey) -> (ShownKey, Option<ShownKey>) {
        let root = |certificate: &Certificate| ShownKey {
            id: certificate.thumbprint().short(),
            until: Some(certificate.not_after()),
        };
        let signing = |key: &VerifyingKey| ShownKey { id: KeyId::of(key).to_string(), until: None };
        match key {
            TrustKey::MeshRoot => {
                let beside = self.beside_root.public(|key| key.certificate().clone());
                (root(self.root.certificate()), beside.as_ref().map(root))
            }
            TrustKey::LinkRoot => {
                let beside = self.beside_transport.public(|key| key.certificate().clone());
                (root(self.transport.certificate()), beside.as_ref().map(root))
            }
            TrustKey::ManifestKey => {
                let beside = self.beside_signing.public(|key| key.public());
                (signing(&self.signing.public()), beside.as_ref().map(signing))
            }
        }
    }

    /// Returns the newest version of the trust root.
    pub fn newest_trust_root(&self) -> Result<TrustRoot, AuthorityError> {
        Ok(TrustedRoot::first(self.newest_signed()?.clone())?.root().clone())
    }

    /// Takes a step; returns the authorities as they are then.
    pub fn step(&self, key: TrustKey, step: Step, turn: Turn) -> Result<Self, AuthorityError> {
        let (mut after, validity) = (self.clone(), Validity::starting(turn.at, ROOT));
        if matches!(step, Step::End | Step::Replace) {
            after.ended.insert(key, turn.at);
        }
        match key {
            TrustKey::MeshRoot => {
                let Root::Here(root) = &self.root else { return Err(AuthorityError::RootIsAway) };
                let make = || MeshRoot::create(&self.mesh, &validity).map(Arc::new);
                let stepped =
                    self.beside_root.step(root, (step, turn), make, |key| key.certificate().clone());
                let (root, beside) = stepped?;
                (after.root, after.beside_root) = (Root::Here(root), beside);
            }
            TrustKey::LinkRoot => {
                let make = || TransportCa::create(&self.mesh, &validity).map(Arc::new);
                let public = |key: &Arc<TransportCa>| key.certificate().clone();
                let stepped = self.beside_transport.step(&self.transport, (step, turn), make, public);
                (after.transport, after.beside_transport) = stepped?;
            }
            TrustKey::ManifestKey => {
                let make = || SigningKey::generate().map(Arc::new);
                let stepped = self.beside_signing.step(&self.signing, (step, turn), make, |key| key.public());
                (after.signing, after.beside_signing) = stepped?;
                if key.tells(step) {
                    let signed = self.next_trust_root(&after, turn.at)?;
                    after.trust_roots.push(signed);
                }
            }
        }
        Ok(after)
    }

    /// Makes the next version of the trust root, with the manifest keys that are believed then: signed by the key that signs now,
    /// which vouches for it, and by those in it.
    fn next_trust_root(&self, after: &Self, now: Timestamp) -> Result<SignedRoot, AuthorityError> {
        let newest = TrustedRoot::first(self.newest_signed()?.clone())?;
        let mut keys = BTreeSet::from([after.signing.public()]);
        keys.extend(after.beside_signing.public(|key| key.public()));
        let root = TrustRoot {
            version: newest.root().version + 1,
            expires: now.0 / 1000 + TRUST_ROOT.as_secs(),
            core: Role::new(1, keys),
            ..newest.root().clone()
        };
        let mut signed = SignedRoot::new(&root)?;
        signed.sign(&self.signing)?;
        if after.signing.public() != self.signing.public() {
            signed.sign(&after.signing)?;
        }
        // What no site would take is not handed out.
        newest.walk(std::slice::from_ref(&signed), PolicyDemand::AsRoot)?;
        Ok(signed)
    }

    fn newest_signed(&self) -> Result<&SignedRoot, AuthorityError> {
        self.trust_roots.last().ok_or(AuthorityError::NoTrustRoot)
    }
}

#[cfg(test)]
mod tests;
