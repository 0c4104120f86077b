//! The transport authority: certificates for the link between core, agents and operators.
//!
//! Not below the mesh root, and without a name constraint: rustls refuses every leaf with a URI below an authority that is
//! constrained by URI, rightly or not. Must not name a workload.

use std::fmt;

use rustls::pki_types::ServerName;
use skerry_core::id::{InvalidId, SiteId};

use super::authority::{Expected, Signer};
use super::template::{Purpose, Template};
use super::{Authority, CaError};
use crate::certificate::Certificate;
use crate::csr::ProvenKey;
use crate::key::EcdsaKey;
use crate::lifetimes::Validity;
use crate::spiffe_id::{MeshDomain, SpiffeId, is_dns_subdomain};
use crate::thumbprint::Thumbprint;

/// The authority for the link. Path length 0.
#[derive(Debug)]
pub struct TransportCa {
    mesh: MeshDomain,
    signer: Signer,
}

/// Who is at an end of the link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// The core: `spiffe://<mesh>/skerry/core`.
    Core,
    /// The agent of a site: `spiffe://<mesh>/skerry/site/<site>`.
    Agent(SiteId),
    /// A person or a pipeline with the command: `spiffe://<mesh>/skerry/operator/<name>`.
    Operator(String),
}

const CORE: &str = "/skerry/core";
const AGENT: &str = "/skerry/site/";
const OPERATOR: &str = "/skerry/operator/";

impl Peer {
    /// Names the peer. An operator's name is a DNS subdomain.
    pub fn to_spiffe_id(&self, mesh: &MeshDomain) -> Result<SpiffeId, InvalidId> {
        let path = match self {
            Self::Core => CORE.to_owned(),
            Self::Agent(site) => format!("{AGENT}{site}"),
            Self::Operator(name) if is_dns_subdomain(name) => format!("{OPERATOR}{name}"),
            Self::Operator(name) => {
                let rule = "lower-case letters, digits, `-` and `.`, at most 253 (RFC 1123)";
                return Err(InvalidId { what: "name of an operator", value: name.clone(), rule });
            }
        };
        SpiffeId::new(&format!("spiffe://{}{path}", mesh.as_str()))
    }

    /// Reads the name of a peer back; nothing if it is none of this mesh.
    pub fn from_spiffe_id(mesh: &MeshDomain, id: &SpiffeId) -> Option<Self> {
        let path = Some(id.path()).filter(|_| id.domain() == mesh.as_str())?;
        if path == CORE {
            return Some(Self::Core);
        }
        if let Some(site) = path.strip_prefix(AGENT) {
            return SiteId::new(site).ok().map(Self::Agent);
        }
        let name = path.strip_prefix(OPERATOR)?;
        is_dns_subdomain(name).then(|| Self::Operator(name.to_owned()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Core => f.write_str("the core"),
            Self::Agent(site) => write!(f, "the agent of site `{site}`"),
            Self::Operator(name) => write!(f, "operator `{name}`"),
        }
    }
}

impl TransportCa {
    /// Makes a new transport authority. [`crate::lifetimes::ROOT`] is how long one lasts.
    pub fn create(mesh: &MeshDomain, validity: &Validity) -> Result<Self, CaError> {
        let purpose = Purpose::Authority { below: 0, only: None };
        let id = mesh.trust_domain().id();
        let template =
            Template { kind: "Skerry transport authority", name: Some(mesh.as_str()), id: &id, purpose };
        Ok(Self { mesh: mesh.clone(), signer: Signer::create(&template, validity)? })
    }

    /// Takes a transport authority as it was stored.
    pub fn load(mesh: &MeshDomain, certificate: Certificate, key: EcdsaKey) -> Result<Self, CaError> {
        let what = format!("the transport authority of mesh `{}`", mesh.as_str());
        let expected = Expected { what: &what, id: &mesh.trust_domain().id(), below: 0 };
        Ok(Self { mesh: mesh.clone(), signer: Signer::load(certificate, key, &expected)? })
    }

    /// Signs the core's certificate, for the names by which agents and people reach it.
    pub fn sign_core(
        &self,
        names: &[ServerName<'static>],
        key: &ProvenKey,
        validity: &Validity,
    ) -> Result<Certificate, CaError> {
        self.sign(&Peer::Core, Purpose::Server(names), key, validity)
    }

    /// Signs the certificate of a site's agent.
    pub fn sign_agent(
        &self,
        site: &SiteId,
        key: &ProvenKey,
        validity: &Validity,
    ) -> Result<Certificate, CaError> {
        self.sign(&Peer::Agent(site.clone()), Purpose::Client, key, validity)
    }

    /// Signs the certificate of an operator.
    pub fn sign_operator(
        &self,
        name: &str,
        key: &ProvenKey,
        validity: &Validity,
    ) -> Result<Certificate, CaError> {
        self.sign(&Peer::Operator(name.to_owned()), Purpose::Client, key, validity)
    }

    fn sign(
        &self,
        peer: &Peer,
        purpose: Purpose<'_>,
        key: &ProvenKey,
        validity: &Validity,
    ) -> Result<Certificate, CaError> {
        let name = match peer {
            Peer::Core => "core",
            Peer::Agent(site) => site.as_str(),
            Peer::Operator(name) => name,
        };
        let kind = match peer {
            Peer::Core => "Skerry core",
            Peer::Agent(_) => "Skerry agent",
            Peer::Operator(_) => "Skerry operator",
        };
        let id = peer.to_spiffe_id(&self.mesh)?;
        self.signer.sign(&Template { kind, name: Some(name), id: &id, purpose }, key, validity)
    }

    /// Returns what a join token pins: the thumbprint of this authority's key.
    pub fn pin(&self) -> Thumbprint {
        self.signer.certificate().thumbprint()
    }
}

impl Authority for TransportCa {
    fn certificate(&self) -> &Certificate {
        self.signer.certificate()
    }

    fn key(&self) -> &EcdsaKey {
        self.signer.key()
    }
}
