//! The core's keys: the mesh root, the transport authority, and the key that signs manifests.
//!
//! Kept sealed in the state store (see [`super::seal`]); in memory they are in the clear. Must not decide whom to sign for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ca::{Authority as _, CaError, MeshRoot, TransportCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::envelope::{self, PayloadType, Signature};
use skerry_identity::key::{EcdsaKey, ProviderFailed, SigningKey};
use skerry_identity::lifetimes::{BudgetError, Ceilings, Lifetimes, ROOT, Validity, left};
use skerry_identity::malformed::Malformed;
use skerry_identity::operator::{self, OperatorCredentials};
use skerry_identity::sealed::{OpenError, SealKey};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::trust_root::{Role, RootRefusal, SignedRoot, TrustRoot, TrustedRoot};

/// How long the first trust root is believed: as long as the roots of the certificates. It is rotated long before.
const TRUST_ROOT: Duration = ROOT;

/// How long the core's own certificate lasts: a month; it is made anew at each start, and when a third is over.
const CORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The name of the operator whose credentials the core writes by itself.
pub const FIRST_OPERATOR: &str = "admin";

const MESH_ROOT: &str = "mesh root key";
const TRANSPORT: &str = "transport authority key";
const SIGNING: &str = "manifest signing key";

/// The authorities of a core.
#[derive(Debug)]
pub struct Authority {
    mesh: MeshDomain,
    root: MeshRoot,
    transport: TransportCa,
    signing: SigningKey,
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
            root: MeshRoot::create(mesh, &validity)?,
            transport: TransportCa::create(mesh, &validity)?,
            signing,
            trust_roots: vec![signed],
        })
    }

    /// Opens those that were kept.
    pub fn open(record: &AuthorityRecord, mesh: &MeshDomain, seal: &SealKey) -> Result<Self, AuthorityError> {
        if record.mesh != *mesh {
            let (kept, wanted) = (record.mesh.as_str().to_owned(), mesh.as_str().to_owned());
            return Err(AuthorityError::OtherMesh { kept, wanted });
        }
        let open = |purpose, sealed: &[u8]| {
            seal.open(purpose, sealed).map_err(|error| AuthorityError::Sealed(purpose, error))
        };
        let key = |purpose, sealed| Ok::<_, AuthorityError>(EcdsaKey::from_pkcs8(&open(purpose, sealed)?)?);
        if let Some(newest) = record.trust_roots.last() {
            TrustedRoot::first(newest.clone())?;
        }
        let certificate = Certificate::from_pem(&record.transport)?;
        Ok(Self {
            mesh: mesh.clone(),
            root: MeshRoot::load(
                mesh,
                Certificate::from_pem(&record.root)?,
                key(MESH_ROOT, &record.root_key)?,
            )?,
            transport: TransportCa::load(mesh, certificate, key(TRANSPORT, &record.transport_key)?)?,
            signing: SigningKey::from_pkcs8(&open(SIGNING, &record.signing_key)?)?,
            trust_roots: record.trust_roots.clone(),
        })
    }

    /// Seals them, to be kept.
    pub fn to_record(&self, seal: &SealKey) -> Result<AuthorityRecord, ProviderFailed> {
        Ok(AuthorityRecord {
            mesh: self.mesh.clone(),
            root: self.root.certificate().to_pem(),
            root_key: seal.seal(MESH_ROOT, &self.root.key().to_pkcs8()?)?,
            transport: self.transport.certificate().to_pem(),
            transport_key: seal.seal(TRANSPORT, &self.transport.key().to_pkcs8()?)?,
            signing_key: seal.seal(SIGNING, &self.signing.to_pkcs8()?)?,
            trust_roots: self.trust_roots.clone(),
        })
    }

    /// Returns the mesh.
    pub fn mesh(&self) -> &MeshDomain {
        &self.mesh
    }

    /// Returns a time that has been: it was then that the authorities were signed.
    pub fn signed_at(&self) -> Timestamp {
        let issued = |certificate: &Certificate| certificate.validity().issued;
        issued(self.root.certificate()).max(issued(self.transport.certificate()))
    }

    /// Returns what a join token pins.
    pub fn pin(&self) -> Thumbprint {
        self.transport.pin()
    }

    /// Returns the roots of the mesh.
    pub fn mesh_roots(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(self.root.certificate())
    }

    /// Returns the transport authorities.
    pub fn link_roots(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(self.transport.certificate())
    }

    /// Returns the versions of the trust root after one, oldest first; with 0 the newest alone: whoever has none takes that.
    pub fn trust_roots_after(&self, version: u64) -> &[SignedRoot] {
        let newest = self.trust_roots.len();
        let known = usize::try_from(version).unwrap_or(usize::MAX).min(newest);
        &self.trust_roots[if version == 0 { newest.saturating_sub(1) } else { known }..]
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
        let roots = self.link_roots().cloned().collect();
        Ok(OperatorCredentials { core, mesh: self.mesh.clone(), certificate, key, roots })
    }

    /// Signs a manifest.
    pub fn sign_manifest(&self, manifest: &[u8]) -> Result<Signature, ProviderFailed> {
        envelope::sign(PayloadType::Manifest, manifest, &self.signing)
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
        assert!(opened.mesh_roots().eq(authority.mesh_roots()));
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
