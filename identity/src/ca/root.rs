//! The mesh root: signed by itself, signs the sites' authorities and nothing else.
//!
//! May live in the core, sealed, or outside: then [`MeshRoot::sign_site`] runs where its key is.

use skerry_core::id::SiteId;

use super::authority::{Expected, Signer};
use super::template::{Purpose, Template};
use super::{Authority, CaError};
use crate::certificate::Certificate;
use crate::csr::ProvenKey;
use crate::key::EcdsaKey;
use crate::lifetimes::Validity;
use crate::spiffe_id::MeshDomain;

/// The root of a mesh. Path length 1: its sites' authorities, and below these workloads.
#[derive(Debug)]
pub struct MeshRoot {
    mesh: MeshDomain,
    signer: Signer,
}

const BELOW: u8 = 1;

impl MeshRoot {
    /// Makes a new root. [`crate::lifetimes::ROOT`] is how long one lasts.
    pub fn create(mesh: &MeshDomain, validity: &Validity) -> Result<Self, CaError> {
        let purpose = Purpose::Authority { below: BELOW, only: None };
        let id = mesh.trust_domain().id();
        let template = Template { kind: "Skerry mesh root", name: Some(mesh.as_str()), id: &id, purpose };
        Ok(Self { mesh: mesh.clone(), signer: Signer::create(&template, validity)? })
    }

    /// Takes a root as it was stored, or as another tool made it: a CA for at least one authority below it, with the URI
    /// `spiffe://<mesh>`.
    pub fn load(mesh: &MeshDomain, certificate: Certificate, key: EcdsaKey) -> Result<Self, CaError> {
        expecting(mesh, |expected| {
            Ok(Self { mesh: mesh.clone(), signer: Signer::load(certificate, key, expected)? })
        })
    }

    /// Says whether a certificate is that of a root, as [`MeshRoot::load`] does for one whose key is at hand.
    pub fn check(mesh: &MeshDomain, certificate: &Certificate) -> Result<(), CaError> {
        expecting(mesh, |expected| expected.check(certificate))
    }

    /// Signs the authority of a site: path length 0, and a critical name constraint for the site's own trust domain.
    pub fn sign_site(
        &self,
        site: &SiteId,
        key: &ProvenKey,
        validity: &Validity,
    ) -> Result<Certificate, CaError> {
        let domain = self.mesh.site_domain(site);
        let purpose = Purpose::Authority { below: 0, only: Some(&domain) };
        let template =
            Template { kind: "Skerry site authority", name: Some(site.as_str()), id: &domain.id(), purpose };
        self.signer.sign(&template, key, validity)
    }
}

fn expecting<T>(
    mesh: &MeshDomain,
    take: impl FnOnce(&Expected<'_>) -> Result<T, CaError>,
) -> Result<T, CaError> {
    let what = format!("the root of mesh `{}`", mesh.as_str());
    take(&Expected { what: &what, id: &mesh.trust_domain().id(), below: BELOW.into() })
}

impl Authority for MeshRoot {
    fn certificate(&self) -> &Certificate {
        self.signer.certificate()
    }

    fn key(&self) -> &EcdsaKey {
        self.signer.key()
    }
}
