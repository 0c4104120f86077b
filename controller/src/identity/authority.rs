//! The core's keys: the mesh root, the transport authority, and the key that signs manifests.
//!
//! Kept sealed in the state store (`record`, and see [`super::seal`]); in memory they are in the clear. Must not decide whom to sign for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ca::{Authority as _, CaError, MeshRoot, TransportCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::envelope::{self, PayloadType, Signature};
use skerry_identity::key::{EcdsaKey, ProviderFailed, SigningKey, VerifyingKey};
use skerry_identity::lifetimes::{BudgetError, Ceilings, Lifetimes, MAX_BUDGET, ROOT, Validity, left};
use skerry_identity::malformed::Malformed;
use skerry_identity::sealed::OpenError;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::trust_root::{Role, RootRefusal, SignedRoot, TrustRoot};

use super::rotation::TrustKey;
use beside::Beside;

pub use beside::Turn;
pub use record::AuthorityRecord;
pub use rotate::ShownKey;

mod beside;
mod record;
mod rotate;

/// How long the first trust root is believed: as long as the roots of the certificates. It is rotated long before.
const TRUST_ROOT: Duration = ROOT;

/// How long the core's own certificate lasts: a month; it is made anew at each start, and when a third is over.
const CORE: Duration = Duration::from_secs(30 * 24 * 3600);

/// The name of the operator whose credentials the core writes by itself.
pub const FIRST_OPERATOR: &str = "admin";

/// A mesh root whose key is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineRoot {
    /// Its certificate.
    pub certificate: Certificate,
    /// How long a request of a site may wait for it.
    pub signs_every: Duration,
}

/// Where the key of the mesh root is.
#[derive(Debug, Clone)]
enum Root {
    Here(Arc<MeshRoot>),
    Away(OfflineRoot),
}

impl Root {
    fn certificate(&self) -> &Certificate {
        match self {
            Self::Here(root) => root.certificate(),
            Self::Away(root) => &root.certificate,
        }
    }
}

/// The authorities of a core: those that sign, and what is believed beside them while they are rotated.
#[derive(Debug, Clone)]
pub struct Authority {
    mesh: MeshDomain,
    root: Root,
    beside_root: Beside<Arc<MeshRoot>, Certificate>,
    transport: Arc<TransportCa>,
    beside_transport: Beside<Arc<TransportCa>, Certificate>,
    signing: Arc<SigningKey>,
    beside_signing: Beside<Arc<SigningKey>, VerifyingKey>,
    /// When the last rotation of each key ended.
    ended: BTreeMap<TrustKey, Timestamp>,
    /// Every version, oldest first; the last one is in force.
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
    /// There is no trust root.
    #[error("what was kept has no trust root")]
    NoTrustRoot,
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderFailed),
    /// The root is here, or another one is away.
    #[error("the mesh has {0}, and --offline-root names another root: every identity would change")]
    OtherRoot(&'static str),
    /// The root's key is not here, and nobody said how it is asked.
    #[error("the root of the mesh is kept offline: name its certificate with --offline-root")]
    RootIsAway,
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
    pub authority: SiteAuthority,
}

/// What there is for a site's authority.
#[derive(Debug)]
pub enum SiteAuthority {
    /// The root is here and has signed.
    Signed(Certificate),
    /// The root is away, and is to sign for so long.
    Lasts(Duration),
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
    /// Makes new ones for a mesh; the root among them, unless one is kept offline.
    pub fn create(
        mesh: &MeshDomain,
        offline: Option<OfflineRoot>,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
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
        let root = match offline {
            Some(offline) => {
                MeshRoot::check(mesh, &offline.certificate)?;
                Root::Away(offline)
            }
            None => Root::Here(Arc::new(MeshRoot::create(mesh, &validity)?)),
        };
        Ok(Self {
            mesh: mesh.clone(),
            root,
            beside_root: Beside::Nothing,
            transport: Arc::new(TransportCa::create(mesh, &validity)?),
            beside_transport: Beside::Nothing,
            signing: Arc::new(signing),
            beside_signing: Beside::Nothing,
            ended: BTreeMap::new(),
            trust_roots: vec![signed],
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

    /// Returns the root if its key is not here.
    pub fn offline_root(&self) -> Option<&Certificate> {
        match &self.root {
            Root::Here(_) => None,
            Root::Away(root) => Some(&root.certificate),
        }
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

    /// Returns the digest of a version of the trust root; `None`: there is no such version.
    pub fn trust_root_digest(&self, version: u64) -> Option<[u8; 32]> {
        let place = usize::try_from(version.checked_sub(1)?).ok()?;
        self.trust_roots.get(place).map(SignedRoot::digest)
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
        // What waits for a ceremony is renewed later by that much.
        let late = match &self.root {
            Root::Here(_) => Duration::ZERO,
            Root::Away(root) => root.signs_every,
        };
        let covers = if late.is_zero() { budget } else { (budget + late).min(MAX_BUDGET.max(budget)) };
        let lifetimes = Lifetimes::for_budget(covers, &ceilings)?;
        let authority = match &self.root {
            Root::Here(root) => {
                let validity = Validity::starting(now, lifetimes.site_ca);
                SiteAuthority::Signed(root.sign_site(site, authority, &validity)?)
            }
            Root::Away(_) => SiteAuthority::Lasts(lifetimes.site_ca),
        };
        let agent = self.transport.sign_agent(site, agent, &Validity::starting(now, lifetimes.agent))?;
        Ok(Given { agent, authority })
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

    /// Signs for an operator.
    pub fn sign_operator(
        &self,
        name: &str,
        key: &ProvenKey,
        life: Duration,
        now: Timestamp,
    ) -> Result<Certificate, CaError> {
        self.transport.sign_operator(name, key, &Validity::starting(now, life))
    }

    /// Signs a manifest.
    pub fn sign_manifest(&self, manifest: &[u8]) -> Result<Signature, ProviderFailed> {
        envelope::sign(PayloadType::Manifest, manifest, &self.signing)
    }
}

#[cfg(test)]
mod tests {
    use skerry_identity::sealed::SealKey;

    use super::record::MESH_ROOT;
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
        let authority = Authority::create(&mesh(), None, NOW).unwrap();
        let record = authority.to_record(&seal(1)).unwrap();
        let json = serde_json::to_vec(&record).unwrap();
        let read: AuthorityRecord = serde_json::from_slice(&json).unwrap();
        let opened = Authority::open(&read, &mesh(), None, &seal(1)).unwrap();
        assert_eq!(opened.pin(), authority.pin());
        assert_eq!(opened.mesh_roots(), authority.mesh_roots());
        assert_eq!(opened.signing.public(), authority.signing.public());

        let error = Authority::open(&record, &mesh(), None, &seal(2)).unwrap_err();
        assert!(matches!(error, AuthorityError::Sealed(MESH_ROOT, OpenError::OtherKey { .. })), "{error}");
        let other = MeshDomain::new("other.local").unwrap();
        let error = Authority::open(&record, &other, None, &seal(1)).unwrap_err().to_string();
        assert!(error.contains("`mesh.local`") && error.contains("`other.local`"), "{error}");
    }

    #[test]
    fn keys_that_were_mixed_up_are_not_taken() {
        let mut record = Authority::create(&mesh(), None, NOW).unwrap().to_record(&seal(1)).unwrap();
        std::mem::swap(&mut record.root_key, &mut record.transport_key);
        let error = Authority::open(&record, &mesh(), None, &seal(1)).unwrap_err();
        assert!(matches!(error, AuthorityError::Sealed(MESH_ROOT, OpenError::Damaged(_))), "{error}");
    }

    #[test]
    fn a_budget_decides_how_long_a_site_s_certificates_last() {
        let authority = Authority::create(&mesh(), None, NOW).unwrap();
        let keys = [EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap()];
        let [agent, ca] = [ProvenKey::from(&keys[0]), ProvenKey::from(&keys[1])];
        let site = SiteId::new("oslo").unwrap();
        let sign =
            |days: u64| authority.sign_site(&site, (&agent, &ca), Duration::from_secs(days * 86_400), NOW);
        let (short, long) = (sign(1).unwrap(), sign(60).unwrap());
        let end = |given: &Given| match &given.authority {
            SiteAuthority::Signed(certificate) => certificate.not_after(),
            SiteAuthority::Lasts(_) => panic!("the root is here"),
        };
        assert!(end(&short) < end(&long));
        assert!(end(&long).0 - NOW.0 > 90 * 86_400_000);
        assert!(long.agent.not_after() > end(&long));
        assert!(matches!(sign(181).unwrap_err(), NotGiven::Budget(_)));
    }

    #[test]
    fn a_root_that_is_away_is_asked_for_as_long_as_it_may_take_and_is_never_exchanged() {
        let root = MeshRoot::create(&mesh(), &Validity::starting(NOW, ROOT)).unwrap();
        let month = Duration::from_secs(30 * 86_400);
        let away = |root: &MeshRoot| {
            Some(OfflineRoot { certificate: root.certificate().clone(), signs_every: month })
        };
        let authority = Authority::create(&mesh(), away(&root), NOW).unwrap();
        assert_eq!(authority.offline_root(), Some(root.certificate()));
        let key = ProvenKey::from(&EcdsaKey::generate().unwrap());
        let week = Duration::from_secs(7 * 86_400);
        let given = authority.sign_site(&SiteId::new("oslo").unwrap(), (&key, &key), week, NOW).unwrap();
        let SiteAuthority::Lasts(lasts) = given.authority else { panic!("nobody can sign here") };
        assert!(
            lasts.mul_f64(2.0 / 3.0) > week + month,
            "asked for at a third, signed a month later: {lasts:?}"
        );

        let record = authority.to_record(&seal(1)).unwrap();
        assert!(record.root_key.is_empty());
        assert!(Authority::open(&record, &mesh(), away(&root), &seal(1)).is_ok());
        let other = MeshRoot::create(&mesh(), &Validity::starting(NOW, ROOT)).unwrap();
        let here = Authority::create(&mesh(), None, NOW).unwrap().to_record(&seal(1)).unwrap();
        for (record, offline) in [(&record, None), (&record, away(&other)), (&here, away(&root))] {
            let error = Authority::open(record, &mesh(), offline, &seal(1)).unwrap_err().to_string();
            assert!(error.contains("--offline-root"), "{error}");
        }
        let elsewhere = MeshDomain::new("other.local").unwrap();
        assert!(Authority::create(&elsewhere, away(&root), NOW).is_err(), "a root of another mesh");
    }
}
