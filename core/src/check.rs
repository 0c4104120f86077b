//! Checks references between objects of a world: parents, backends, targets, callers' sites and patched objects that are not there.

use crate::compile::backends::find_port;
use crate::diagnostic::{Code, Diagnostic};
use crate::form::Form;
use crate::id::{Kind, ObjectKey};
use crate::policy::http_route::{Action, BackendRef};
use crate::policy::target::Target;
use crate::policy::{HttpRoute, Object, OfSpec as _, Service, Spec, TrafficPolicy};
use crate::world::Aged;

/// Picks the `Mesh` that holds when there are several: the oldest, then the first by name.
pub fn chosen_mesh<'a>(meshes: impl Iterator<Item = &'a Aged>) -> Option<&'a Aged> {
    meshes.min_by(|a, b| (a.age, &a.object.key).cmp(&(b.age, &b.object.key)))
}

/// Finds references of a form that lead nowhere, whatever the site. `mesh` is the name of the fleet's
/// `Mesh`; `find` lists all forms of an object, none when it is not there.
pub fn references<'a, F>(form: &Form, mesh: &str, find: impl Fn(&ObjectKey) -> F) -> Vec<Diagnostic>
where
    F: Iterator<Item = &'a Object>,
{
    let mut diagnostics = Vec::new();
    for Reference { pointer, key, section } in references_of(form.object()) {
        let is_policy = matches!(form.object().spec, Spec::TrafficPolicy(_) | Spec::AuthorizationPolicy(_));
        let is_mesh = key.kind == Kind::Mesh && is_policy;
        let found = match is_mesh {
            true if key.name == mesh => None,
            true if find(&ObjectKey::mesh(mesh)).next().is_none() => Some((
                format!("{key} is not in the policy"),
                format!("the policy has no Mesh: name `{mesh}`, or add it"),
            )),
            true => Some((format!("{key} is not the Mesh of this fleet"), format!("its name is `{mesh}`"))),
            false => missing(&key, section.as_deref(), find(&key))
                .map(|message| (message, "add what is missing, or correct the name or namespace".to_owned())),
        };
        if let Some((message, help)) = found {
            diagnostics.push(form.error(Code::DanglingReference, &pointer, message).help(help));
        }
    }
    if let Some(route) = HttpRoute::of(&form.object().spec) {
        diagnostics.extend(unseen_backends(form, route, find));
    }
    diagnostics
}

/// The backends of a route whose parents are all missing lead nowhere, too: it is compiled with no service, so nobody
/// else looks at them.
fn unseen_backends<'a, F>(form: &Form, route: &HttpRoute, find: impl Fn(&ObjectKey) -> F) -> Vec<Diagnostic>
where
    F: Iterator<Item = &'a Object>,
{
    if route.parents.iter().any(|parent| find(&ObjectKey::service(&parent.service)).next().is_some()) {
        return Vec::new();
    }
    let flaw = |backend: &BackendRef| {
        let target = backend.target.as_ref().ok()?;
        let services = find(&ObjectKey::service(&target.service));
        let services: Vec<&Service> = services.filter_map(|object| Service::of(&object.spec)).collect();
        if services.iter().copied().any(|service| find_port(target, Some(service)).is_ok()) {
            return None;
        }
        find_port(target, services.first().copied()).err().map(|flaw| flaw.tell(form, backend))
    };
    let rules = route.rules.iter().filter_map(|rule| match &rule.action {
        Action::Forward { backends, .. } => Some(backends),
        Action::Redirect(_) | Action::Fail => None,
    });
    rules.flatten().filter_map(flaw).collect()
}

/// What an object names, and where.
struct Reference {
    pointer: String,
    key: ObjectKey,
    /// The rule of a route.
    section: Option<String>,
}

fn references_of(object: &Object) -> Vec<Reference> {
    let whole = |pointer, key| Reference { pointer, key, section: None };
    match &object.spec {
        Spec::HttpRoute(route) => {
            let parents = route.parents.iter();
            parents.map(|parent| whole(parent.pointer.clone(), ObjectKey::service(&parent.service))).collect()
        }
        Spec::TrafficPolicy(TrafficPolicy { targets, .. }) => references_to(targets).collect(),
        Spec::AuthorizationPolicy(policy) => {
            let site = |(pointer, site)| whole(pointer, ObjectKey::new(Kind::Site, "", site));
            references_to(&policy.targets).chain(policy.named_sites().map(site)).collect()
        }
        Spec::SiteOverride(spec) => {
            let patches = spec.patches.iter().enumerate();
            patches
                .map(|(at, patch)| whole(format!("/spec/patches/{at}/target"), patch.target.clone()))
                .collect()
        }
        Spec::Mesh(_) | Spec::Site(_) | Spec::Service(_) => Vec::new(),
    }
}

fn references_to(targets: &[Target]) -> impl Iterator<Item = Reference> {
    let targets = targets.iter().enumerate();
    targets.filter_map(|(at, target)| reference_to(target, format!("/spec/targetRefs/{at}")))
}

fn reference_to(target: &Target, pointer: String) -> Option<Reference> {
    let (key, section) = match target {
        Target::Namespace(_) => return None,
        Target::Mesh(name) => (ObjectKey::mesh(name), None),
        Target::Service(name) => (ObjectKey::service(name), None),
        Target::Route(name) => (ObjectKey::route(name), None),
        Target::Rule(name, rule) => (ObjectKey::route(name), Some(rule.clone())),
    };
    Some(Reference { pointer, key, section })
}

fn missing<'a>(
    key: &ObjectKey,
    section: Option<&str>,
    forms: impl Iterator<Item = &'a Object>,
) -> Option<String> {
    let forms: Vec<&Object> = forms.collect();
    if forms.is_empty() {
        return Some(format!("{key} is not in the policy"));
    }
    let name = section?;
    let mut routes = forms.into_iter().filter_map(|object| HttpRoute::of(&object.spec));
    let has_rule = routes.any(|route| route.rules.iter().any(|rule| rule.name == name));
    (!has_rule).then(|| format!("{key} has no rule with the name `{name}`"))
}

/// Warns of each `Mesh` but the one that holds.
pub fn several_meshes(meshes: &[&Aged]) -> Vec<Diagnostic> {
    let Some(chosen) = chosen_mesh(meshes.iter().copied()) else { return Vec::new() };
    let others = meshes.iter().filter(|aged| aged.object.key != chosen.object.key);
    let warn = |other: &&Aged| {
        let message = format!(
            "{} is older, or first by name; a fleet has one Mesh, and this one has no effect",
            chosen.object.key
        );
        Form::plain(Aged::clone(other)).warning(Code::Conflicted, "", message).help("keep one Mesh")
    };
    others.map(warn).collect()
}
