//! The authorities as they are kept: keys sealed, certificates as PEM.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skerry_core::id::Timestamp;
use skerry_identity::ca::{Authority as _, MeshRoot, TransportCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::key::{EcdsaKey, ProviderFailed, SigningKey, VerifyingKey};
use skerry_identity::sealed::SealKey;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::{SignedRoot, TrustedRoot};
use zeroize::Zeroizing;

use super::beside::{Beside, BesideRecord};
use super::{Authority, AuthorityError, OfflineRoot, Root};
use crate::identity::rotation::TrustKey;

pub(super) const MESH_ROOT: &str = "mesh root key";
const TRANSPORT: &str = "transport authority key";
const SIGNING: &str = "manifest signing key";

/// The same as it is kept: keys sealed, certificates as PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityRecord {
    pub(super) mesh: MeshDomain,
    pub(super) root: String,
    /// Empty: the root is kept offline.
    pub(super) root_key: Vec<u8>,
    pub(super) transport: String,
    pub(super) transport_key: Vec<u8>,
    pub(super) signing_key: Vec<u8>,
    pub(super) trust_roots: Vec<SignedRoot>,
    #[serde(default)]
    pub(super) beside_root: BesideRecord,
    #[serde(default)]
    pub(super) beside_transport: BesideRecord,
    #[serde(default)]
    pub(super) beside_signing: BesideRecord,
    #[serde(default)]
    pub(super) ended: BTreeMap<TrustKey, Timestamp>,
}

impl Authority {
    /// Opens those that were kept.
    pub fn open(
        record: &AuthorityRecord,
        mesh: &MeshDomain,
        offline: Option<OfflineRoot>,
        seal: &SealKey,
    ) -> Result<Self, AuthorityError> {
        if record.mesh != *mesh {
            let (kept, wanted) = (record.mesh.as_str().to_owned(), mesh.as_str().to_owned());
            return Err(AuthorityError::OtherMesh { kept, wanted });
        }
        if let Some(newest) = record.trust_roots.last() {
            TrustedRoot::first(newest.clone())?;
        }
        let opener = Opener { mesh, seal };
        let root = |certificate: &str, key: &[u8]| opener.root(certificate, key);
        let transport = |certificate: &str, key: &[u8]| opener.transport(certificate, key);
        let certificate = |pem: &str| Ok::<_, AuthorityError>(Certificate::from_pem(pem)?);
        Ok(Self {
            mesh: mesh.clone(),
            root: opener.root_or_offline(&record.root, &record.root_key, offline)?,
            beside_root: Beside::open(&record.beside_root, root, certificate)?,
            transport: transport(&record.transport, &record.transport_key)?,
            beside_transport: Beside::open(&record.beside_transport, transport, certificate)?,
            signing: opener.signing(&record.signing_key)?,
            beside_signing: Beside::open(
                &record.beside_signing,
                |_, key| opener.signing(key),
                |pem| Ok(VerifyingKey::from_pem(pem)?),
            )?,
            ended: record.ended.clone(),
            trust_roots: record.trust_roots.clone(),
        })
    }

    /// Seals them, to be kept.
    pub fn to_record(&self, seal: &SealKey) -> Result<AuthorityRecord, ProviderFailed> {
        let root = |root: &MeshRoot| {
            Ok::<_, ProviderFailed>((
                root.certificate().to_pem(),
                seal.seal(MESH_ROOT, &root.key().to_pkcs8()?)?,
            ))
        };
        let transport = |transport: &TransportCa| {
            let key = seal.seal(TRANSPORT, &transport.key().to_pkcs8()?)?;
            Ok::<_, ProviderFailed>((transport.certificate().to_pem(), key))
        };
        let signing = |key: &SigningKey| {
            Ok::<_, ProviderFailed>((key.public().to_pem(), seal.seal(SIGNING, &key.to_pkcs8()?)?))
        };
        let (root_pem, root_key) = match &self.root {
            Root::Here(key) => root(key)?,
            Root::Away(away) => (away.certificate.to_pem(), Vec::new()),
        };
        let (transport_pem, transport_key) = transport(&self.transport)?;
        Ok(AuthorityRecord {
            mesh: self.mesh.clone(),
            root: root_pem,
            root_key,
            beside_root: self.beside_root.to_record(|next| root(next), Certificate::to_pem)?,
            transport: transport_pem,
            transport_key,
            beside_transport: self.beside_transport.to_record(|next| transport(next), Certificate::to_pem)?,
            signing_key: signing(&self.signing)?.1,
            beside_signing: self.beside_signing.to_record(|next| signing(next), VerifyingKey::to_pem)?,
            ended: self.ended.clone(),
            trust_roots: self.trust_roots.clone(),
        })
    }
}

/// Opens keys that were kept.
struct Opener<'a> {
    mesh: &'a MeshDomain,
    seal: &'a SealKey,
}

impl Opener<'_> {
    fn open(&self, purpose: &'static str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, AuthorityError> {
        self.seal.open(purpose, sealed).map_err(|error| AuthorityError::Sealed(purpose, error))
    }

    fn root(&self, certificate: &str, sealed: &[u8]) -> Result<Arc<MeshRoot>, AuthorityError> {
        let key = EcdsaKey::from_pkcs8(&self.open(MESH_ROOT, sealed)?)?;
        Ok(Arc::new(MeshRoot::load(self.mesh, Certificate::from_pem(certificate)?, key)?))
    }

    fn root_or_offline(
        &self,
        certificate: &str,
        sealed: &[u8],
        offline: Option<OfflineRoot>,
    ) -> Result<Root, AuthorityError> {
        match (sealed, offline) {
            ([], Some(offline)) if offline.certificate == Certificate::from_pem(certificate)? => {
                Ok(Root::Away(offline))
            }
            ([], Some(_)) => Err(AuthorityError::OtherRoot("a root that is kept offline")),
            ([], None) => Err(AuthorityError::RootIsAway),
            (_, Some(_)) => Err(AuthorityError::OtherRoot("a root whose key is in the core")),
            (sealed, None) => Ok(Root::Here(self.root(certificate, sealed)?)),
        }
    }

    fn transport(&self, certificate: &str, sealed: &[u8]) -> Result<Arc<TransportCa>, AuthorityError> {
        let key = EcdsaKey::from_pkcs8(&self.open(TRANSPORT, sealed)?)?;
        Ok(Arc::new(TransportCa::load(self.mesh, Certificate::from_pem(certificate)?, key)?))
    }

    fn signing(&self, sealed: &[u8]) -> Result<Arc<SigningKey>, AuthorityError> {
        Ok(Arc::new(SigningKey::from_pkcs8(&self.open(SIGNING, sealed)?)?))
    }
}
