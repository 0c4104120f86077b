//! A redirect (Gateway API `HTTPRequestRedirectFilter`, ports by GEP-820).

use skerry_core::bundle::v1::{PathMatch, Redirect};

use super::Context;
use super::header::{Changes, is_value};
use super::path::PathChange;
use crate::envoy::route::RedirectAction;
use crate::envoy::route::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use crate::envoy::route::route::Action;

/// Takes the port out of a location that has one. Envoy can replace the port of the client's `Host`
/// but not take it away, and the API wants `https://host/` without `:443`.
const WITHOUT_PORT: &str =
    r"%CEL(re.extract(response.headers['location'], '^(https?://[^/]*):[0-9]+(/.*)$', '\\1\\2'))%";

/// Lowers a redirect of a route with these header changes. Schemes other than `http` and `https` do not exist in the API; they are left out.
pub(super) fn to_action(
    redirect: &Redirect,
    path: Option<&PathMatch>,
    changes: &mut Changes,
    context: &mut Context<'_>,
) -> Action {
    let scheme = match redirect.scheme.as_str() {
        "" => None,
        scheme @ ("http" | "https") => Some(scheme),
        other => {
            context.note(format!("the scheme `{other}` is neither http nor https; it is kept"));
            None
        }
    };
    let change = PathChange::of(redirect.path.as_ref(), path, context);
    let host_redirect = if is_value(&redirect.hostname) { redirect.hostname.clone() } else { String::new() };
    let port = Port::of(redirect.port, scheme, &host_redirect, context.port);
    if port == Port::TakenAway {
        changes.response.format_first("location", WITHOUT_PORT);
    }
    Action::Redirect(RedirectAction {
        port_redirect: port.to_number(),
        host_redirect,
        response_code: to_code(redirect.status_code).into(),
        scheme_rewrite_specifier: scheme
            .map(|scheme| SchemeRewriteSpecifier::SchemeRedirect(scheme.to_owned())),
        path_rewrite_specifier: to_path(change),
        ..Default::default()
    })
}

/// The port of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    /// This one.
    Written(u32),
    /// The client's, if any; Envoy takes a well-known one away when the scheme changes.
    AsAsked,
    /// None, though the client's `Host` may have one.
    TakenAway,
}

impl Port {
    /// The given one; else the well-known one of a given scheme; else the service's. A well-known
    /// port is not written.
    fn of(given: u32, scheme: Option<&str>, hostname: &str, service: u32) -> Self {
        let well_known = if scheme == Some("https") { 443 } else { 80 };
        let wanted = match (given, scheme) {
            (0, Some(_)) => well_known,
            (0, None) => service,
            (given, _) => given,
        };
        let may_be_asked_with_another = hostname.is_empty() && service != 80;
        match (wanted == well_known, may_be_asked_with_another) {
            (false, _) => Self::Written(wanted),
            (true, false) => Self::AsAsked,
            (true, true) => Self::TakenAway,
        }
    }

    /// A port that is taken away is written first, so that there is one to take.
    fn to_number(self) -> u32 {
        match self {
            Self::Written(port) => port,
            Self::AsAsked => 0,
            Self::TakenAway => 443,
        }
    }
}

fn to_path(change: PathChange) -> Option<PathRewriteSpecifier> {
    match change {
        PathChange::Keep => None,
        PathChange::Whole(path) => Some(PathRewriteSpecifier::PathRedirect(path)),
        PathChange::Prefix(prefix) => Some(PathRewriteSpecifier::PrefixRewrite(prefix)),
        PathChange::StripPrefix(_) => change.to_substitution().map(PathRewriteSpecifier::RegexRewrite),
    }
}

/// 302 is the API's default.
fn to_code(status: u32) -> RedirectResponseCode {
    match status {
        301 => RedirectResponseCode::MovedPermanently,
        303 => RedirectResponseCode::SeeOther,
        307 => RedirectResponseCode::TemporaryRedirect,
        308 => RedirectResponseCode::PermanentRedirect,
        _ => RedirectResponseCode::Found,
    }
}
