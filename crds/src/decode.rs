//! Documents → the typed objects of a world, with a field path and a place for everything refused.
//!
//! Total: whatever a document holds, the answer is an object, "not ours", or a refusal that says why.
//! Pure: no files, no clock. One file for each kind.

use std::sync::Arc;

use skerry_core::diagnostic::Code;
use skerry_core::document::Document;
use skerry_core::id::Kind;
use skerry_core::policy::{Decoded, Object, Spec};
use skerry_core::selector::Selector;

use crate::findings::Findings;

mod authorization_policy;
pub(crate) mod dns;
pub(crate) mod duration;
mod http_route;
mod mesh;
pub(crate) mod metadata;
mod mtls;
pub(crate) mod network;
mod path;
pub(crate) mod ports;
mod regex;
mod service;
mod site;
mod site_override;
mod sites;
pub(crate) mod spec;
mod spiffe;
pub(crate) mod subject;
mod target_refs;
mod traffic_policy;

use metadata::Metadata;
use subject::Subject;

/// What the conversion of a kind makes of its spec.
struct Body {
    spec: Spec,
    sites: Option<Selector>,
}

/// Turns a document into an object of the world.
///
/// An object of any kind but `HTTPRoute` and `AuthorizationPolicy` is refused for a single error. Of an `HTTPRoute`,
/// the rules that are sound stay: a broken filter makes its rule answer 500, a broken match is left out (and its
/// rule, when it was the only one), never widened. Of an `AuthorizationPolicy`, too: what is broken in a rule allows
/// nothing and denies everything. The diagnostics of the object name all of that.
///
/// Unsupported kinds of the Gateway API are refused with one warning, so that a repository that also
/// serves another controller can be validated; unknown kinds of group `skerry.dev` with an error.
pub fn decode(document: &Document) -> Decoded {
    let mut findings = Findings::new(document);
    match Subject::of(document) {
        Subject::Foreign { api_version, kind } => Decoded::Foreign { api_version, kind },
        Subject::Ours(kind) => object(document, kind, findings),
        Subject::Unusable(unusable) => {
            unusable.explain(document, &mut findings);
            Decoded::Refused { key: None, diagnostics: findings.into_diagnostics() }
        }
    }
}

fn object(document: &Document, kind: Kind, mut findings: Findings<'_>) -> Decoded {
    let Some(metadata) = metadata::read(kind, &mut findings) else {
        return Decoded::Refused { key: None, diagnostics: findings.into_diagnostics() };
    };
    spec::check_envelope(&mut findings);
    let errors_around = findings.errors();
    let body =
        if metadata::is_encrypted(&mut findings) { None } else { body(kind, &metadata, &mut findings) };
    // These bear errors inside their rules, which the rules answer for, but none around them.
    let answers_for_rules = matches!(kind, Kind::HttpRoute | Kind::AuthorizationPolicy);
    let is_sound = if answers_for_rules { errors_around == 0 } else { findings.errors() == 0 };
    match body {
        Some(body) if is_sound && !findings.is_refused() => Decoded::Object(
            Box::new(Object {
                key: metadata.key,
                labels: Arc::new(metadata.labels),
                created: metadata.created,
                sites: body.sites,
                spec: body.spec,
                document: Arc::new(document.pack()),
            }),
            findings.into_diagnostics(),
        ),
        _ => Decoded::Refused { key: Some(metadata.key), diagnostics: findings.into_diagnostics() },
    }
}

fn body(kind: Kind, metadata: &Metadata, findings: &mut Findings<'_>) -> Option<Body> {
    match kind {
        Kind::Mesh => mesh::convert(findings),
        Kind::Site => site::convert(findings),
        Kind::Service => service::convert(findings),
        Kind::HttpRoute => http_route::convert(metadata, findings),
        Kind::TrafficPolicy => traffic_policy::convert(metadata, findings),
        Kind::AuthorizationPolicy => authorization_policy::convert(metadata, findings),
        Kind::SiteOverride => site_override::convert(metadata, findings),
    }
}

/// Notes that one value is out of bounds or excluded by another.
fn invalid(findings: &mut Findings<'_>, pointer: &str, message: impl Into<String>, help: impl Into<String>) {
    findings.error(Code::InvalidValue, pointer, message, help);
}
