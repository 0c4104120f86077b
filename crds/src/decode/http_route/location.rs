//! Redirects and rewrites: where a request goes instead.

use gateway_api::apis::experimental::httproutes::{
    HttpRouteRulesFiltersRequestRedirect as GivenRedirect,
    HttpRouteRulesFiltersRequestRedirectPathType as RedirectPath,
    HttpRouteRulesFiltersRequestRedirectScheme as Scheme, HttpRouteRulesFiltersUrlRewrite as GivenRewrite,
    HttpRouteRulesFiltersUrlRewritePathType as RewritePath,
};
use skerry_core::bundle::v1::path_modifier::Kind;
use skerry_core::bundle::v1::{PathModifier, Redirect, Rewrite};

use crate::decode::{dns, invalid, ports};
use crate::findings::{Findings, below};

use super::filters::Filters;

/// The status of a redirect that names none (Gateway API: `statusCode`).
const DEFAULT_STATUS: i64 = 302;

/// The longest replacement path (Gateway API: `maxLength: 1024`).
const MAX_PATH: usize = 1_024;

/// Converts a redirect. `None`: the findings say why.
pub(super) fn redirect(
    given: &GivenRedirect,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<Redirect> {
    let scheme = match given.scheme {
        None => "",
        Some(Scheme::Http) => "http",
        Some(Scheme::Https) => "https",
    };
    let path = match &given.path {
        None => None,
        Some(path) => {
            let is_full = path.r#type == RedirectPath::ReplaceFullPath;
            let (full, prefix) = (path.replace_full_path.as_deref(), path.replace_prefix_match.as_deref());
            Some(path_modifier(is_full, full, prefix, &below(pointer, "path"), findings)?)
        }
    };
    let port = match given.port {
        None => 0,
        Some(port) => ports::number(port, &below(pointer, "port"), findings)?.get(),
    };
    let status = given.status_code.unwrap_or(DEFAULT_STATUS);
    if !matches!(status, 301 | 302 | 303 | 307 | 308) {
        let message = format!("{status} is not the status of a redirect");
        invalid(findings, &below(pointer, "statusCode"), message, "one of: 301, 302, 303, 307, 308");
    }
    Some(Redirect {
        scheme: scheme.to_owned(),
        hostname: hostname(given.hostname.as_deref(), pointer, findings)?,
        path,
        port: u32::from(port),
        status_code: u32::try_from(status).ok()?,
    })
}

/// Converts a rewrite. `None`: the findings say why.
pub(super) fn rewrite(given: &GivenRewrite, pointer: &str, findings: &mut Findings<'_>) -> Option<Rewrite> {
    let path = match &given.path {
        None => None,
        Some(path) => {
            let is_full = path.r#type == RewritePath::ReplaceFullPath;
            let (full, prefix) = (path.replace_full_path.as_deref(), path.replace_prefix_match.as_deref());
            Some(path_modifier(is_full, full, prefix, &below(pointer, "path"), findings)?)
        }
    };
    Some(Rewrite { hostname: hostname(given.hostname.as_deref(), pointer, findings)?, path })
}

/// Left out, the host stays: an empty text.
fn hostname(hostname: Option<&str>, pointer: &str, findings: &mut Findings<'_>) -> Option<String> {
    let Some(hostname) = hostname else { return Some(String::new()) };
    if dns::is_precise_hostname(hostname) {
        return Some(hostname.to_owned());
    }
    let help = "write a DNS name in lower case, without wildcard and port; an address is not allowed";
    invalid(findings, &below(pointer, "hostname"), format!("`{hostname}` is not a host name"), help);
    None
}

/// The field that the type names must be there, and no other (Gateway API: `HTTPPathModifier`).
fn path_modifier(
    is_full: bool,
    full: Option<&str>,
    prefix: Option<&str>,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<PathModifier> {
    let (own, other) = if is_full { (full, prefix) } else { (prefix, full) };
    let names = ["replaceFullPath", "replacePrefixMatch"];
    let (own_name, other_name) = if is_full { (names[0], names[1]) } else { (names[1], names[0]) };
    if other.is_some() {
        let message = format!("`{other_name}` does not go with the type of this path");
        invalid(findings, &below(pointer, other_name), message, format!("use `{own_name}`"));
    }
    let Some(path) = own else {
        invalid(
            findings,
            &below(pointer, own_name),
            "the type of this path needs it",
            format!("add `{own_name}`"),
        );
        return None;
    };
    // A prefix may be replaced by nothing.
    let is_rooted = path.starts_with('/') || (path.is_empty() && !is_full);
    let is_clean =
        path.len() <= MAX_PATH && !path.chars().any(|c| c.is_control() || c.is_whitespace() || c == '#');
    if !is_rooted || !is_clean {
        let help = format!("write an absolute path of at most {MAX_PATH} bytes without blanks and `#`");
        invalid(findings, &below(pointer, own_name), format!("`{path}` is not a path"), help);
        return None;
    }
    let path = path.to_owned();
    Some(PathModifier { kind: Some(if is_full { Kind::Full(path) } else { Kind::Prefix(path) }) })
}

/// A prefix can be replaced only in a rule that matches prefixes alone (Gateway API: `HTTPRouteRule`).
pub(super) fn check_prefix(
    filters: &Filters,
    has_only_prefixes: bool,
    pointer: &str,
    findings: &mut Findings<'_>,
) {
    let redirect = filters.redirect.as_ref().and_then(|redirect| redirect.path.as_ref());
    let rewrite = filters.rewrite.as_ref().and_then(|rewrite| rewrite.path.as_ref());
    let replaces =
        |path: Option<&PathModifier>| path.is_some_and(|path| matches!(path.kind, Some(Kind::Prefix(_))));
    if !has_only_prefixes && (replaces(redirect) || replaces(rewrite)) {
        let message = "ReplacePrefixMatch needs matches of type PathPrefix alone";
        invalid(findings, &below(pointer, "filters"), message, "use ReplaceFullPath, or match by PathPrefix");
    }
}
