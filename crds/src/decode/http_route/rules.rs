//! The rules of a route, each with its matches, filters and backends.
//!
//! What is broken must neither widen nor move others: a rule without a sound match keeps its place and
//! matches nothing, with an error; a rule with a filter that cannot be applied answers 500 (`Action::Fail`), as the Gateway API demands.

use std::collections::BTreeSet;

use gateway_api::apis::experimental::httproutes::HttpRouteRules;
use skerry_core::diagnostic::Code;
use skerry_core::policy::http_route::{Action, BackendRef, Rule};

use crate::decode::{dns, invalid};
use crate::findings::{Findings, below};

use super::{backends, filters, matches, timeouts};

/// Converts the rules in order. Left out as a whole, or empty, they are one rule for every path without backends, as
/// the API server would default them.
pub(super) fn convert(
    rules: Option<&[HttpRouteRules]>,
    namespace: &str,
    findings: &mut Findings<'_>,
) -> Vec<Rule> {
    let default = [HttpRouteRules::default()];
    let mut names = BTreeSet::new();
    let rules = rules.filter(|rules| !rules.is_empty()).unwrap_or(&default).iter().enumerate();
    rules
        .map(|(at, rule)| {
            let pointer = format!("/spec/rules/{at}");
            let name = name(rule, &mut names, &pointer, findings);
            convert_rule(rule, name, namespace, &pointer, findings)
        })
        .collect()
}

/// GEP-995: a DNS subdomain, once in a route. A rule with a bad name has none.
fn name<'r>(
    rule: &'r HttpRouteRules,
    names: &mut BTreeSet<&'r str>,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> String {
    let Some(name) = rule.name.as_deref().filter(|name| !name.is_empty()) else { return String::new() };
    let pointer = below(pointer, "name");
    if !dns::is_subdomain(name) {
        let help = format!("use {}", dns::SUBDOMAIN_RULE);
        invalid(findings, &pointer, format!("`{name}` is not the name of a rule"), help);
        return String::new();
    }
    if !names.insert(name) {
        let message = format!("the route has two rules named `{name}`");
        invalid(findings, &pointer, message, "give each rule its own name");
        return String::new();
    }
    name.to_owned()
}

fn convert_rule(
    rule: &HttpRouteRules,
    name: String,
    namespace: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Rule {
    let matches = matches::convert(rule.matches.as_deref().unwrap_or_default(), pointer, findings);
    let filters = filters::convert(rule, pointer, findings);
    let backends =
        backends::convert(rule.backend_refs.as_deref().unwrap_or_default(), namespace, pointer, findings);
    if rule.session_persistence.is_some() {
        let message = "session persistence is not supported; it has no effect";
        findings.warning(Code::Unsupported, &below(pointer, "sessionPersistence"), message, "remove it");
    }
    let timeouts = rule.timeouts.as_ref().and_then(|given| timeouts::convert(given, pointer, findings));
    let retry = rule.retry.as_ref().and_then(|given| timeouts::convert_retry(given, pointer, findings));
    let has_backends = rule.backend_refs.as_ref().is_some_and(|references| !references.is_empty());
    let action = match (filters.is_unusable, filters.redirect) {
        (true, _) => Action::Fail,
        (false, Some(redirect)) => {
            refuse_backends(has_backends, pointer, findings);
            Action::Redirect(redirect)
        }
        (false, None) => {
            warn_without_backends(has_backends, &backends, pointer, findings);
            Action::Forward { backends, rewrite: filters.rewrite }
        }
    };
    let (request_headers, response_headers) = (filters.request_headers, filters.response_headers);
    let matches = matches.unwrap_or_default();
    Rule { name, matches, request_headers, response_headers, action, timeouts, retry }
}

fn refuse_backends(has_backends: bool, pointer: &str, findings: &mut Findings<'_>) {
    if has_backends {
        let message = "a rule that redirects has no backends; it redirects";
        invalid(findings, &below(pointer, "backendRefs"), message, "remove `backendRefs`, or the redirect");
    }
}

fn warn_without_backends(
    has_backends: bool,
    backends: &[BackendRef],
    pointer: &str,
    findings: &mut Findings<'_>,
) {
    let (message, help) = match has_backends {
        false => ("the rule has no backends: what it matches is answered 500", "add `backendRefs`"),
        true if backends.iter().all(|backend| backend.weight == 0) => (
            "every backend has the weight 0: what the rule matches is answered 500",
            "give one of them a weight",
        ),
        true => return,
    };
    findings.warning(Code::InvalidValue, &below(pointer, "backendRefs"), message, help);
}
