//! `AuthorizationPolicy` → targets, an action and rules (GEP-713, GEP-3779).
//!
//! A mistake never opens anything. Around the rules it refuses the policy. Inside them the policy stands, and the side
//! of the rule that is broken matches nothing if the policy allows, and everything if it denies.

use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use skerry_core::diagnostic::Code;
use skerry_core::policy::authorization_policy::{Action, Part, Rule};
use skerry_core::policy::{AuthorizationPolicy, Spec};

use crate::api;
use crate::api::authorization_policy::{
    AuthorizationAction, AuthorizationPolicySpec, AuthorizationTarget, AuthorizationTargetKind,
};
use crate::api::traffic_policy::{TargetKind, TargetRef};
use crate::findings::{Findings, below};
use crate::shape::{self, Shape};

use super::metadata::Metadata;
use super::{Body, sites, spec, target_refs};

mod operation;
mod source;

static SHAPE: LazyLock<Shape> =
    LazyLock::new(spec::shape_of_crd::<api::authorization_policy::AuthorizationPolicy>);

const RULES: &str = "/spec/rules";

pub(super) fn convert(metadata: &Metadata, findings: &mut Findings<'_>) -> Option<Body> {
    let around = findings.errors();
    let spec: AuthorizationPolicySpec =
        spec::read_value(&SHAPE, &without_rules(findings), "/spec", findings)?;
    let sites = sites::of_selector(spec.sites.as_ref(), findings);
    let targets: Vec<TargetRef> = spec.target_refs.iter().map(to_target_ref).collect();
    let targets = target_refs::convert(&targets, metadata, findings);
    if findings.errors() > around {
        return None;
    }
    let action = match spec.action {
        AuthorizationAction::Allow => Action::Allow,
        AuthorizationAction::Deny => Action::Deny,
        AuthorizationAction::Audit => Action::Audit,
    };
    let rules = Reader { action, namespace: &metadata.key.namespace, findings }.rules();
    Some(Body { spec: Spec::AuthorizationPolicy(AuthorizationPolicy { targets, action, rules }), sites })
}

/// Rules are read one by one.
fn without_rules(findings: &Findings<'_>) -> Value {
    match findings.value("/spec") {
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(Value::Object(fields)) => {
            Value::Object(fields.iter().filter(|(name, _)| *name != "rules").map(owned).collect())
        }
        Some(other) => other.clone(),
    }
}

fn owned((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

fn to_target_ref(target: &AuthorizationTarget) -> TargetRef {
    let kind = match target.kind {
        AuthorizationTargetKind::Mesh => TargetKind::Mesh,
        AuthorizationTargetKind::Namespace => TargetKind::Namespace,
        AuthorizationTargetKind::Service => TargetKind::Service,
    };
    TargetRef { group: target.group.clone(), kind, name: target.name.clone(), section_name: None }
}

/// Reads the rules of a policy with this action.
struct Reader<'r, 'd> {
    action: Action,
    namespace: &'r str,
    findings: &'r mut Findings<'d>,
}

impl Reader<'_, '_> {
    fn rules(mut self) -> Vec<Rule> {
        let (shape, most) = rules_shape();
        let rules = match self.findings.value(RULES) {
            None | Some(Value::Null) => &[][..],
            Some(Value::Array(rules)) if rules.len() <= most => rules,
            Some(other) => {
                shape::check(shape, other, RULES, self.findings);
                return vec![Rule { at: 0, from: self.broken(), to: self.broken() }];
            }
        };
        if rules.is_empty() && self.action != Action::Allow {
            let message = "the policy has no rules, so it matches nothing";
            self.findings.warning(Code::InvalidValue, RULES, message, "add a rule; `{}` matches everything");
        }
        rules.iter().enumerate().map(|(at, rule)| self.rule(at, rule)).collect()
    }

    fn rule(&mut self, at: usize, value: &Value) -> Rule {
        let pointer = format!("{RULES}/{at}");
        let before = self.findings.errors();
        let fields = rule_shape(value, &pointer, self.findings);
        let is_sound = self.findings.errors() == before;
        let mut rule = Rule { at, from: self.broken(), to: self.broken() };
        if let Some((from, to)) = fields {
            let namespace = self.namespace;
            rule.from =
                self.part(from, value.get("from"), &below(&pointer, "from"), |given, pointer, findings| {
                    source::convert(given, namespace, pointer, findings)
                });
            rule.to = self.part(to, value.get("to"), &below(&pointer, "to"), operation::convert);
        }
        // A condition that there is not was meant to narrow the rule: it must not allow without it.
        if !is_sound && self.action != Action::Deny {
            rule.from = self.broken();
        }
        rule
    }

    fn part<G: DeserializeOwned, T>(
        &mut self,
        shape: &Shape,
        value: Option<&Value>,
        pointer: &str,
        convert: impl Fn(&G, &str, &mut Findings<'_>) -> T,
    ) -> Part<T> {
        let Some(value) = value else { return Part::Any };
        let before = self.findings.errors();
        refuse_nulls(value, pointer, self.findings);
        let given: Option<Vec<G>> = match self.findings.errors() == before {
            true => spec::read_value(shape, value, pointer, self.findings),
            false => None,
        };
        let items = given.iter().flatten().enumerate();
        let items =
            items.map(|(at, item)| convert(item, &format!("{pointer}/{at}"), self.findings)).collect();
        if self.findings.errors() == before { Part::Of(items) } else { self.broken() }
    }

    /// What a side that cannot be read matches.
    fn broken<T>(&self) -> Part<T> {
        match self.action {
            Action::Deny => Part::Any,
            Action::Allow | Action::Audit => Part::Of(Vec::new()),
        }
    }
}

/// The shape of `rules`, and how many there may be.
fn rules_shape() -> (&'static Shape, usize) {
    let Shape::Object(fields) = &*SHAPE else { unreachable!("a spec is an object") };
    match &fields["rules"].shape {
        shape @ Shape::List { most, .. } => (shape, *most),
        _ => unreachable!("rules are a list"),
    }
}

/// Notes what a rule has besides its two sides, and returns their shapes; `None`: it is no rule.
fn rule_shape(
    value: &Value,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<(&'static Shape, &'static Shape)> {
    let (Shape::List { items, .. }, _) = rules_shape() else { unreachable!("rules are a list") };
    let Shape::Object(sides) = &**items else { unreachable!("a rule is an object") };
    match value {
        Value::Object(fields) => {
            let rest = fields.iter().filter(|(name, _)| !sides.contains_key(*name)).map(owned).collect();
            shape::check(items, &Value::Object(rest), pointer, findings);
            Some((&sides["from"].shape, &sides["to"].shape))
        }
        _ => {
            shape::check(items, value, pointer, findings);
            None
        }
    }
}

/// A list whose items are all commented out is `null` in YAML. Taken for "left out", as elsewhere, it would match
/// everything.
fn refuse_nulls(value: &Value, pointer: &str, findings: &mut Findings<'_>) {
    match value {
        Value::Null => {
            let help = "leave it out to mean any, or give what is meant; `from: []` and `to: []` mean none";
            findings.error(Code::InvalidField, pointer, "there is nothing after the name", help);
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                refuse_nulls(item, &format!("{pointer}/{at}"), findings);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                refuse_nulls(field, &below(pointer, name), findings);
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
