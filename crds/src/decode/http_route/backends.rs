//! `backendRefs` of a rule: services and their shares.

use gateway_api::apis::experimental::httproutes::{
    HttpRouteRulesBackendRefs as Reference, HttpRouteRulesBackendRefsFilters as Filter,
    HttpRouteRulesBackendRefsFiltersType as FilterType,
};
use skerry_core::bundle::v1::HeaderModifier;
use skerry_core::diagnostic::Code;
use skerry_core::policy::http_route::{BackendRef, BackendTarget, InvalidBackend};

use crate::decode::{invalid, ports};
use crate::findings::{Findings, below};

use super::{headers, parents};

/// The greatest weight (Gateway API: `BackendRef.weight`).
const MAX_WEIGHT: u32 = 1_000_000;

/// Converts the backends of the rule at `pointer`. One with an error keeps its share, which is answered 500.
///
/// A backend in another namespace needs no `ReferenceGrant`: in a mesh the caller could as well address
/// that service directly.
pub(super) fn convert(
    references: &[Reference],
    namespace: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Vec<BackendRef> {
    let references = references.iter().enumerate();
    references
        .map(|(at, reference)| {
            convert_one(reference, namespace, format!("{pointer}/backendRefs/{at}"), findings)
        })
        .collect()
}

fn convert_one(
    reference: &Reference,
    namespace: &str,
    pointer: String,
    findings: &mut Findings<'_>,
) -> BackendRef {
    let before = findings.errors();
    let target = target(reference, namespace, &pointer, findings);
    let weight = weight(reference.weight, &pointer, findings);
    let filters = filters(reference.filters.as_deref().unwrap_or_default(), &pointer, findings);
    let is_sound = findings.errors() == before && !filters.is_unusable;
    let target = if is_sound { target } else { Err(InvalidBackend) };
    let (request_headers, response_headers) = (filters.request_headers, filters.response_headers);
    BackendRef { target, weight, request_headers, response_headers, pointer }
}

fn target(
    reference: &Reference,
    namespace: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Result<BackendTarget, InvalidBackend> {
    let group = reference.group.as_deref().unwrap_or_default();
    let kind = reference.kind.as_deref().unwrap_or("Service");
    if (group, kind) != ("", "Service") {
        let what = if group.is_empty() { kind.to_owned() } else { format!("{group} {kind}") };
        let message = format!("`{what}` is not supported as backend; its share is answered 500");
        findings.error(Code::Unsupported, pointer, message, "name a Service: group \"\", kind Service");
        return Err(InvalidBackend);
    }
    let given = reference.namespace.as_deref();
    let service =
        parents::service_name(&reference.name, given, namespace, pointer, findings).ok_or(InvalidBackend)?;
    let port = match reference.port {
        None => None,
        Some(port) => {
            let port = ports::number(port, &below(pointer, "port"), findings);
            Some(port.ok_or(InvalidBackend)?.get())
        }
    };
    Ok(BackendTarget { service, port })
}

/// Left out, it is 1. One out of bounds counts as 1 of a backend that cannot be used.
fn weight(weight: Option<i32>, pointer: &str, findings: &mut Findings<'_>) -> u32 {
    let weight = weight.unwrap_or(1);
    u32::try_from(weight).ok().filter(|weight| *weight <= MAX_WEIGHT).unwrap_or_else(|| {
        let message = format!("{weight} is not a weight");
        invalid(findings, &below(pointer, "weight"), message, format!("give 0 to {MAX_WEIGHT}"));
        1
    })
}

#[derive(Default)]
struct Filters {
    request_headers: Option<HeaderModifier>,
    response_headers: Option<HeaderModifier>,
    is_unusable: bool,
}

fn filters(filters: &[Filter], pointer: &str, findings: &mut Findings<'_>) -> Filters {
    let mut converted = Filters::default();
    for (at, filter) in filters.iter().enumerate() {
        let pointer = format!("{pointer}/filters/{at}");
        let is_repeated = match filter.r#type {
            FilterType::RequestHeaderModifier => {
                let field = below(&pointer, "requestHeaderModifier");
                let modifier = modifier(filter.request_header_modifier.as_ref(), &field, findings);
                converted.request_headers.replace(modifier).is_some()
            }
            FilterType::ResponseHeaderModifier => {
                let field = below(&pointer, "responseHeaderModifier");
                let modifier = modifier(filter.response_header_modifier.as_ref(), &field, findings);
                converted.response_headers.replace(modifier).is_some()
            }
            _ => {
                converted.is_unusable = true;
                let message = "a backend takes header modifiers only; its share is answered 500";
                let help = "a filter must not be skipped (Gateway API): remove it, or put it on the rule";
                findings.error(Code::Unsupported, &pointer, message, help);
                false
            }
        };
        if is_repeated {
            invalid(findings, &pointer, "the backend has two filters of this type", "join them into one");
        }
    }
    converted
}

fn modifier(
    given: Option<&impl headers::Lists>,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> HeaderModifier {
    match given {
        Some(given) => headers::convert(given, pointer, findings),
        None => {
            invalid(findings, pointer, "the type of this filter needs it", "add it");
            HeaderModifier::default()
        }
    }
}
