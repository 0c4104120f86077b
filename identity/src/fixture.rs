//! A small mesh for the tests of this crate. Keys are new in each test.

use std::time::Duration;

use skerry_core::id::{SiteId, Timestamp};

use crate::ca::{MeshRoot, SiteCa, TransportCa};
use crate::csr::ProvenKey;
use crate::key::EcdsaKey;
use crate::lifetimes::{ROOT, Validity};
use crate::spiffe_id::MeshDomain;
use crate::verify::Anchors;

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) fn hours(count: u32) -> Duration {
    Duration::from_secs(3600) * count
}

/// Begins now and lasts so many hours.
pub(crate) fn lasting(count: u32) -> Validity {
    Validity::starting(NOW, hours(count))
}

/// So many hours from now; before, if negative.
pub(crate) fn at(count: i64) -> Timestamp {
    Timestamp(NOW.0.checked_add_signed(count * 3_600_000).unwrap())
}

pub(crate) fn mesh() -> MeshDomain {
    MeshDomain::new("mesh.local").unwrap()
}

pub(crate) fn site(name: &str) -> SiteId {
    SiteId::new(name).unwrap()
}

pub(crate) fn root() -> MeshRoot {
    MeshRoot::create(&mesh(), &Validity::starting(NOW, ROOT)).unwrap()
}

pub(crate) fn transport() -> TransportCa {
    TransportCa::create(&mesh(), &Validity::starting(NOW, ROOT)).unwrap()
}

/// A site's authority, for 300 hours.
pub(crate) fn site_ca(root: &MeshRoot, name: &str) -> SiteCa {
    let key = EcdsaKey::generate().unwrap();
    let certificate = root.sign_site(&site(name), &ProvenKey::from(&key), &lasting(300)).unwrap();
    SiteCa::load(&mesh(), &site(name), certificate, key).unwrap()
}

pub(crate) fn anchors(authority: &impl crate::ca::Authority) -> Anchors {
    Anchors { mesh: mesh(), roots: vec![authority.certificate().clone()] }
}
