//! `parentRefs`: the services that a route attaches to (GEP-1294).

use gateway_api::apis::experimental::httproutes::HttpRouteParentRefs;
use skerry_core::diagnostic::Code;
use skerry_core::id::NamespacedName;
use skerry_core::policy::http_route::ParentRef;

use crate::decode::{dns, invalid, ports};
use crate::findings::{Findings, below};

const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";

/// What a parent is, by group and kind; both have defaults that name a `Gateway`.
enum ParentKind {
    Service,
    /// `kind: Service` without `group: ""`, which the API takes for a kind of its own group.
    Groupless,
    Other(String),
}

/// Keeps the services. A Service in the wrong group is an error; each other parent is named in a warning, or all of them in one.
///
/// A parent in another namespace makes a consumer route (GEP-1294); it needs no `ReferenceGrant`.
pub(super) fn convert(
    references: &[HttpRouteParentRefs],
    namespace: &str,
    findings: &mut Findings<'_>,
) -> Vec<ParentRef> {
    let pointer = "/spec/parentRefs";
    if references.is_empty() {
        let help = "name a Service: parentRefs: [{group: \"\", kind: Service, name: …}]";
        findings.warning(Code::InvalidValue, pointer, "the route has no parent; it has no effect", help);
        return Vec::new();
    }
    let kinds: Vec<ParentKind> = references.iter().map(kind).collect();
    if kinds.iter().all(|kind| matches!(kind, ParentKind::Other(_))) {
        let message = "only routes whose parent is a Service are compiled; this one has no effect";
        findings.warning(Code::Unsupported, pointer, message, "leave it to the controller of its Gateway");
        return Vec::new();
    }
    let mut parents: Vec<ParentRef> = Vec::new();
    for (at, (reference, kind)) in references.iter().zip(kinds).enumerate() {
        let pointer = format!("{pointer}/{at}");
        let Some(parent) = parent(reference, &kind, namespace, &pointer, findings) else { continue };
        let which = |parent: &ParentRef| (parent.service.clone(), parent.port, parent.section.clone());
        if parents.iter().any(|known| which(known) == which(&parent)) {
            findings.warning(Code::InvalidValue, &pointer, "the same parent twice", "remove one");
        } else {
            parents.push(parent);
        }
    }
    parents
}

fn kind(reference: &HttpRouteParentRefs) -> ParentKind {
    let group = reference.group.as_deref().unwrap_or(GATEWAY_GROUP);
    match (group, reference.kind.as_deref().unwrap_or("Gateway")) {
        ("", "Service") => ParentKind::Service,
        (GATEWAY_GROUP, "Service") => ParentKind::Groupless,
        (_, kind) => ParentKind::Other(kind.to_owned()),
    }
}

fn parent(
    reference: &HttpRouteParentRefs,
    kind: &ParentKind,
    namespace: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<ParentRef> {
    match kind {
        ParentKind::Service => service(reference, namespace, pointer, findings),
        ParentKind::Groupless => {
            let message = "a Service is not in the default group of a parent; the parent is left out";
            findings.error(Code::DanglingReference, pointer, message, "add `group: \"\"`");
            None
        }
        ParentKind::Other(kind) => {
            let message = format!("a {kind} is not supported as parent; the parent is left out");
            findings.warning(
                Code::Unsupported,
                pointer,
                message,
                "leave it to the controller of its Gateway",
            );
            None
        }
    }
}

fn service(
    reference: &HttpRouteParentRefs,
    namespace: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<ParentRef> {
    let service =
        service_name(&reference.name, reference.namespace.as_deref(), namespace, pointer, findings)?;
    let port = match reference.port {
        None => None,
        Some(port) => Some(ports::number(port, &below(pointer, "port"), findings)?.get()),
    };
    let section = reference.section_name.clone().filter(|section| !section.is_empty());
    Some(ParentRef { service, port, section, pointer: pointer.to_owned() })
}

/// Reads the name of a service that a reference points to; without a namespace it is the route's.
pub(super) fn service_name(
    name: &str,
    given: Option<&str>,
    namespace: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<NamespacedName> {
    let namespace = given.filter(|given| !given.is_empty()).unwrap_or(namespace);
    for (field, text) in [("name", name), ("namespace", namespace)] {
        if !dns::is_label(text) {
            let help = format!("use {}", dns::LABEL_RULE);
            invalid(findings, &below(pointer, field), format!("`{text}` is not a name"), help);
            return None;
        }
    }
    Some(NamespacedName::new(namespace, name))
}
