//! `Mesh` → fleet-wide settings.

use std::sync::LazyLock;

use skerry_core::policy::authorization_policy::Access;
use skerry_core::policy::{Mesh, Spec};

use crate::api;
use crate::findings::Findings;
use crate::shape::Shape;

use super::{Body, dns, duration, invalid, mtls, network, sites, spec};

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_crd::<api::mesh::Mesh>);

/// Any name is taken here; that there is one `Mesh` only is for the world to see.
pub(super) fn convert(findings: &mut Findings<'_>) -> Option<Body> {
    let spec: api::mesh::MeshSpec = spec::read_on(&SHAPE, findings)?;
    sites::refuse_annotation("remove it: a Mesh is for the whole fleet", findings);
    let mut mesh = Mesh::default();
    // One with an error is refused, so what stands in its place is never used.
    if let Some(domain) = spec.trust_domain.and_then(|domain| trust_domain(&domain, findings)) {
        mesh.trust_domain = domain;
    }
    let cidr = spec.outbound_cidr;
    if let Some(cidr) = cidr.and_then(|cidr| network::outbound_cidr(&cidr, "/spec/outboundCIDR", findings)) {
        mesh.outbound_cidr = cidr;
    }
    if let Some(percent) = spec.max_removal_percent {
        mesh.max_removal_percent = u8::try_from(percent).ok()?;
    }
    let after = spec.stale_after;
    if let Some(after) =
        after.and_then(|after| duration::seconds(&after, 0..=u32::MAX, "/spec/staleAfter", findings))
    {
        mesh.stale_after_seconds = after;
    }
    mesh.default_access = match spec.authorization.and_then(|authorization| authorization.default) {
        Some(api::mesh::Access::Deny) => Access::Deny,
        Some(api::mesh::Access::Allow) | None => Access::Allow,
    };
    mesh.mtls = mtls::mode(spec.mtls.as_ref()).unwrap_or_default();
    Some(Body { spec: Spec::Mesh(mesh), sites: None })
}

/// A site's trust domain puts a label of up to 63 bytes and a dot before this one: 253 - 64 = 189.
fn trust_domain(domain: &str, findings: &mut Findings<'_>) -> Option<String> {
    if domain.split('.').all(dns::is_label) && domain.len() <= 189 {
        return Some(domain.to_owned());
    }
    let help = "write a DNS name in lower case, such as mesh.example.com, at most 189 characters";
    invalid(findings, "/spec/trustDomain", format!("`{domain}` is not a trust domain"), help);
    None
}
