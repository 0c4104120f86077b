//! Explains an object at a site: each effective field with the file and line that it came from, and
//! for a service the settings of each of its rules with the policy that set them.

use serde::Serialize;
use serde_json::Value;

use crate::compile::{RouteInput, ServiceInputs, traffic};
use crate::diagnostic::{Diagnostic, Location};
use crate::document::field_path;
use crate::id::{Kind, NamespacedName, ObjectKey, SiteId};
use crate::overrides::{Layer, fold, is_within};
use crate::policy::http_route::Rule;
use crate::policy::traffic_policy::Target;
use crate::policy::{HttpRoute, Object};

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
    /// For a service: effective traffic settings by rule.
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

/// Where an effective traffic setting came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingOrigin {
    /// `service`, or `<HTTPRoute> rules[<n>]`.
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

impl Index {
    /// Explains an object at a site. A site that the world does not have is taken as one without
    /// labels. `None` when there is no such object.
    pub fn explain(&mut self, site: &SiteId, key: &ObjectKey) -> Option<Explanation> {
        let class = self.classes.class_of(site).cloned().unwrap_or_else(|| self.classes.base_key());
        let mut settings =
            if key.kind == Kind::Service { self.explain_service(&class, key) } else { Vec::new() };
        settings.iter_mut().for_each(|setting| self.trace_override(&class, setting));
        let base = &self.objects.get(key)?.aged.object;
        let layers = self.layers(&class, key);
        let folded = fold(base, layers.clone(), self.decode);
        let mut fields = Vec::new();
        let applied: Vec<_> = folded
            .applied
            .iter()
            .filter_map(|over| layers.iter().find(|layer| layer.object.key == *over))
            .collect();
        walk(&folded.object.document.value, "", &mut |pointer, value| {
            let (by, location) = origin(base, &applied, pointer);
            fields.push(FieldOrigin { field: field_path(pointer), value: value.clone(), by, location });
        });
        Some(Explanation {
            object: key.clone(),
            selected: self.classes.selects(&class, base),
            overrides: folded.applied,
            fields,
            settings,
            diagnostics: folded.diagnostics,
        })
    }

    fn layers(&self, class: &ClassKey, key: &ObjectKey) -> Vec<Layer<'_>> {
        let overrides = self.links.overrides(key).filter_map(|over| self.objects.get(over));
        let selected =
            overrides.map(|slot| &*slot.aged.object).filter(|object| self.classes.selects(class, object));
        let Some((own_key, _)) = self.objects.get_key_value(key) else { return Vec::new() };
        selected.filter_map(|object| Layer::new(object, own_key)).collect()
    }

    /// Points a setting at the override that gave it its value, if one did.
    fn trace_override(&self, class: &ClassKey, setting: &mut SettingOrigin) {
        let Some(slot) = self.objects.get(&setting.by) else { return };
        let layers = self.layers(class, &setting.by);
        let applied = fold(&slot.aged.object, layers.clone(), self.decode).applied;
        let applied: Vec<_> =
            applied.iter().filter_map(|over| layers.iter().find(|layer| layer.object.key == *over)).collect();
        let (by, location) = origin(&slot.aged.object, &applied, &pointer_of(&setting.field));
        setting.overridden_by = (by != setting.by).then_some(by);
        setting.location = location;
    }

    fn explain_service(&mut self, class: &ClassKey, key: &ObjectKey) -> Vec<SettingOrigin> {
        let name = key.namespaced_name();
        let Some(gathered) = self.gather(class, &name) else { return Vec::new() };
        gathered.with_inputs(1, explain_inputs).unwrap_or_default()
    }
}

fn explain_inputs(inputs: &ServiceInputs<'_>) -> Vec<SettingOrigin> {
    let mut settings = origins(inputs, "service", &traffic::explain(inputs, None));
    for &input in &inputs.routes {
        for (at, rule) in rules_of(input.route, &inputs.object.key.namespaced_name()) {
            let scope = format!("{} rules[{at}]", input.aged.object.key);
            settings.extend(origins(inputs, &scope, &traffic::explain(inputs, Some((input, rule)))));
        }
    }
    settings
}

fn rules_of<'a>(route: &'a HttpRoute, service: &NamespacedName) -> impl Iterator<Item = (usize, &'a Rule)> {
    let attached = route.parents.iter().any(|parent| parent.service == *service);
    route.rules.iter().enumerate().filter(move |_| attached)
}

fn origins(inputs: &ServiceInputs<'_>, scope: &str, effective: &traffic::Effective) -> Vec<SettingOrigin> {
    let describe = |(field, (by, target)): (&&'static str, &(ObjectKey, Target))| {
        let (object, field) = source_of(inputs, scope, by, field)?;
        let pointer = pointer_of(&field);
        Some(SettingOrigin {
            scope: scope.to_owned(),
            value: object.document.value.pointer(&pointer)?.clone(),
            location: object.document.locate(&pointer),
            field,
            by: by.clone(),
            overridden_by: None,
            level: level(target),
        })
    };
    effective.origins.iter().filter_map(describe).collect()
}

/// Finds the object that set a field, and the field's path in that object.
fn source_of<'a>(
    inputs: &'a ServiceInputs<'_>,
    scope: &str,
    by: &ObjectKey,
    field: &str,
) -> Option<(&'a Object, String)> {
    if by.kind == Kind::HttpRoute {
        let route: &RouteInput<'_> = inputs.routes.iter().find(|route| route.aged.object.key == *by)?;
        let rule = scope.rsplit(' ').next()?;
        let own = field.trim_start_matches("spec.").replacen("retries", "retry", 1);
        return Some((&route.aged.object, format!("spec.{rule}.{own}")));
    }
    let policy = inputs.policies.iter().find(|policy| policy.aged.object.key == *by)?;
    Some((&policy.aged.object, field.to_owned()))
}

fn pointer_of(field: &str) -> String {
    format!("/{}", field.replace('[', "/").replace(']', "").replace('.', "/"))
}

fn level(target: &Target) -> &'static str {
    match target {
        Target::Mesh => "mesh",
        Target::Namespace(_) => "namespace",
        Target::Service(_) => "service",
        Target::Route(_) => "route",
        Target::Rule(..) => "rule",
    }
}

fn origin(base: &Object, applied: &[&Layer<'_>], pointer: &str) -> (ObjectKey, Location) {
    for layer in applied.iter().rev() {
        let touched = layer.touched();
        if let Some((target, own)) = touched.iter().find(|(target, _)| is_within(pointer, target)) {
            let place = layer.object.document.locate(&format!("{own}{}", &pointer[target.len()..]));
            return (layer.object.key.clone(), place);
        }
    }
    (base.key.clone(), base.document.locate(pointer))
}

fn walk(value: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let token = name.replace('~', "~0").replace('/', "~1");
                walk(field, &format!("{pointer}/{token}"), visit);
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
