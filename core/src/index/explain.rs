//! Explains an object at a site: each effective field with the file and line that it came from, and
//! for a service the settings of each of its rules, and who may call it, with the policy that says so.

use serde::Serialize;
use serde_json::Value;

use crate::compile::{ServiceInputs, authorization, traffic};
use crate::diagnostic::{Diagnostic, Location};
use crate::document::{below, field_path};
use crate::form::{Form, Input};
use crate::id::{Kind, NamespacedName, ObjectKey, SiteId};
use crate::policy::http_route::Rule;
use crate::policy::traffic_policy::Target;
use crate::policy::{AuthorizationPolicy, HttpRoute};

use super::Index;
use super::classes::ClassKey;

/// Why an object is at a site as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The object.
    pub object: ObjectKey,
    /// Whether the object is for this site at all.
    pub selected: bool,
    /// The overrides that were applied, in order.
    pub overrides: Vec<ObjectKey>,
    /// Every field that has a value, in the order of the document.
    pub fields: Vec<FieldOrigin>,
    /// For a service: effective traffic settings by rule, then the policies that say who may call it, in the order in
    /// which they are looked at.
    pub settings: Vec<SettingOrigin>,
    /// Overrides that could not be applied.
    pub diagnostics: Vec<Diagnostic>,
}

/// Where the value of a field came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldOrigin {
    /// The field.
    pub field: String,
    /// Its value.
    pub value: Value,
    /// Whose document has it: the object itself or an override.
    pub by: ObjectKey,
    /// Where.
    pub location: Location,
}

/// Where an effective setting came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingOrigin {
    /// `service`, `<HTTPRoute> rules[<n>]`, or `authorization`.
    pub scope: String,
    /// The field of the policy.
    pub field: String,
    /// Its value, as the policy or route writes it.
    pub value: Value,
    /// The policy, or the route itself.
    pub by: ObjectKey,
    /// The override that changed the value in the policy, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overridden_by: Option<ObjectKey>,
    /// On what the policy is attached: `mesh`, `namespace`, `service`, `route`, `rule`.
    pub level: &'static str,
    /// Where.
    pub location: Location,
}

/// Fields of a `Mesh` that hold where no policy has the other field.
const MESH_DEFAULTS: [(&str, &str); 2] =
    [("spec.mtls.mode", "spec.mtls.mode"), ("spec.authorization.default", "spec.action")];

impl Index {
    /// Explains an object at a site. A site that the world does not have is taken as one without
    /// labels. `None` when there is no such object.
    pub fn explain(&self, site: &SiteId, key: &ObjectKey) -> Option<Explanation> {
        let class = self.classes.key_of(site);
        let settings = if key.kind == Kind::Service { self.explain_service(&class, key) } else { Vec::new() };
        let (form, diagnostics) = self.fold(&class, key)?;
        let mut fields = Vec::new();
        walk(&form.object().document.value(), "", &mut |pointer, value| {
            let (by, location) = origin(&form, pointer);
            fields.push(FieldOrigin { field: field_path(pointer), value: value.clone(), by, location });
        });
        Some(Explanation {
            object: key.clone(),
            selected: class.has(self.objects.get(key)?.sites),
            overrides: form.applied.iter().map(|over| over.key.clone()).collect(),
            fields,
            settings,
            diagnostics,
        })
    }

    fn explain_service(&self, class: &ClassKey, key: &ObjectKey) -> Vec<SettingOrigin> {
        let gathered = self.gather(class, &key.namespaced_name());
        let mut settings =
            gathered.and_then(|gathered| gathered.with_inputs(1, explain_inputs)).unwrap_or_default();
        let is_set = |field: &str| settings.iter().any(|setting| setting.field == field);
        let defaults = MESH_DEFAULTS.iter().filter(|(_, policy)| !is_set(policy));
        let defaults: Vec<SettingOrigin> =
            defaults.filter_map(|(field, _)| self.mesh_default(class, field)).collect();
        settings.extend(defaults);
        settings
    }

    /// What the mesh says where no policy does, if it says so itself.
    fn mesh_default(&self, class: &ClassKey, field: &str) -> Option<SettingOrigin> {
        let key = self.chosen_mesh()?.object.key.clone();
        let (form, _) = self.fold(class, &key)?;
        let pointer = pointer_of(field);
        let value = form.object().document.value().pointer(&pointer)?.clone();
        let (set_by, location) = origin(&form, &pointer);
        Some(SettingOrigin {
            scope: "service".to_owned(),
            field: field.to_owned(),
            value,
            location,
            overridden_by: (set_by != key).then_some(set_by),
            by: key,
            level: "mesh",
        })
    }
}

fn explain_inputs(inputs: &ServiceInputs<'_>) -> Vec<SettingOrigin> {
    let mut settings = origins(inputs, "service", &traffic::explain(inputs, None));
    for &input in &inputs.routes {
        for (at, rule) in rules_of(input.spec, &inputs.service.key().namespaced_name()) {
            let scope = format!("{} rules[{at}]", input.key());
            settings.extend(origins(inputs, &scope, &traffic::explain(inputs, Some((input, rule)))));
        }
    }
    settings.extend(authorizations(inputs));
    settings
}

/// Each policy that reaches the service, by its action.
fn authorizations(inputs: &ServiceInputs<'_>) -> Vec<SettingOrigin> {
    let describe = |(input, target): (&Input<'_, AuthorizationPolicy>, Target)| {
        let pointer = "/spec/action";
        let (set_by, location) = origin(input.form, pointer);
        Some(SettingOrigin {
            scope: "authorization".to_owned(),
            field: field_path(pointer),
            value: input.form.object().document.value().pointer(pointer)?.clone(),
            location,
            overridden_by: (set_by != *input.key()).then_some(set_by),
            by: input.key().clone(),
            level: level(&target),
        })
    };
    authorization::attached(inputs).into_iter().filter_map(describe).collect()
}

fn rules_of<'a>(route: &'a HttpRoute, service: &NamespacedName) -> impl Iterator<Item = (usize, &'a Rule)> {
    let attached = route.parents.iter().any(|parent| parent.service == *service);
    route.rules.iter().enumerate().filter(move |_| attached)
}

fn origins(inputs: &ServiceInputs<'_>, scope: &str, effective: &traffic::Effective) -> Vec<SettingOrigin> {
    let describe = |(field, (by, target)): (&&'static str, &(ObjectKey, Target))| {
        let (form, field) = source_of(inputs, scope, by, field)?;
        let pointer = pointer_of(&field);
        let (set_by, location) = origin(form, &pointer);
        Some(SettingOrigin {
            scope: scope.to_owned(),
            value: form.object().document.value().pointer(&pointer)?.clone(),
            location,
            field,
            overridden_by: (set_by != *by).then_some(set_by),
            by: by.clone(),
            level: level(target),
        })
    };
    effective.origins.iter().filter_map(describe).collect()
}

/// Finds the form of the object that set a field, and the field's path in it.
fn source_of<'a>(
    inputs: &'a ServiceInputs<'_>,
    scope: &str,
    by: &ObjectKey,
    field: &str,
) -> Option<(&'a Form, String)> {
    if by.kind == Kind::HttpRoute {
        let route = inputs.routes.iter().find(|route| route.key() == by)?;
        let rule = scope.rsplit(' ').next()?;
        let own = field.trim_start_matches("spec.").replacen("retries", "retry", 1);
        return Some((route.form, format!("spec.{rule}.{own}")));
    }
    let policy = inputs.policies.iter().find(|policy| policy.key() == by)?;
    Some((policy.form, field.to_owned()))
}

fn pointer_of(field: &str) -> String {
    format!("/{}", field.replace('[', "/").replace(']', "").replace('.', "/"))
}

fn level(target: &Target) -> &'static str {
    match target {
        Target::Mesh(_) => "mesh",
        Target::Namespace(_) => "namespace",
        Target::Service(_) => "service",
        Target::Route(_) => "route",
        Target::Rule(..) => "rule",
    }
}

/// Names the object that a field has its value from, and the place in its document.
fn origin(form: &Form, pointer: &str) -> (ObjectKey, Location) {
    let origin = form.origin(pointer);
    (origin.object.key.clone(), origin.location)
}

fn walk(value: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                walk(field, &below(pointer, name), visit);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{at}"), visit);
            }
        }
        _ => visit(pointer, value),
    }
}
