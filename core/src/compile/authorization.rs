//! Who may call a service: the rules of all policies that reach it, joined. They add up, whatever their targets, so
//! none wins over another; denials are looked at first.
//!
//! What cannot be kept never opens anything: an allowance that fits nothing is left out, and what is over its bound is
//! closed to everyone.

use std::collections::BTreeSet;

use prost::Message;

use crate::bundle::v1;
use crate::diagnostic::{Code, Diagnostic};
use crate::form::Input;
use crate::id::NamespacedName;
use crate::policy::AuthorizationPolicy;
use crate::policy::authorization_policy::{Action, Part, Rule};
use crate::policy::target::Target;

use super::ServiceInputs;
use super::traffic::service_targets;

/// The most bytes of a service's authorization: a quarter of a fragment, so that routes keep the rest. It holds about
/// 5,000 service accounts.
const MAX_BYTES: usize = 256 << 10;

/// The most `Audit` policies that count at one service: each is a filter in every one of its listeners.
const MAX_AUDITS: usize = 16;

/// The policies that reach a service, in the order in which they are looked at, each with the widest target that does.
pub fn attached<'i, 'a>(inputs: &'i ServiceInputs<'a>) -> Vec<(&'i Input<'a, AuthorizationPolicy>, Target)> {
    let targets = service_targets(inputs);
    let widest = |input: &Input<'_, AuthorizationPolicy>| {
        targets.iter().find(|target| input.spec.targets.contains(target)).cloned()
    };
    let mut attached: Vec<_> =
        inputs.authorizations.iter().filter_map(|input| Some((input, widest(input)?))).collect();
    attached.sort_by_key(|(input, _)| (input.spec.action, input.key()));
    attached
}

/// Compiles who may call a service; `None` when no policy speaks of it.
pub(super) fn compile(
    inputs: &ServiceInputs<'_>,
    ports: &[v1::ServicePort],
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<v1::Authorization> {
    let mut compiled = v1::Authorization::default();
    for (input, _) in attached(inputs) {
        let mut rules = Rules { inputs, ports, input, diagnostics: &mut *diagnostics }.compile();
        match input.spec.action {
            Action::Deny => compiled.deny.append(&mut rules),
            Action::Allow => {
                compiled.closed = true;
                compiled.allow.append(&mut rules);
            }
            Action::Audit if rules.is_empty() => {}
            Action::Audit if compiled.audits.len() == MAX_AUDITS => {
                diagnostics.push(not_counted(inputs, input));
            }
            Action::Audit => compiled.audits.push(v1::Audit { name: name(input), rules }),
        }
    }
    compiled.deny.sort_by(|a, b| a.name.cmp(&b.name));
    compiled.allow.sort_by(|a, b| a.name.cmp(&b.name));
    compiled.audits.sort_by(|a, b| a.name.cmp(&b.name));
    let bytes = compiled.encoded_len();
    if bytes > MAX_BYTES {
        compiled = v1::Authorization { closed: true, ..v1::Authorization::default() };
        diagnostics.push(too_long(inputs, bytes));
    }
    (compiled != v1::Authorization::default()).then_some(compiled)
}

fn name(input: &Input<'_, AuthorizationPolicy>) -> String {
    input.key().namespaced_name().to_string()
}

fn too_long(inputs: &ServiceInputs<'_>, bytes: usize) -> Diagnostic {
    let message = format!("its authorization compiles to {bytes} bytes; the limit is {MAX_BYTES}");
    let help = "name namespaces instead of many service accounts, or split the Service; until then it is closed to everyone";
    inputs.service.form.error(Code::BudgetExceeded, "", message).help(help)
}

fn not_counted(inputs: &ServiceInputs<'_>, input: &Input<'_, AuthorizationPolicy>) -> Diagnostic {
    let message = format!(
        "Service {} has {MAX_AUDITS} Audit policies already; this one counts nothing there",
        inputs.service.key().namespaced_name()
    );
    input.form.error(Code::BudgetExceeded, "", message).help("remove those that have told what they should")
}

/// One policy at one service.
struct Rules<'r, 'a> {
    inputs: &'r ServiceInputs<'a>,
    ports: &'r [v1::ServicePort],
    input: &'r Input<'a, AuthorizationPolicy>,
    diagnostics: &'r mut Vec<Diagnostic>,
}

impl Rules<'_, '_> {
    fn compile(mut self) -> Vec<v1::AuthorizationRule> {
        let spec = self.input.spec;
        spec.rules.iter().filter_map(|rule| self.rule(rule)).collect()
    }

    /// A rule that matches nothing at this service is left out.
    fn rule(&mut self, rule: &Rule) -> Option<v1::AuthorizationRule> {
        let sources = match &rule.from {
            Part::Any => Vec::new(),
            Part::Of(sources) if sources.is_empty() => return None,
            Part::Of(sources) => sorted(sources.iter().map(sorted_source)),
        };
        let operations = match &rule.to {
            Part::Any => Vec::new(),
            Part::Of(operations) => {
                let here = operations.iter().enumerate();
                let here: Vec<_> = here.filter_map(|(at, to)| self.operation(rule, at, to)).collect();
                if here.is_empty() {
                    return None;
                }
                sorted(here)
            }
        };
        Some(v1::AuthorizationRule {
            name: format!("{}/{}", name(self.input), rule.at),
            any_source: rule.from == Part::Any,
            sources,
            any_operation: rule.to == Part::Any,
            operations,
        })
    }

    /// Keeps of an operation what the service has.
    fn operation(&mut self, rule: &Rule, at: usize, operation: &v1::Operation) -> Option<v1::Operation> {
        let pointer = format!("/spec/rules/{}/to/{at}", rule.at);
        let is_here = |number: &u32| self.ports.iter().any(|port| port.port == *number);
        let mut kept = operation.clone();
        kept.ports.retain(is_here);
        if kept.ports.len() < operation.ports.len() {
            self.report_missing(operation, &pointer);
        }
        if kept.ports.is_empty() && !operation.ports.is_empty() {
            return None;
        }
        self.report_bytes(&kept, &pointer);
        kept.ports = sorted_set(&kept.ports);
        kept.methods = sorted_set(&kept.methods);
        kept.paths = sorted(std::mem::take(&mut kept.paths));
        Some(kept)
    }

    fn service(&self) -> NamespacedName {
        self.inputs.service.key().namespaced_name()
    }

    /// A policy on the service itself names a port that is not there. Of a wider policy that is no mistake.
    fn report_missing(&mut self, operation: &v1::Operation, pointer: &str) {
        let service = self.service();
        if !self.input.spec.targets.contains(&Target::Service(service.clone())) {
            return;
        }
        for (at, number) in operation.ports.iter().enumerate() {
            if self.ports.iter().all(|port| port.port != *number) {
                let message = format!("Service {service} has no port {number}");
                let pointer = format!("{pointer}/ports/{at}");
                let found = self.input.form.error(Code::DanglingReference, &pointer, message);
                self.diagnostics.push(found.help("name a port of the Service, not of its workloads"));
            }
        }
    }

    /// A port that carries bytes has neither methods nor paths: no allowance can hold there, and a denial must.
    fn report_bytes(&mut self, operation: &v1::Operation, pointer: &str) {
        if operation.methods.is_empty() && operation.paths.is_empty() {
            return;
        }
        let is_meant =
            |port: &v1::ServicePort| operation.ports.is_empty() || operation.ports.contains(&port.port);
        let bytes = self.ports.iter().filter(|port| is_meant(port) && port.protocol() == v1::Protocol::Tcp);
        let bytes: Vec<String> = bytes.map(|port| port.port.to_string()).collect();
        if bytes.is_empty() {
            return;
        }
        let effect = match self.input.spec.action {
            Action::Deny => "the rule denies its callers everything there",
            Action::Allow => "the rule allows nothing there",
            Action::Audit => "the rule counts all of its callers there",
        };
        let message = format!(
            "port {} of Service {} carries bytes, without methods and paths: {effect}",
            bytes.join(", "),
            self.service()
        );
        let help = "name the HTTP ports that are meant in `ports`, or set the port's `appProtocol: http`";
        self.diagnostics.push(self.input.form.warning(Code::InvalidValue, pointer, message).help(help));
    }
}

fn sorted_source(source: &v1::Source) -> v1::Source {
    v1::Source {
        sites: sorted_set(&source.sites),
        service_accounts: sorted(source.service_accounts.iter().cloned()),
        namespaces: sorted_set(&source.namespaces),
        spiffe_ids: sorted(source.spiffe_ids.iter().cloned()),
    }
}

fn sorted_set<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    items.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// Sorts messages by their bytes, each one once.
fn sorted<M: Message + PartialEq>(items: impl IntoIterator<Item = M>) -> Vec<M> {
    let mut items: Vec<M> = items.into_iter().collect();
    items.sort_by_cached_key(Message::encode_to_vec);
    items.dedup();
    items
}
