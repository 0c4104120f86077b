//! What a site has once it is enrolled: its keys, what was signed for them, and whom it trusts.
//!
//! A file beside the store and not in it, since a damaged store is moved aside and fetched anew, and keys cannot be; for the
//! same reason there are two of it (`kept`). It is written whole, with mode 0600. The keys were made here and never leave; they
//! are wiped and never printed. Must not decide whether a certificate is good, nor when to renew one.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skerry_core::id::{Digest, SiteId, Timestamp};
use skerry_identity::ca::{Authority as _, CaError, SiteCa};
use skerry_identity::certificate::{Certificate, chain_to_pem};
use skerry_identity::envelope::Signatures;
use skerry_identity::key::{EcdsaKey, ProviderFailed};
use skerry_identity::malformed::Malformed;
use skerry_identity::policy::{PolicyProof, PolicyTerms};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::thumbprint::Thumbprint;
use skerry_identity::trust_root::{PolicyDemand, RootRefusal, SignedRoot, TrustedRoot};
use skerry_proto::v1::Offer;
use zeroize::Zeroizing;

use crate::layout::replace_file;

mod kept;
mod start;

pub use kept::Found;
use kept::make_private;
pub(crate) use start::Start;

/// The longest file that is read: ten certificates of 2 KiB, a trust root of 16 KiB, 4,096 revoked keys of 70 B and as many
/// names of 70 B.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A site's enrolment.
#[derive(Debug)]
pub struct Enrolment {
    /// Where the core is.
    pub core: String,
    /// The agent's key for the link.
    pub agent_key: EcdsaKey,
    /// Its certificate by the transport authority.
    pub agent: Certificate,
    /// The site's own authority, which names the site and the mesh.
    pub authority: SiteCa,
    /// The roots of the mesh: whom workloads believe. Several while a root is rotated.
    pub mesh_roots: Vec<Certificate>,
    /// The transport authorities: whom the agent believes that it is the core.
    pub link_roots: Vec<Certificate>,
    /// Whose signatures of bundles are believed.
    pub trust_root: TrustedRoot,
    /// The keys of site authorities that nobody believes any more.
    pub revoked: BTreeSet<Thumbprint>,
    /// Sites whose workloads nobody believes any more: revoked, with no box in the place of the one that was theirs.
    pub revoked_sites: BTreeSet<SiteId>,
    /// The core's number for whom the site believes; 0: it gave none.
    pub trust_version: u64,
    /// How long the site shall go on with no link.
    pub offline_budget: Duration,
}

/// Why an enrolment cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum EnrolmentError {
    /// The file cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error("{0} is damaged ({1})")]
    Damaged(String, String),
    /// It was there, and is not.
    #[error("{0} is gone")]
    Gone(String),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderFailed),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    site: SiteId,
    mesh: MeshDomain,
    core: String,
    agent_key: Secret,
    agent: String,
    authority_key: Secret,
    authority: String,
    mesh_roots: String,
    link_roots: String,
    trust_root: SignedRoot,
    revoked: BTreeSet<Thumbprint>,
    #[serde(default)]
    revoked_sites: BTreeSet<SiteId>,
    #[serde(default)]
    trust_version: u64,
    offline_budget_seconds: u64,
}

/// A key as PEM.
#[derive(Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<Secret> for String {
    fn from(mut secret: Secret) -> Self {
        std::mem::take(&mut *secret.0)
    }
}

impl Clone for Secret {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Why a file cannot be taken.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    /// Nothing of it is quoted: it holds keys.
    #[error("line {}, column {}", .0.line(), .0.column())]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Authority(#[from] CaError),
    #[error(transparent)]
    Root(#[from] RootRefusal),
    #[error("the agent's certificate is for another key")]
    OtherKey,
}

impl Enrolment {
    /// Reads the file; nothing if there is none.
    pub fn load(path: &Path) -> Result<Option<Self>, EnrolmentError> {
        let metadata = match fs_err::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let damaged = |reason: String| EnrolmentError::Damaged(path.display().to_string(), reason);
        if metadata.len() > MAX_FILE_BYTES {
            return Err(damaged(format!("{} bytes", metadata.len())));
        }
        let bytes = Zeroizing::new(fs_err::read(path)?);
        Self::read(&bytes).map(Some).map_err(|unfit| damaged(unfit.to_string()))
    }

    /// Writes the file in one step.
    pub fn save(&self, path: &Path) -> Result<(), EnrolmentError> {
        let written = Written {
            site: self.site().clone(),
            mesh: self.mesh().clone(),
            core: self.core.clone(),
            agent_key: Secret(self.agent_key.to_pem()?),
            agent: self.agent.to_pem(),
            authority_key: Secret(self.authority.key().to_pem()?),
            authority: self.authority.certificate().to_pem(),
            mesh_roots: chain_to_pem(&self.mesh_roots),
            link_roots: chain_to_pem(&self.link_roots),
            trust_root: self.trust_root.signed().clone(),
            revoked: self.revoked.clone(),
            revoked_sites: self.revoked_sites.clone(),
            trust_version: self.trust_version,
            offline_budget_seconds: self.offline_budget.as_secs(),
        };
        // Room from the start: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 << 10));
        serde_json::to_writer_pretty(&mut *bytes, &written).map_err(io::Error::from)?;
        Ok(replace_file(path, &bytes)?)
    }

    fn read(bytes: &[u8]) -> Result<Self, Unfit> {
        let written: Written = serde_json::from_slice(bytes)?;
        let authority = SiteCa::load(
            &written.mesh,
            &written.site,
            Certificate::from_pem(&written.authority)?,
            EcdsaKey::from_pem(&written.authority_key.0)?,
        )?;
        let agent_key = EcdsaKey::from_pem(&written.agent_key.0)?;
        let agent = Certificate::from_pem(&written.agent)?;
        if agent.thumbprint() != agent_key.thumbprint() {
            return Err(Unfit::OtherKey);
        }
        Ok(Self {
            core: written.core,
            agent_key,
            agent,
            authority,
            mesh_roots: Certificate::chain_from_pem(&written.mesh_roots)?,
            link_roots: Certificate::chain_from_pem(&written.link_roots)?,
            trust_root: TrustedRoot::first(written.trust_root)?,
            revoked: written.revoked,
            revoked_sites: written.revoked_sites,
            trust_version: written.trust_version,
            offline_budget: Duration::from_secs(written.offline_budget_seconds),
        })
    }

    /// Says whether an offer is signed by those who are believed; else why not.
    /// What policy keys say is about fragments, which come later; that they say nothing although they have to shows here.
    pub fn vouch(&self, offer: &Offer, demand: PolicyDemand, now: Timestamp) -> Result<(), String> {
        let signatures = Signatures::from_bytes(&offer.signatures).map_err(|error| error.to_string())?;
        let verified = self.trust_root.verify_manifest(&offer.manifest, &signatures, now);
        verified.map_err(|refusal| refusal.to_string())?;
        match &offer.policy {
            Some(_) => Ok(()),
            None => self.vouch_policy(None, &Digest::of(&[]), 0, demand).map(drop),
        }
    }

    /// Says whether policy keys have signed what the site was offered, if they have to; else why it is not run. Returns the
    /// number that they signed.
    pub fn vouch_policy(
        &self,
        proof: Option<&PolicyProof>,
        policy: &Digest,
        floor: u64,
        demand: PolicyDemand,
    ) -> Result<Option<u64>, String> {
        let terms = PolicyTerms { site: self.site(), policy, floor, demand };
        self.trust_root.accept_policy(proof, &terms).map_err(|refusal| refusal.to_string())
    }

    /// Says whether policy keys have a say at this site.
    pub fn has_policy(&self, demand: PolicyDemand) -> bool {
        self.trust_root.root().policy.is_some() || self.trust_root.requires_policy(demand)
    }

    /// Returns the latest time that a certificate vouches for: it was signed then.
    pub fn signed_at(&self) -> Timestamp {
        let begins = |certificate: &Certificate| certificate.validity().issued;
        begins(&self.agent).max(begins(self.authority.certificate()))
    }

    /// Returns the site.
    pub fn site(&self) -> &SiteId {
        self.authority.site()
    }

    /// Returns the mesh.
    pub fn mesh(&self) -> &MeshDomain {
        self.authority.mesh()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use skerry_identity::ca::{MeshRoot, TransportCa};
    use skerry_identity::csr::ProvenKey;
    use skerry_identity::key::SigningKey;
    use skerry_identity::lifetimes::{ROOT, Validity};
    use skerry_identity::trust_root::{Role, TrustRoot};

    use super::*;

    /// Certificates for 300 h and 600 h.
    pub(crate) fn enrolment() -> Enrolment {
        let (mesh, site) = (MeshDomain::new("mesh.local").unwrap(), SiteId::new("oslo").unwrap());
        let now = Timestamp(1_800_000_000_000);
        let lasts = |hours: u64| Validity::starting(now, Duration::from_secs(hours * 3600));
        let root = MeshRoot::create(&mesh, &Validity::starting(now, ROOT)).unwrap();
        let transport = TransportCa::create(&mesh, &Validity::starting(now, ROOT)).unwrap();
        let (authority_key, agent_key) = (EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap());
        let authority = root.sign_site(&site, &ProvenKey::from(&authority_key), &lasts(300)).unwrap();
        let signing = SigningKey::generate().unwrap();
        let trust_root = TrustRoot {
            mesh: mesh.clone(),
            version: 1,
            expires: 1_900_000_000,
            core: Role::new(1, [signing.public()]),
            policy: None,
            require_policy: false,
        };
        let mut signed = SignedRoot::new(&trust_root).unwrap();
        signed.sign(&signing).unwrap();
        Enrolment {
            core: "https://127.0.0.1:7443".to_owned(),
            agent: transport.sign_agent(&site, &ProvenKey::from(&agent_key), &lasts(600)).unwrap(),
            agent_key,
            authority: SiteCa::load(&mesh, &site, authority, authority_key).unwrap(),
            mesh_roots: vec![root.certificate().clone()],
            link_roots: vec![transport.certificate().clone()],
            trust_root: TrustedRoot::first(signed).unwrap(),
            revoked: BTreeSet::from([transport.certificate().thumbprint()]),
            revoked_sites: BTreeSet::from([SiteId::new("bergen").unwrap()]),
            trust_version: 7,
            offline_budget: Duration::from_secs(3600),
        }
    }

    #[test]
    fn what_is_kept_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.json");
        assert!(Enrolment::load(&path).unwrap().is_none());
        let kept = enrolment();
        kept.save(&path).unwrap();
        let read = Enrolment::load(&path).unwrap().unwrap();
        assert_eq!(format!("{read:?}"), format!("{kept:?}"));
        assert_eq!(read.agent_key.thumbprint(), kept.agent_key.thumbprint());
        assert_eq!(read.trust_root, kept.trust_root);
    }

    #[test]
    fn what_is_damaged_or_mixed_is_said_and_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity.json");
        let kept = enrolment();
        kept.save(&path).unwrap();
        let text = fs_err::read_to_string(&path).unwrap();
        for length in (0..text.len()).step_by(97) {
            replace_file(&path, &text.as_bytes()[..length]).unwrap();
            assert!(matches!(Enrolment::load(&path), Err(EnrolmentError::Damaged(..))), "cut at {length}");
        }
        let mixed = Enrolment { agent_key: EcdsaKey::generate().unwrap(), ..kept };
        mixed.save(&path).unwrap();
        let error = Enrolment::load(&path).unwrap_err().to_string();
        assert!(error.contains("the agent's certificate is for another key"), "{error}");
        let key = mixed.agent_key.to_pem().unwrap();
        assert!(!format!("{mixed:?}{error}").contains(key.lines().nth(1).unwrap()));
    }
}
