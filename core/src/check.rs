//! Checks references between objects of a world: parents, targets and patched objects that are not there.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::field_path;
use crate::id::{Kind, NamespacedName, ObjectKey};
use crate::policy::traffic_policy::Target;
use crate::policy::{Object, Spec};
use crate::world::Aged;

/// Picks the `Mesh` that holds when there are several: the oldest, then the first by name.
pub fn chosen_mesh<'a>(objects: impl Iterator<Item = &'a Aged>) -> Option<&'a Aged> {
    let meshes = objects.filter(|aged| matches!(aged.object.spec, Spec::Mesh(_)));
    meshes.min_by(|a, b| (a.age, &a.object.key).cmp(&(b.age, &b.object.key)))
}

/// Finds references that lead nowhere, whatever the site.
pub fn references(objects: &[&Aged]) -> Vec<Diagnostic> {
    let by_key: BTreeMap<&ObjectKey, &Object> =
        objects.iter().map(|aged| (&aged.object.key, &*aged.object)).collect();
    let mut diagnostics = several_meshes(objects);
    for object in by_key.values() {
        for (pointer, key, section) in references_of(object) {
            let found = by_key.get(&key);
            if let Some(reason) = missing(&key, section.as_deref(), found.copied()) {
                diagnostics.push(dangling(object, &pointer, reason));
            }
        }
    }
    diagnostics
}

type Reference = (String, ObjectKey, Option<String>);

fn references_of(object: &Object) -> Vec<Reference> {
    match &object.spec {
        Spec::HttpRoute(route) => {
            let parents = route.parents.iter();
            parents
                .map(|parent| (parent.pointer.clone(), ObjectKey::service(&parent.service), None))
                .collect()
        }
        Spec::TrafficPolicy(policy) => {
            let targets = policy.targets.iter().enumerate();
            targets
                .filter_map(|(at, target)| reference_to(target, format!("/spec/targetRefs/{at}")))
                .collect()
        }
        Spec::SiteOverride(spec) => {
            let patches = spec.patches.iter().enumerate();
            patches
                .map(|(at, patch)| (format!("/spec/patches/{at}/target"), patch.target.clone(), None))
                .collect()
        }
        Spec::Mesh(_) | Spec::Site(_) | Spec::Service(_) => Vec::new(),
    }
}

fn reference_to(target: &Target, pointer: String) -> Option<Reference> {
    let route =
        |name: &NamespacedName| ObjectKey::new(Kind::HttpRoute, name.namespace.clone(), name.name.clone());
    match target {
        Target::Mesh | Target::Namespace(_) => None,
        Target::Service(name) => Some((pointer, ObjectKey::service(name), None)),
        Target::Route(name) => Some((pointer, route(name), None)),
        Target::Rule(name, rule) => Some((pointer, route(name), Some(rule.clone()))),
    }
}

fn missing(key: &ObjectKey, section: Option<&str>, found: Option<&Object>) -> Option<String> {
    let Some(object) = found else { return Some(format!("{key} is not in the policy")) };
    match (section, &object.spec) {
        (Some(name), Spec::HttpRoute(route)) if route.rules.iter().all(|rule| rule.name != name) => {
            Some(format!("{key} has no rule with the name `{name}`"))
        }
        _ => None,
    }
}

fn dangling(object: &Object, pointer: &str, message: String) -> Diagnostic {
    Diagnostic::error(Code::DanglingReference, object.document.locate(pointer), message)
        .object(object.key.clone())
        .field(field_path(pointer))
        .help("add what is missing, or correct the name or namespace")
}

fn several_meshes(objects: &[&Aged]) -> Vec<Diagnostic> {
    let Some(chosen) = chosen_mesh(objects.iter().copied()) else { return Vec::new() };
    let others = objects
        .iter()
        .filter(|aged| matches!(aged.object.spec, Spec::Mesh(_)) && aged.object.key != chosen.object.key);
    let warn = |other: &&Aged| {
        let message = format!(
            "{} is older, or first by name; a fleet has one Mesh, and this one has no effect",
            chosen.object.key
        );
        Diagnostic::warning(Code::Conflicted, other.object.document.location.clone(), message)
            .object(other.object.key.clone())
            .help("keep one Mesh")
    };
    others.map(warn).collect()
}
