//! A site's authority: lives at the site, mints the certificates of its workloads with no link.
//!
//! Must not name a workload of another site; peers would refuse it anyhow (the name constraint).

use skerry_core::id::SiteId;
use zeroize::Zeroizing;

use super::authority::{Expected, Signer};
use super::template::{Purpose, Template};
use super::{Authority, CaError};
use crate::certificate::{Certificate, chain_to_pem};
use crate::csr::ProvenKey;
use crate::key::{EcdsaKey, ProviderFailed};
use crate::lifetimes::Validity;
use crate::spiffe_id::{MeshDomain, SpiffeId, Workload};

/// The authority of one site.
#[derive(Debug)]
pub struct SiteCa {
    mesh: MeshDomain,
    site: SiteId,
    signer: Signer,
}

/// A workload's identity: key and chain, ready for a proxy or for the Workload API.
#[derive(Debug)]
pub struct Svid {
    /// Whose it is.
    pub id: SpiffeId,
    /// Its key.
    pub key: EcdsaKey,
    /// The certificate of the workload, then that of the site's authority; without the root.
    pub chain: [Certificate; 2],
}

impl Svid {
    /// Returns the workload's own certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }

    /// Writes the chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        chain_to_pem(&self.chain)
    }

    /// Writes the key as PEM (PKCS#8); wiped when dropped.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, ProviderFailed> {
        self.key.to_pem()
    }
}

impl SiteCa {
    /// Takes the certificate that the mesh root signed, and its key. Whether the root did sign it is for
    /// [`crate::verify::verify_site_ca`].
    pub fn load(
        mesh: &MeshDomain,
        site: &SiteId,
        certificate: Certificate,
        key: EcdsaKey,
    ) -> Result<Self, CaError> {
        let what = format!("the authority of site `{site}` in mesh `{}`", mesh.as_str());
        let expected = Expected { what: &what, id: &mesh.site_domain(site).id(), below: 0 };
        let signer = Signer::load(certificate, key, &expected)?;
        Ok(Self { mesh: mesh.clone(), site: site.clone(), signer })
    }

    /// Mints a workload's identity with a new key. It ends with the authority at the latest: near the end of a cut that is
    /// longer than the budget, certificates get short before there are none.
    pub fn mint(&self, namespace: &str, service_account: &str, validity: &Validity) -> Result<Svid, CaError> {
        let key = EcdsaKey::generate()?;
        let (id, leaf) = self.sign(namespace, service_account, &ProvenKey::from(&key), validity)?;
        Ok(Svid { id, key, chain: [leaf, self.signer.certificate().clone()] })
    }

    /// Signs a workload's certificate for a key that stays where it is.
    pub fn sign(
        &self,
        namespace: &str,
        service_account: &str,
        key: &ProvenKey,
        validity: &Validity,
    ) -> Result<(SpiffeId, Certificate), CaError> {
        let (namespace, service_account) = (namespace.to_owned(), service_account.to_owned());
        let workload = Workload { site: self.site.clone(), namespace, service_account };
        let id = self.mesh.workload_id(&workload)?;
        let template = Template { kind: "Skerry", name: None, id: &id, purpose: Purpose::Workload };
        let leaf = self.signer.sign(&template, key, &validity.ending_by(self.signer.end()))?;
        Ok((id, leaf))
    }

    /// Returns the mesh.
    pub fn mesh(&self) -> &MeshDomain {
        &self.mesh
    }

    /// Returns the site.
    pub fn site(&self) -> &SiteId {
        &self.site
    }
}

impl Authority for SiteCa {
    fn certificate(&self) -> &Certificate {
        self.signer.certificate()
    }

    fn key(&self) -> &EcdsaKey {
        self.signer.key()
    }
}
