//! Effective traffic settings: which policy says what for a rule (GEP-713).
//!
//! Mesh < namespace < service < route < rule, field by field; what the HTTPRoute rule says itself
//! wins over every policy; among policies on one target the older wins and the other one says so.

use std::collections::BTreeMap;

use crate::bundle::v1;
use crate::diagnostic::{Code, Diagnostic};
use crate::form::{Form, Input};
use crate::id::{Kind, NamespacedName, ObjectKey};
use crate::policy::http_route::Rule;
use crate::policy::traffic_policy::{Target, TrafficSettings};
use crate::policy::{HttpRoute, TrafficPolicy};

use super::ServiceInputs;

/// Tries after the first for a policy that asks for retries and does not say how many.
const DEFAULT_RETRY_ATTEMPTS: u32 = 1;

/// Effective settings, and where each came from.
#[derive(Debug, Clone, Default)]
pub struct Effective {
    /// The settings.
    pub settings: TrafficSettings,
    /// By field path (`spec.timeouts.request`): the policy that said so and its target.
    pub origins: BTreeMap<&'static str, (ObjectKey, Target)>,
}

impl Effective {
    /// Returns the timeouts, if there are any.
    pub fn timeouts(&self) -> Option<v1::Timeouts> {
        let settings = &self.settings;
        let timeouts = v1::Timeouts {
            request_ms: settings.request_timeout_ms,
            backend_request_ms: settings.backend_request_timeout_ms,
        };
        (timeouts != v1::Timeouts::default()).then_some(timeouts)
    }

    /// Returns the retries, if there are any.
    pub fn retry(&self) -> Option<v1::Retry> {
        let settings = &self.settings;
        let asked = settings.retry_codes.is_some() || settings.retry_backoff_ms.is_some();
        let attempts = settings.retry_attempts.unwrap_or(if asked { DEFAULT_RETRY_ATTEMPTS } else { 0 });
        (attempts > 0).then(|| v1::Retry {
            attempts,
            codes: settings.retry_codes.clone().unwrap_or_default(),
            backoff_ms: settings.retry_backoff_ms.unwrap_or_default(),
        })
    }
}

/// Settings for a rule of a route.
pub(super) fn for_rule(
    inputs: &ServiceInputs<'_>,
    route: Input<'_, HttpRoute>,
    rule: &Rule,
    diagnostics: &mut Vec<Diagnostic>,
) -> Effective {
    let name = route.key().namespaced_name();
    let mut targets = service_targets(inputs);
    targets.push(Target::Route(name.clone()));
    if !rule.name.is_empty() {
        targets.push(Target::Rule(name, rule.name.clone()));
    }
    let mut effective = fold(&inputs.policies, &targets, diagnostics);
    own_settings(&mut effective, rule, route.key());
    diagnostics.extend(longer_try(inputs, &effective, route.form));
    effective
}

/// Settings for a service without a route.
pub(super) fn for_service(inputs: &ServiceInputs<'_>, diagnostics: &mut Vec<Diagnostic>) -> Effective {
    fold(&inputs.policies, &service_targets(inputs), diagnostics)
}

/// What holds for all connections to the service.
pub(super) fn cluster_policy(settings: &TrafficSettings) -> Option<v1::ClusterPolicy> {
    let policy = v1::ClusterPolicy {
        connect_timeout_ms: settings.connect_timeout_ms.unwrap_or_default(),
        retry_budget: settings.retry_budget,
    };
    (policy != v1::ClusterPolicy::default()).then_some(policy)
}

/// Explains the settings of a rule (`Some`) or of the service itself.
pub fn explain(inputs: &ServiceInputs<'_>, rule: Option<(Input<'_, HttpRoute>, &Rule)>) -> Effective {
    let mut ignored = Vec::new();
    match rule {
        Some((route, rule)) => for_rule(inputs, route, rule, &mut ignored),
        None => for_service(inputs, &mut ignored),
    }
}

/// A try that may take longer than the whole request (GEP-1742), where the two come from different objects: each is right
/// by itself. What one object says of both is checked when it is read.
pub(super) fn longer_try(
    inputs: &ServiceInputs<'_>,
    effective: &Effective,
    subject: &Form,
) -> Option<Diagnostic> {
    let settings = &effective.settings;
    let (one, whole) = (settings.backend_request_timeout_ms?, settings.request_timeout_ms?);
    let (setter, _) = effective.origins.get("spec.timeouts.backendRequest")?;
    let (bound, _) = effective.origins.get("spec.timeouts.request")?;
    if whole == 0 || one <= whole || setter == bound {
        return None;
    }
    let policies = inputs.policies.iter().map(|input| input.form);
    let form = policies.chain([subject]).find(|form| form.key() == setter)?;
    let pointer = match setter.kind {
        Kind::HttpRoute => "/spec/rules",
        _ => "/spec/timeouts/backendRequest",
    };
    let message = format!(
        "for {} one try may take {one} ms, and {bound} lets the whole request take {whole} ms: the request ends first",
        subject.key()
    );
    let help = "make `backendRequest` shorter, or `request` longer or 0s, in one of the two";
    Some(form.warning(Code::InvalidValue, pointer, message).help(help))
}

/// The targets that reach a service, the widest first.
pub(super) fn service_targets(inputs: &ServiceInputs<'_>) -> Vec<Target> {
    let service: NamespacedName = inputs.service.key().namespaced_name();
    let mesh = Target::Mesh(inputs.mesh.to_owned());
    vec![mesh, Target::Namespace(service.namespace.clone()), Target::Service(service)]
}

fn own_settings(effective: &mut Effective, rule: &Rule, route: &ObjectKey) {
    let own = TrafficSettings {
        request_timeout_ms: rule.timeouts.and_then(|timeouts| timeouts.request_ms),
        backend_request_timeout_ms: rule.timeouts.and_then(|timeouts| timeouts.backend_request_ms),
        retry_attempts: rule.retry.as_ref().map(|retry| retry.attempts),
        retry_codes: rule
            .retry
            .as_ref()
            .filter(|retry| !retry.codes.is_empty())
            .map(|retry| retry.codes.clone()),
        retry_backoff_ms: rule.retry.as_ref().map(|retry| retry.backoff_ms).filter(|backoff| *backoff > 0),
        ..TrafficSettings::default()
    };
    let target = Target::Rule(route.namespaced_name(), rule.name.clone());
    for (field, take) in FIELDS {
        if take(&mut effective.settings, &own, Mode::Overwrite) == Took::Set {
            effective.origins.insert(field, (route.clone(), target.clone()));
        }
    }
}

fn fold(
    policies: &[Input<'_, TrafficPolicy>],
    targets: &[Target],
    diagnostics: &mut Vec<Diagnostic>,
) -> Effective {
    let mut effective = Effective::default();
    for target in targets {
        let mut level = Effective::default();
        let mut attached: Vec<_> =
            policies.iter().filter(|input| input.spec.targets.contains(target)).collect();
        attached.sort_by(|a, b| (a.form.aged.age, a.key()).cmp(&(b.form.aged.age, b.key())));
        for input in attached {
            add_policy(&mut level, input, target, diagnostics);
        }
        for (field, take) in FIELDS {
            if take(&mut effective.settings, &level.settings, Mode::Overwrite) == Took::Set
                && let Some(origin) = level.origins.get(field)
            {
                effective.origins.insert(field, origin.clone());
            }
        }
    }
    effective
}

fn add_policy(
    level: &mut Effective,
    input: &Input<'_, TrafficPolicy>,
    target: &Target,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let key = input.key();
    for (field, take) in FIELDS {
        match take(&mut level.settings, &input.spec.settings, Mode::KeepFirst) {
            Took::Set => {
                level.origins.insert(field, (key.clone(), target.clone()));
            }
            Took::Lost => {
                if let Some((winner, _)) = level.origins.get(field) {
                    diagnostics.push(conflicted(input, field, winner));
                }
            }
            Took::Nothing => {}
        }
    }
}

fn conflicted(input: &Input<'_, TrafficPolicy>, field: &str, winner: &ObjectKey) -> Diagnostic {
    let pointer = format!("/{}", field.replace('.', "/"));
    let message = format!(
        "{winner} sets the same field on the same target and is older, or first by name; this one has no effect"
    );
    input.form.warning(Code::Conflicted, &pointer, message).help("keep the field in one of the two policies")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Overwrite,
    KeepFirst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Took {
    Set,
    Lost,
    Nothing,
}

type Take = fn(&mut TrafficSettings, &TrafficSettings, Mode) -> Took;

/// Every field with its path in a `TrafficPolicy`.
const FIELDS: [(&str, Take); 8] = [
    ("spec.timeouts.request", |to, from, mode| {
        take(&mut to.request_timeout_ms, &from.request_timeout_ms, mode)
    }),
    ("spec.timeouts.backendRequest", |to, from, mode| {
        take(&mut to.backend_request_timeout_ms, &from.backend_request_timeout_ms, mode)
    }),
    ("spec.timeouts.connect", |to, from, mode| {
        take(&mut to.connect_timeout_ms, &from.connect_timeout_ms, mode)
    }),
    ("spec.retries.attempts", |to, from, mode| take(&mut to.retry_attempts, &from.retry_attempts, mode)),
    ("spec.retries.codes", |to, from, mode| take(&mut to.retry_codes, &from.retry_codes, mode)),
    ("spec.retries.backoff", |to, from, mode| take(&mut to.retry_backoff_ms, &from.retry_backoff_ms, mode)),
    ("spec.retries.budget", |to, from, mode| take(&mut to.retry_budget, &from.retry_budget, mode)),
    ("spec.mtls.mode", |to, from, mode| take(&mut to.mtls, &from.mtls, mode)),
];

fn take<T: Clone + PartialEq>(to: &mut Option<T>, from: &Option<T>, mode: Mode) -> Took {
    match (&to, from) {
        (_, None) => Took::Nothing,
        (Some(have), Some(new)) if mode == Mode::KeepFirst => {
            if have == new {
                Took::Nothing
            } else {
                Took::Lost
            }
        }
        (_, Some(new)) => {
            *to = Some(new.clone());
            Took::Set
        }
    }
}
