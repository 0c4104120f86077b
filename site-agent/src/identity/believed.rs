//! Whose workloads are believed at a site: its own, and those of sites that a policy lets in by name.
//!
//! Traffic between sites goes by no proxy yet, so nobody else has a reason to call. Envoy wants each trust domain named.

use std::collections::BTreeSet;

use skerry_core::bundle::v1::spiffe_id_match::Kind as Id;
use skerry_core::bundle::{Bundle, v1};
use skerry_core::id::SiteId;
use skerry_identity::spiffe_id::{MeshDomain, SpiffeId};

/// The most sites besides the own one: each costs every proxy the roots once more, about 1 KiB.
pub(crate) const MAX_SITES: usize = 256;

/// Lists the sites that policies of a bundle let in by name.
pub(crate) fn sites(bundle: &Bundle, mesh: &MeshDomain) -> BTreeSet<SiteId> {
    let authorizations = bundle.services.values().filter_map(|service| service.authorization.as_ref());
    let sources = authorizations.flat_map(|it| &it.allow).flat_map(|rule| &rule.sources);
    sources.flat_map(|source| named(source, mesh)).collect()
}

fn named<'a>(source: &'a v1::Source, mesh: &'a MeshDomain) -> impl Iterator<Item = SiteId> + 'a {
    let by_id = source.spiffe_ids.iter().filter_map(|id| match &id.kind {
        Some(Id::Exact(id) | Id::Prefix(id)) => mesh.site_of(SpiffeId::new(id).ok()?.domain()),
        Some(Id::Regex(_)) | None => None,
    });
    source.sites.iter().filter_map(|site| SiteId::new(site.clone()).ok()).chain(by_id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use skerry_core::id::{Digest, NamespacedName};

    use super::*;

    #[test]
    fn a_site_is_believed_where_something_is_allowed_to_it_by_name() {
        let id = |kind| v1::SpiffeIdMatch { kind: Some(kind) };
        let by_site = v1::Source { sites: vec!["b".into()], ..Default::default() };
        let by_id = v1::Source {
            spiffe_ids: vec![
                id(Id::Exact("spiffe://c.mesh.local/ns/shop/sa/a".into())),
                id(Id::Prefix("spiffe://d.mesh.local".into())),
                id(Id::Exact("spiffe://e.other.local/ns/shop/sa/a".into())),
                id(Id::Regex("spiffe://f.mesh.local/.*".into())),
            ],
            ..Default::default()
        };
        let denied = v1::Source { sites: vec!["z".into()], ..Default::default() };
        let rule = |sources: Vec<v1::Source>| v1::AuthorizationRule { sources, ..Default::default() };
        let authorization = v1::Authorization {
            allow: vec![rule(vec![by_site, by_id])],
            deny: vec![rule(vec![denied])],
            ..Default::default()
        };
        let service = v1::Service { authorization: Some(authorization), ..Default::default() };
        let bundle = Bundle {
            manifest: v1::Manifest::default(),
            digest: Digest::of(b"test"),
            list: v1::FragmentList::default(),
            settings: v1::Settings::default(),
            services: BTreeMap::from([(NamespacedName::new("shop", "a"), Arc::new(service))]),
        };
        let sites = sites(&bundle, &MeshDomain::new("mesh.local").unwrap());
        assert_eq!(sites.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b", "c", "d"]);
    }
}
