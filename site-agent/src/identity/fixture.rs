//! A mesh for tests: everything that signs for a site. Keys are new in each.

use std::collections::BTreeSet;
use std::time::Duration;

use skerry_core::id::{SiteId, Timestamp};
use skerry_identity::ca::{Authority as _, MeshRoot, SiteCa, TransportCa};
use skerry_identity::certificate::Certificate;
use skerry_identity::csr::ProvenKey;
use skerry_identity::key::{EcdsaKey, SigningKey};
use skerry_identity::lifetimes::{ROOT, Validity};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::{Role, SignedRoot, TrustRoot, TrustedRoot};

use crate::enrolment::Enrolment;

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A point in time, in hours from [`NOW`].
pub(crate) fn at(hours: u64) -> Timestamp {
    Timestamp(NOW.0 + hours * 3_600_000)
}

/// The core's side of a mesh.
pub(crate) struct Mesh {
    pub(crate) name: MeshDomain,
    root: MeshRoot,
    transport: TransportCa,
}

impl Mesh {
    pub(crate) fn new() -> Self {
        let name = MeshDomain::new("mesh.local").unwrap();
        let validity = Validity::starting(NOW, ROOT);
        let root = MeshRoot::create(&name, &validity).unwrap();
        let transport = TransportCa::create(&name, &validity).unwrap();
        Self { name, root, transport }
    }

    pub(crate) fn root(&self) -> Certificate {
        self.root.certificate().clone()
    }

    /// Enrols site `store-1`, with an authority for so many hours from a point in time.
    pub(crate) fn enrol(&self, start: Timestamp, hours: u32) -> Enrolment {
        let site = SiteId::new("store-1").unwrap();
        let lasts = |hours: u32| Validity::starting(start, HOUR * hours);
        let (agent_key, key) = (EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap());
        let authority = self.root.sign_site(&site, &ProvenKey::from(&key), &lasts(hours)).unwrap();
        let signing = SigningKey::generate().unwrap();
        let trust_root = TrustRoot {
            mesh: self.name.clone(),
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
            agent: self.transport.sign_agent(&site, &ProvenKey::from(&agent_key), &lasts(2 * hours)).unwrap(),
            agent_key,
            authority: SiteCa::load(&self.name, &site, authority, key).unwrap(),
            mesh_roots: vec![self.root()],
            link_roots: vec![self.transport.certificate().clone()],
            trust_root: TrustedRoot::first(signed).unwrap(),
            revoked: BTreeSet::new(),
            revoked_sites: BTreeSet::new(),
            trust_version: 0,
            offline_budget: HOUR * (hours / 2),
        }
    }
}
