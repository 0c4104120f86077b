//! `HTTPRoute` (Gateway API v1) → routes of a `Service` (GEP-1294).
//!
//! The schema is the experimental channel's, which holds the standard one and retries (GEP-1731).
//! A rule is never widened and never skipped: see `rules`.

use std::sync::LazyLock;

use gateway_api::apis::experimental::httproutes::{HttpRoute as Resource, HttpRouteSpec};
use skerry_core::diagnostic::Code;
use skerry_core::policy::{HttpRoute, Spec};

use crate::findings::Findings;
use crate::shape::Shape;

use super::metadata::Metadata;
use super::{Body, sites, spec};

mod backends;
mod counts;
mod filters;
mod headers;
mod location;
mod matches;
mod parents;
mod path;
mod rules;
mod timeouts;

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_crd::<Resource>);

/// `spec.hostnames` decide nothing at a Service (GEP-1324): the caller chose it by its address. They are warned about.
pub(super) fn convert(metadata: &Metadata, findings: &mut Findings<'_>) -> Option<Body> {
    let spec: HttpRouteSpec = spec::read_on(&SHAPE, findings)?;
    let sites = sites::of_annotation(findings);
    let namespace = &metadata.key.namespace;
    let parents = parents::convert(spec.parent_refs.as_deref().unwrap_or_default(), namespace, findings);
    // Rules of a route for another controller are not ours to judge.
    if !parents.is_empty() && !counts::check(findings) {
        return None;
    }
    if !parents.is_empty() && spec.hostnames.as_ref().is_some_and(|hostnames| !hostnames.is_empty()) {
        let message = "hostnames have no effect at a Service (GEP-1324): its routes hold for every host";
        let help = "remove them; which calls the route is for is said by its parent";
        findings.warning(Code::InvalidValue, "/spec/hostnames", message, help);
    }
    let rules = if parents.is_empty() {
        Vec::new()
    } else {
        rules::convert(spec.rules.as_deref(), namespace, findings)
    };
    Some(Body { spec: Spec::HttpRoute(HttpRoute { parents, rules }), sites: sites.ok()? })
}
