//! `HTTPRoute` (Gateway API v1) → routes of a `Service` (GEP-1294).
//!
//! The schema is the experimental channel's, which holds the standard one and retries (GEP-1731).
//! A rule is never widened and never skipped: see `rules`.

use std::sync::LazyLock;

use gateway_api::apis::experimental::httproutes::{HttpRoute as Resource, HttpRouteSpec};
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

/// `spec.hostnames` decide nothing for a mesh parent (GEP-1294) and are not looked at.
pub(super) fn convert(metadata: &Metadata, findings: &mut Findings<'_>) -> Option<Body> {
    let spec: HttpRouteSpec = spec::read(&SHAPE, findings)?;
    let sites = sites::of_annotation(findings).ok()?;
    let namespace = &metadata.key.namespace;
    let parents = parents::convert(spec.parent_refs.as_deref().unwrap_or_default(), namespace, findings);
    // Rules of a route for another controller are not ours to judge.
    if !parents.is_empty() && !counts::check(findings) {
        return None;
    }
    let rules = if parents.is_empty() {
        Vec::new()
    } else {
        rules::convert(spec.rules.as_deref(), namespace, findings)
    };
    Some(Body { spec: Spec::HttpRoute(HttpRoute { parents, rules }), sites })
}
