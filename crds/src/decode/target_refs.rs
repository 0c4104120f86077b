//! `targetRefs` → what a policy attaches to (GEP-713), alike for all kinds of policies.

use skerry_core::diagnostic::Code;
use skerry_core::id::NamespacedName;
use skerry_core::policy::target::Target;

use crate::api;
use crate::api::traffic_policy::{TargetKind, TargetRef};
use crate::findings::{Findings, below};

use super::metadata::Metadata;
use super::{dns, invalid};

/// Converts the targets of a policy; one that is named twice is kept once.
pub(super) fn convert(
    references: &[TargetRef],
    metadata: &Metadata,
    findings: &mut Findings<'_>,
) -> Vec<Target> {
    let mut targets = Vec::new();
    for (at, reference) in references.iter().enumerate() {
        let pointer = format!("/spec/targetRefs/{at}");
        let Some(target) = target(reference, &pointer, metadata, findings) else { continue };
        if targets.contains(&target) {
            findings.warning(Code::InvalidValue, &pointer, "the same target twice", "remove one");
        } else {
            targets.push(target);
        }
    }
    targets
}

/// A policy reaches its own namespace only, so that nobody decides about another team's service; the
/// mesh is reached from every namespace, since it has none.
fn target(
    reference: &TargetRef,
    pointer: &str,
    metadata: &Metadata,
    findings: &mut Findings<'_>,
) -> Option<Target> {
    let own_group = group(reference.kind);
    if let Some(given) = reference.group.as_deref().filter(|given| *given != own_group) {
        let help = format!("write \"{own_group}\", or leave it out");
        invalid(findings, &below(pointer, "group"), format!("`{given}` is not the group of this kind"), help);
    }
    if reference.section_name.is_some() && reference.kind != TargetKind::HttpRoute {
        let help = "it names a rule of an HTTPRoute: remove it";
        invalid(findings, &below(pointer, "sectionName"), "this kind has no sections", help);
    }
    if !dns::is_subdomain(&reference.name) {
        let help = format!("use {}", dns::SUBDOMAIN_RULE);
        invalid(findings, &below(pointer, "name"), format!("`{}` is not a name", reference.name), help);
        return None;
    }
    let namespace = &metadata.key.namespace;
    let name = NamespacedName::new(namespace, &reference.name);
    match (reference.kind, &reference.section_name) {
        (TargetKind::Mesh, _) => Some(Target::Mesh(reference.name.clone())),
        (TargetKind::Namespace, _) if reference.name != *namespace => {
            let message = format!("the policy is in namespace `{namespace}`");
            let help = format!("name `{namespace}`, or put the policy into `{}`", reference.name);
            invalid(findings, &below(pointer, "name"), message, help);
            None
        }
        (TargetKind::Namespace, _) => Some(Target::Namespace(namespace.clone())),
        (TargetKind::Service, _) => Some(Target::Service(name)),
        (TargetKind::HttpRoute, None) => Some(Target::Route(name)),
        (TargetKind::HttpRoute, Some(rule)) => Some(Target::Rule(name, rule.clone())),
    }
}

fn group(kind: TargetKind) -> &'static str {
    match kind {
        TargetKind::Mesh => api::GROUP,
        TargetKind::Namespace | TargetKind::Service => "",
        TargetKind::HttpRoute => "gateway.networking.k8s.io",
    }
}
