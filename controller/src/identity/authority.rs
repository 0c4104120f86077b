//! The core's keys: the mesh root, the transport authority, and the key that signs manifests.
//!
//! Kept sealed in the state store (see [`super::seal`]); in memory they are in the clear. Must not decide whom to sign for.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ca::{Authority as _, CaError, MeshRoot, TransportCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::envelope::{self, PayloadType, Signature};
use skerry_identity::key::{EcdsaKey, ProviderFailed, SigningKey, VerifyingKey};
use skerry_identity::lifetimes::{BudgetError, Ceilings, Lifetimes, ROOT, Validity, left};
use skerry_identity::malformed::Malformed;
use skerry_identity::operator::{self, OperatorCredentials};
use skerry_identity::sealed::{OpenError, SealKey};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::trust_root::{Role, RootRefusal, SignedRoot, TrustRoot, TrustedRoot};
use zeroize::Zeroizing;

use beside::{Beside, BesideRecord};

pub use beside::Turn;
pub use rotate::ShownKey;

mod beside;
mod rotate;

/// How long the first trust root is believed: as long as the roots of the certificates. It is rotated long before.
const TRUST_ROOT: Duration = ROOT;

/// How long the core's own certificate lasts: a month; it is made anew at each start, and when a third is over.
const CORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The name of the operator whose credentials the core writes by itself.
pub const FIRST_OPERATOR: &str = "admin";

const MESH_ROOT: &str = "mesh root key";
const TRANSPORT: &str = "transport authority key";
const SIGNING: &str = "manifest signing key";

/// The authorities of a core: those that sign, and what is believed beside them while they are rotated.
#[derive(Debug, Clone)]
pub struct Authority {
    mesh: MeshDomain,
    root: Arc<MeshRoot>,
    beside_root: Beside<Arc<MeshRoot>, Certificate>,
    transport: Arc<TransportCa>,
    beside_transport: Beside<Arc<TransportCa>, Certificate>,
    signing: Arc<SigningKey>,
    beside_signing: Beside<Arc<SigningKey>, VerifyingKey>,
    /// Every version, oldest first; the last one is in force.
    trust_roots: Vec<SignedRoot>,
}

/// The same as it is kept: keys sealed, certificates as PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityRecord {
    mesh: MeshDomain,
    root: String,
    root_key: Vec<u8>,
    transport: String,
    transport_key: Vec<u8>,
    signing_key: Vec<u8>,
    trust_roots: Vec<SignedRoot>,
    #[serde(default)]
    beside_root: BesideRecord,
    #[serde(default)]
    beside_transport: BesideRecord,
    #[serde(default)]
    beside_signing: BesideRecord,
}

/// Why there are no authorities.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A certificate or key is not what was kept.
    #[error(transparent)]
    Authority(#[from] CaError),
    /// A text cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A key cannot be opened.
    #[error("the {0} cannot be opened: {1}")]
    Sealed(&'static str, OpenError),
    /// The trust root is not one.
    #[error(transparent)]
    TrustRoot(#[from] RootRefusal),
    /// There is no trust root.
    #[error("what was kept has no trust root")]
    NoTrustRoot,
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderFailed),
    /// The core was started for another mesh.
    #[error(
        "the state store has the authorities of mesh `{kept}`, and this core is started for `{wanted}`: every identity would change"
    )]
    OtherMesh {
        /// That of the store.
        kept: String,
        /// That of the command line.
        wanted: String,
    },
}

/// What a site is given for its keys.
#[derive(Debug)]
pub struct Given {
    /// For the agent.
    pub agent: Certificate,
    /// For the site's authority.
    pub authority: Certificate,
}

/// Why nothing is given.
#[derive(Debug, thiserror::Error)]
pub enum NotGiven {
    /// The offline budget is not covered by what is left of the authorities.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// It cannot be signed.
    #[error(transparent)]
    Authority(#[from] CaError),
}

impl Authority {
    /// Makes new ones for a mesh.
    pub fn create(mesh: &MeshDomain, now: Timestamp) -> Result<Self, AuthorityError> {
        let signing = SigningKey::generate()?;
        let trust_root = TrustRoot {
            mesh: mesh.clone(),
            version: 1,
            expires: now.0 / 1000 + TRUST_ROOT.as_secs(),
            core: Role::new(1, [signing.public()]),
            policy: None,
            require_policy: false,
        };
        let mut signed = SignedRoot::new(&trust_root)?;
        signed.sign(&signing)?;
        let validity = Validity::starting(now, ROOT);
        Ok(Self {
            mesh: mesh.clone(),
            root: Arc::new(MeshRoot::create(mesh, &validity)?),
            beside_root: Beside::Nothing,
            transport: Arc::new(TransportCa::create(mesh, &validity)?),
            beside_transport: Beside::Nothing,
            signing: Arc::new(signing),
            beside_signing: Beside::Nothing,
            trust_roots: vec![signed],
        })
    }

    /// Opens those that were kept.
    pub fn open(record: &AuthorityRecord, mesh: &MeshDomain, seal: &SealKey) -> Result<Self, AuthorityError> {
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
            root: root(&record.root, &record.root_key)?,
            beside_root: Beside::open(&record.beside_root, root, certificate)?,
            transport: transport(&record.transport, &record.transport_key)?,
            beside_transport: Beside::open(&record.beside_transport, transport, certificate)?,
            signing: opener.signing(&record.signing_key)?,
            beside_signing: Beside::open(
                &record.beside_signing,
                |_, key| opener.signing(key),
                |pem| Ok(VerifyingKey::from_pem(pem)?),
            )?,
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
        let (root_pem, root_key) = root(&self.root)?;
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
            trust_roots: self.trust_roots.clone(),
        })
    }

    /// Returns the mesh.
    pub fn mesh(&self) -> &MeshDomain {
        &self.mesh
    }

    /// Returns a time that has been: it was then that the authorities were signed.
    pub fn signed_at(&self) -> Timestamp {
        let issued = |certificate: Certificate| certificate.validity().issued;
        self.mesh_roots().into_iter().chain(self.link_roots()).map(issued).max().unwrap_or_default()
    }

    /// Returns what a join token pins.
    pub fn pin(&self) -> Thumbprint {
        self.transport.pin()
    }

    /// Returns the roots of the mesh that are believed, the one that signs first.
    pub fn mesh_roots(&self) -> Vec<Certificate> {
        let beside = self.beside_root.public(|root| root.certificate().clone());
        [self.root.certificate().clone()].into_iter().chain(beside).collect()
    }

    /// Returns the transport authorities that are believed, the one that signs first.
    pub fn link_roots(&self) -> Vec<Certificate> {
        let beside = self.beside_transport.public(|transport| transport.certificate().clone());
        [self.transport.certificate().clone()].into_iter().chain(beside).collect()
    }

    /// Returns the newest version of the trust root: they count from 1.
    pub fn trust_root_version(&self) -> u64 {
        self.trust_roots.len() as u64
    }

    /// Returns the versions of the trust root after one, oldest first; with 0 the newest alone: whoever has none takes that.
    pub fn trust_roots_after(&self, version: u64) -> &[SignedRoot] {
        let newest = self.trust_roots.len();
        let known = usize::try_from(version).unwrap_or(usize::MAX).min(newest);
        &self.trust_roots[if version == 0 { newest.saturating_sub(1) } else { known }..]
    }

    /// Says whether this is the version in force.
    pub fn is_newest(&self, signed: &SignedRoot) -> bool {
        self.trust_roots.last() == Some(signed)
    }

    /// Signs a version of the trust root with the key that signs manifests.
    pub fn sign_trust_root(&self, signed: &mut SignedRoot) -> Result<(), ProviderFailed> {
        signed.sign(&self.signing)
    }

    /// The same with another version of the trust root in force, which is believed because of the one before.
    #[must_use]
    pub fn with_trust_root(&self, signed: SignedRoot) -> Self {
        let mut after = self.clone();
        after.trust_roots.push(signed);
        after
    }

    /// Signs for the keys of a site.
    pub fn sign_site(
        &self,
        site: &SiteId,
        (agent, authority): (&ProvenKey, &ProvenKey),
        budget: Duration,
        now: Timestamp,
    ) -> Result<Given, NotGiven> {
        let ends = |authority: &Certificate| left(authority.not_after(), now);
        let ceilings = Ceilings {
            mesh_root: ends(self.root.certificate()),
            transport: ends(self.transport.certificate()),
        };
        let lifetimes = Lifetimes::for_budget(budget, &ceilings)?;
        Ok(Given {
            agent: self.transport.sign_agent(site, agent, &Validity::starting(now, lifetimes.agent))?,
            authority: self.root.sign_site(site, authority, &Validity::starting(now, lifetimes.site_ca))?,
        })
    }

    /// Makes the core's own certificate, with a new key; its chain has the transport authority, which a token pins.
    pub fn core_credentials(
        &self,
        now: Timestamp,
    ) -> Result<(EcdsaKey, [Certificate; 2], Validity), CaError> {
        let (key, validity) = (EcdsaKey::generate()?, Validity::starting(now, CORE));
        let leaf = self.transport.sign_core(&[], &ProvenKey::from(&key), &validity)?;
        Ok((key, [leaf, self.transport.certificate().clone()], validity))
    }

    /// Makes the credentials of an operator, with a new key.
    pub fn operator(&self, name: &str, core: String, now: Timestamp) -> Result<OperatorCredentials, CaError> {
        let (key, validity) = (EcdsaKey::generate()?, Validity::starting(now, operator::LIFE));
        let certificate = self.transport.sign_operator(name, &ProvenKey::from(&key), &validity)?;
        let (mesh, roots) = (self.mesh.clone(), self.link_roots());
        Ok(OperatorCredentials { core, mesh, certificate, key, roots })
    }

    /// Signs a manifest.
    pub fn sign_manifest(&self, manifest: &[u8]) -> Result<Signature, ProviderFailed> {
        envelope::sign(PayloadType::Manifest, manifest, &self.signing)
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

    fn transport(&self, certificate: &str, sealed: &[u8]) -> Result<Arc<TransportCa>, AuthorityError> {
        let key = EcdsaKey::from_pkcs8(&self.open(TRANSPORT, sealed)?)?;
        Ok(Arc::new(TransportCa::load(self.mesh, Certificate::from_pem(certificate)?, key)?))
    }

    fn signing(&self, sealed: &[u8]) -> Result<Arc<SigningKey>, AuthorityError> {
        Ok(Arc::new(SigningKey::from_pkcs8(&self.open(SIGNING, sealed)?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn mesh() -> MeshDomain {
        MeshDomain::new("mesh.local").unwrap()
    }

    fn seal(byte: u8) -> SealKey {
        SealKey::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn what_is_kept_is_opened_with_its_key_and_for_its_mesh_alone() {
        let authority = Authority::create(&mesh(), NOW).unwrap();
        let record = authority.to_record(&seal(1)).unwrap();
        let json = serde_json::to_vec(&record).unwrap();
        let read: AuthorityRecord = serde_json::from_slice(&json).unwrap();
        let opened = Authority::open(&read, &mesh(), &seal(1)).unwrap();
        assert_eq!(opened.pin(), authority.pin());
        assert_eq!(opened.mesh_roots(), authority.mesh_roots());
        assert_eq!(opened.signing.public(), authority.signing.public());

        let error = Authority::open(&record, &mesh(), &seal(2)).unwrap_err();
        assert!(matches!(error, AuthorityError::Sealed(MESH_ROOT, OpenError::OtherKey { .. })), "{error}");
        let other = MeshDomain::new("other.local").unwrap();
        let error = Authority::open(&record, &other, &seal(1)).unwrap_err().to_string();
        assert!(error.contains("`mesh.local`") && error.contains("`other.local`"), "{error}");
    }

    #[test]
    fn keys_that_were_mixed_up_are_not_taken() {
        let mut record = Authority::create(&mesh(), NOW).unwrap().to_record(&seal(1)).unwrap();
        std::mem::swap(&mut record.root_key, &mut record.transport_key);
        let error = Authority::open(&record, &mesh(), &seal(1)).unwrap_err();
        assert!(matches!(error, AuthorityError::Sealed(MESH_ROOT, OpenError::Damaged(_))), "{error}");
    }

    #[test]
    fn a_budget_decides_how_long_a_site_s_certificates_last() {
        let authority = Authority::create(&mesh(), NOW).unwrap();
        let keys = [EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap()];
        let [agent, ca] = [ProvenKey::from(&keys[0]), ProvenKey::from(&keys[1])];
        let site = SiteId::new("oslo").unwrap();
        let sign =
            |days: u64| authority.sign_site(&site, (&agent, &ca), Duration::from_secs(days * 86_400), NOW);
        let (short, long) = (sign(1).unwrap(), sign(60).unwrap());
        assert!(short.authority.not_after() < long.authority.not_after());
        assert!(long.authority.not_after().0 - NOW.0 > 90 * 86_400_000);
        assert!(long.agent.not_after() > long.authority.not_after());
        assert!(matches!(sign(181).unwrap_err(), NotGiven::Budget(_)));
    }
}
