//! `to`: what is called. Every mistake is noted; what is returned with one is never used.

use skerry_core::bundle::v1::path_match::Kind;
use skerry_core::bundle::v1::{Operation, PathMatch};

use crate::api::authorization_policy::{
    AuthorizationOperation, AuthorizationPath, AuthorizationPathType, HttpMethod,
};
use crate::decode::invalid;
use crate::decode::path::{checked, star, without_slash};
use crate::findings::Findings;

/// Converts an operation.
pub(super) fn convert(
    given: &AuthorizationOperation,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Operation {
    if given.ports.is_none() && given.methods.is_none() && given.paths.is_none() {
        let help = "give ports, methods or paths; to mean everything, leave `to` out";
        invalid(findings, pointer, "the operation says nothing", help);
    }
    // The shape has checked that ports are 1 to 65535.
    let ports = given.ports.iter().flatten().filter_map(|port| u32::try_from(*port).ok()).collect();
    let methods = given.methods.iter().flatten().map(|method| to_text(*method).to_owned()).collect();
    let paths = given.paths.iter().flatten().enumerate();
    let paths = paths.map(|(at, path)| to_path(path, &format!("{pointer}/paths/{at}/value"), findings));
    let paths = paths.collect();
    Operation { ports, methods, paths }
}

fn to_path(given: &AuthorizationPath, pointer: &str, findings: &mut Findings<'_>) -> PathMatch {
    let path = checked(&given.value, pointer, findings).unwrap_or_default();
    // Whoever writes one means more than it says: a `Deny` would leave that open.
    if let Some((message, help)) = star(path) {
        invalid(findings, pointer, message, help);
    }
    let kind = match given.r#type {
        Some(AuthorizationPathType::Exact) => Kind::Exact(path.to_owned()),
        Some(AuthorizationPathType::PathPrefix) | None => Kind::Prefix(without_slash(path)),
    };
    PathMatch { kind: Some(kind) }
}

fn to_text(method: HttpMethod) -> &'static str {
    match method {
        HttpMethod::Get => "GET",
        HttpMethod::Head => "HEAD",
        HttpMethod::Post => "POST",
        HttpMethod::Put => "PUT",
        HttpMethod::Delete => "DELETE",
        HttpMethod::Connect => "CONNECT",
        HttpMethod::Options => "OPTIONS",
        HttpMethod::Trace => "TRACE",
        HttpMethod::Patch => "PATCH",
    }
}
