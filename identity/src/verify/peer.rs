//! Peers of the link: core, agents, operators, vouched for by the transport authority directly.
//!
//! rustls's own verifier does for these as well; this one says who it is in the same breath, needs no DNS name, and can do
//! with a pin where there is no root yet.

use skerry_core::id::Timestamp;

use super::parsed::Parsed;
use super::{Anchors, Chain, Place, Refusal, other_name, path};
use crate::ca::Peer;
use crate::certificate::Certificate;
use crate::spiffe_id::MeshDomain;
use crate::thumbprint::Thumbprint;

/// A peer of the link whose chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPeer {
    /// Who it is.
    pub peer: Peer,
    /// Its key, which names an enrolment: two boxes that claim one site have two, and what is revoked is one.
    pub key: Thumbprint,
    /// When its certificate ends.
    pub until: Timestamp,
}

/// Verifies the chain of a peer of the link at a time. Whether its key is revoked is for the core to know.
pub fn verify_peer(chain: &Chain<'_>, anchors: &Anchors, now: Timestamp) -> Result<VerifiedPeer, Refusal> {
    let path = path::verify(chain, &anchors.roots, now)?;
    let [leaf] = path.chain.as_slice() else {
        return Err(Refusal::Shape("a peer of the link is vouched for by the transport authority itself"));
    };
    let id = leaf.id()?;
    let peer = Peer::from_spiffe_id(&anchors.mesh, &id)
        .ok_or_else(|| other_name(&anchors.mesh, &id, "a peer of the link"))?;
    check_usage(leaf, &peer)?;
    Ok(VerifiedPeer { peer, key: leaf.thumbprint(), until: leaf.not_after() })
}

/// Verifies the core of a mesh where only a pin is known, as at enrolment: the chain holds the transport authority, whose
/// key has that thumbprint. Returns its certificate, which is an anchor from then on.
pub fn verify_pinned_core(
    chain: &Chain<'_>,
    mesh: &MeshDomain,
    pin: Thumbprint,
    now: Timestamp,
) -> Result<Certificate, Refusal> {
    let authorities = chain.iter().skip(1).take(super::MAX_CHAIN);
    let mut read = authorities.filter_map(|der| Certificate::from_der(der).ok());
    let root = read.find(|certificate| certificate.thumbprint() == pin).ok_or(Refusal::OtherPin(pin))?;
    // The pin is of the key: that the rest of the certificate is not made up, its own signature says.
    let parsed = Parsed::read(Place::Root, root.der())?;
    if !parsed.is_signed_by(&parsed) {
        return Err(Refusal::BadSignature(Place::Root));
    }
    let leaf: &Chain<'_> = &chain[..1];
    let anchors = Anchors { mesh: mesh.clone(), roots: vec![root.clone()] };
    // The box may not know the time, and the core has a new certificate at each start: it is as late as that says.
    let began = Certificate::from_der(&leaf[0]).map_or(now, |leaf| leaf.not_before());
    match verify_peer(leaf, &anchors, now.max(began))?.peer {
        Peer::Core => Ok(root),
        other => {
            let id = other.to_spiffe_id(mesh).map_err(|error| Refusal::Name(Place::Leaf, error))?;
            Err(other_name(mesh, &id, "the core"))
        }
    }
}

fn check_usage(leaf: &Parsed<'_>, peer: &Peer) -> Result<(), Refusal> {
    if leaf.is_authority() {
        return Err(Refusal::Shape("an authority is no peer of the link"));
    }
    if !leaf.critical_usage().is_some_and(x509_parser::extensions::KeyUsage::digital_signature) {
        return Err(Refusal::Shape("the key of the peer may not sign"));
    }
    let is_for_it = |extended: &x509_parser::extensions::ExtendedKeyUsage<'_>| match peer {
        Peer::Core => extended.server_auth,
        Peer::Agent(_) | Peer::Operator(_) => extended.client_auth,
    };
    if leaf.extended().is_some_and(is_for_it) {
        return Ok(());
    }
    Err(Refusal::Shape("the certificate is for the other end of the link"))
}
