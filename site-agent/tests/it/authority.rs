//! A mesh of the tests: who signs for sites, and what a thief of their keys would sign. By the wall clock, since Envoy checks
//! dates by it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use skerry_agent::enrolment::Enrolment;
use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ca::{Authority as _, MeshRoot, SiteCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::key::EcdsaKey;
use skerry_identity::lifetimes::{ROOT, Validity};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot, TrustedRoot};
use time::OffsetDateTime;

use crate::site::SIGNING;
use crate::tls_core;

/// How long authorities of sites last here.
const LIFE: Duration = Duration::from_secs(14 * 24 * 3600);

/// The core's side of a mesh.
pub(crate) struct Mesh {
    name: MeshDomain,
    /// When everything is signed.
    start: Timestamp,
    root: MeshRoot,
}

/// A chain as a caller sends it, leaf first, and the leaf's key.
pub(crate) struct Proof {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: EcdsaKey,
}

/// What the machine's clock says.
#[expect(clippy::disallowed_methods, reason = "the one place where these tests read the clock")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_millis()).unwrap())
}

impl Mesh {
    pub(crate) fn new(name: &str) -> Self {
        Self::starting(name, now())
    }

    /// Signs everything at this time, whatever the clock says.
    pub(crate) fn starting(name: &str, start: Timestamp) -> Self {
        let name = MeshDomain::new(name).unwrap();
        let validity = Validity::starting(start, ROOT);
        let root = MeshRoot::create(&name, &validity).unwrap();
        Self { name, start, root }
    }

    pub(crate) fn root(&self) -> Certificate {
        self.root.certificate().clone()
    }

    /// A new authority of a site.
    pub(crate) fn authority(&self, site: &str) -> SiteCa {
        self.authority_for(site, &Validity::starting(self.start, LIFE))
    }

    /// One that lasts that long.
    pub(crate) fn authority_for(&self, site: &str, validity: &Validity) -> SiteCa {
        let (site, key) = (SiteId::new(site).unwrap(), EcdsaKey::generate().unwrap());
        let certificate = self.root.sign_site(&site, &ProvenKey::from(&key), validity).unwrap();
        SiteCa::load(&self.name, &site, certificate, key).unwrap()
    }

    /// Enrols site `store-1`; who is believed there besides this mesh's root is in `others`.
    pub(crate) fn enrol(&self, others: &[Certificate]) -> Enrolment {
        let (site, key) = (SiteId::new("store-1").unwrap(), EcdsaKey::generate().unwrap());
        // The core of these tests has a clock that is right: its authority lasts for ten years, and it takes no certificate
        // that is over.
        let validity = Validity::starting(self.start.min(now()), LIFE * 8);
        let trust_root = TrustRoot {
            mesh: self.name.clone(),
            version: 1,
            expires: now().0 / 1000 + 1_000_000,
            core: Role::new(1, [SIGNING.public()]),
            policy: None,
            require_policy: false,
        };
        let mut signed = SignedRoot::new(&trust_root).unwrap();
        signed.sign(&SIGNING).unwrap();
        let mut mesh_roots = vec![self.root()];
        mesh_roots.extend_from_slice(others);
        Enrolment {
            core: "https://127.0.0.1:7443".to_owned(),
            agent: tls_core::AUTHORITY.sign_agent(&site, &ProvenKey::from(&key), &validity).unwrap(),
            agent_key: key,
            authority: self.authority("store-1"),
            mesh_roots,
            link_roots: tls_core::anchors().roots,
            trust_root: TrustedRoot::first(signed).unwrap(),
            revoked: BTreeSet::new(),
            revoked_sites: BTreeSet::new(),
            trust_version: 0,
            offline_budget: LIFE / 2,
        }
    }
}

/// What a workload of a site has.
pub(crate) fn svid(authority: &SiteCa, account: &str) -> Proof {
    let svid =
        authority.mint("shop", account, &Validity::starting(now(), Duration::from_secs(3600))).unwrap();
    let chain = svid.chain.iter().map(|certificate| certificate.der().clone()).collect();
    Proof { chain, key: svid.key }
}

/// A certificate that is right until it is told otherwise.
pub(crate) struct Forgery(CertificateParams);

impl Forgery {
    pub(crate) fn new(ids: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "forged");
        params.subject_alt_names = ids.iter().map(|id| SanType::URI((*id).try_into().unwrap())).collect();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Self(params).valid(-1, 20)
    }

    /// In hours from now.
    pub(crate) fn valid(mut self, from: i64, until: i64) -> Self {
        let seconds = i64::try_from(now().0 / 1000).unwrap();
        let date = |hours: i64| OffsetDateTime::from_unix_timestamp(seconds + hours * 3600).unwrap();
        (self.0.not_before, self.0.not_after) = (date(from), date(until));
        self
    }

    pub(crate) fn usages(mut self, usages: &[KeyUsagePurpose]) -> Self {
        self.0.key_usages = usages.to_vec();
        self
    }

    pub(crate) fn authority(mut self) -> Self {
        self.0.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }

    pub(crate) fn dns(mut self, name: &str) -> Self {
        self.0.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
        self
    }

    /// Signed with the key of an authority, and sent with its certificate.
    pub(crate) fn sign(&self, authority: &SiteCa) -> Proof {
        self.sign_by(authority.certificate().der(), authority.key(), &[])
    }

    /// Signed with whatever key; `above` is sent behind the issuer.
    pub(crate) fn sign_by(
        &self,
        issuer: &CertificateDer<'static>,
        issuer_key: &EcdsaKey,
        above: &[CertificateDer<'static>],
    ) -> Proof {
        let key = EcdsaKey::generate().unwrap();
        let signer = Issuer::from_ca_cert_der(issuer, issuer_key).unwrap();
        let leaf = self.0.signed_by(&key, &signer).unwrap().der().clone();
        let mut chain = vec![leaf, issuer.clone()];
        chain.extend_from_slice(above);
        Proof { chain, key }
    }
}
