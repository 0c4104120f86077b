//! X509-SVIDs of workloads: leaf, the authority of its site, the mesh root.
//!
//! Must not take what one of our own authorities would never sign: a leaf by the root itself, or by an authority that is
//! not confined to its site.

use std::collections::BTreeSet;

use skerry_core::id::{SiteId, Timestamp};

use super::parsed::Parsed;
use super::{Anchors, Chain, Refusal, names, other_name, path};
use crate::certificate::Certificate;
use crate::spiffe_id::{MeshDomain, SpiffeId, Workload};
use crate::thumbprint::Thumbprint;

/// A workload whose chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSvid {
    /// Its SPIFFE ID.
    pub id: SpiffeId,
    /// The same, taken apart.
    pub workload: Workload,
    /// The key of the authority that vouches for it.
    pub authority: Thumbprint,
    /// When the first of its chain ends.
    pub until: Timestamp,
}

/// Verifies the chain of a workload, leaf first, at a time. `revoked` are the keys of authorities that were cut off.
pub fn verify_svid(
    chain: &Chain<'_>,
    anchors: &Anchors,
    revoked: &BTreeSet<Thumbprint>,
    now: Timestamp,
) -> Result<VerifiedSvid, Refusal> {
    let path = path::verify(chain, &anchors.roots, now)?;
    let leaf = &path.chain[0];
    check_leaf(leaf)?;
    let id = leaf.id()?;
    if id.path().is_empty() {
        return Err(Refusal::NotAnSvid("its SPIFFE ID has no path (§3.1)"));
    }
    let workload = anchors
        .mesh
        .workload_of(&id)
        .ok_or_else(|| other_name(&anchors.mesh, &id, "the workload of a site"))?;
    let [_, authority] = path.chain.as_slice() else {
        return Err(Refusal::Shape(
            "a workload is vouched for by the authority of its site, and that by the mesh root",
        ));
    };
    check_site_authority(authority, &anchors.mesh, &workload.site)?;
    if revoked.contains(&authority.thumbprint()) {
        return Err(Refusal::Revoked(workload.site, authority.thumbprint()));
    }
    let until = leaf.not_after().min(authority.not_after());
    Ok(VerifiedSvid { id, workload, authority: authority.thumbprint(), until })
}

/// Verifies the certificate of a site's authority, as an agent does that was given one: signed by the mesh root, confined
/// to the site.
pub fn verify_site_ca(
    certificate: &Certificate,
    site: &SiteId,
    anchors: &Anchors,
    now: Timestamp,
) -> Result<(), Refusal> {
    let chain = [certificate.der().clone()];
    let path = path::verify(&chain, &anchors.roots, now)?;
    let authority = &path.chain[0];
    if authority.below()? != Some(0) {
        return Err(Refusal::Shape("a site's authority may have no authority below it"));
    }
    check_site_authority(authority, &anchors.mesh, site)
}

/// X509-SVID §4 and §5.2: what a leaf has to be.
fn check_leaf(leaf: &Parsed<'_>) -> Result<(), Refusal> {
    if leaf.is_authority() {
        return Err(Refusal::NotAnSvid("it is an authority (§4.1)"));
    }
    let usage = leaf.critical_usage().ok_or(Refusal::NotAnSvid("it has no critical key usage (§4.3)"))?;
    if usage.key_cert_sign() || usage.crl_sign() {
        return Err(Refusal::NotAnSvid("its key may sign certificates or revocation lists (§4.3)"));
    }
    if !usage.digital_signature() {
        return Err(Refusal::NotAnSvid("its key may not sign (§4.3)"));
    }
    if leaf.extended().is_some_and(|extended| !extended.server_auth || !extended.client_auth) {
        return Err(Refusal::NotAnSvid("it is not for clients and servers both (§4.4)"));
    }
    Ok(())
}

/// The authority of that site and of no other.
fn check_site_authority(authority: &Parsed<'_>, mesh: &MeshDomain, site: &SiteId) -> Result<(), Refusal> {
    let domain = mesh.site_domain(site);
    if names::only_hosts(authority).is_none_or(|hosts| hosts != [domain.as_str()]) {
        return Err(Refusal::Shape("the authority is not confined to the trust domain of its site"));
    }
    let id = authority.id()?;
    if id == domain.id() { Ok(()) } else { Err(other_name(mesh, &id, "the authority of that site")) }
}
