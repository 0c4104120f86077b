//! What a rule is about → Envoy's permissions: methods and paths. Ports are decided here, since each listener is of one.

use skerry_core::bundle::v1;
use skerry_core::bundle::v1::path_match::Kind as Path;

use super::{Carries, Effect, Here};
use crate::envoy::matcher::{PathMatcher, StringMatcher, path_matcher};
use crate::envoy::rbac::Permission;
use crate::envoy::rbac::permission::{Rule, Set};
use crate::envoy::route::HeaderMatcher;
use crate::envoy::route::header_matcher::HeaderMatchSpecifier;
use crate::envoy::{beginning, exactly, matching, quote};

/// Lowers the operations of a rule; none: it is about nothing here.
pub(super) fn of_rule(rule: &v1::AuthorizationRule, here: &Here<'_>, effect: Effect) -> Vec<Permission> {
    if rule.any_operation {
        return vec![any()];
    }
    let meant = rule.operations.iter().filter(|operation| here.is_meant(operation));
    meant.filter_map(|operation| of_operation(operation, here.carries, effect)).collect()
}

fn of_operation(operation: &v1::Operation, carries: Carries, effect: Effect) -> Option<Permission> {
    let is_of_requests = !operation.methods.is_empty() || !operation.paths.is_empty();
    match (carries, effect) {
        (Carries::Bytes, Effect::Permits) if is_of_requests => None,
        (Carries::Bytes, _) => Some(any()),
        (Carries::Requests, _) => Some(of_request(operation, effect)),
    }
}

fn of_request(operation: &v1::Operation, effect: Effect) -> Permission {
    let methods: Vec<Permission> = operation.methods.iter().map(|method| of_method(method)).collect();
    let paths: Vec<Permission> = operation.paths.iter().flat_map(|path| of_path(path, effect)).collect();
    let mut parts: Vec<Permission> =
        [methods, paths].into_iter().filter(|alternatives| !alternatives.is_empty()).map(one_of).collect();
    match parts.len() {
        0 => any(),
        1 => parts.remove(0),
        _ => permission(Rule::AndRules(Set { rules: parts })),
    }
}

fn one_of(mut alternatives: Vec<Permission>) -> Permission {
    match alternatives.len() {
        1 => alternatives.remove(0),
        _ => permission(Rule::OrRules(Set { rules: alternatives })),
    }
}

fn of_method(method: &str) -> Permission {
    permission(Rule::Header(HeaderMatcher {
        name: ":method".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(exactly(method))),
        ..Default::default()
    }))
}

/// Many servers take several slashes for one. A rule that refuses does so too; one that permits takes them as they are.
fn of_path(path: &v1::PathMatch, effect: Effect) -> Vec<Permission> {
    let matchers = match (&path.kind, effect) {
        (Some(Path::Prefix(prefix)), _) if prefix == "/" => return vec![any()],
        (Some(Path::Exact(path)), Effect::Permits) => vec![exactly(path)],
        (Some(Path::Prefix(prefix)), Effect::Permits) => {
            vec![exactly(prefix), beginning(&format!("{prefix}/"))]
        }
        (Some(Path::Exact(path)), Effect::Refuses) => vec![matching(&with_any_slashes(path))],
        (Some(Path::Prefix(prefix)), Effect::Refuses) => {
            vec![matching(&format!("{}(/.*)?", with_any_slashes(prefix)))]
        }
        // `verify` lets none through.
        (Some(Path::Regex(_)) | None, _) => Vec::new(),
    };
    matchers.into_iter().map(of_url).collect()
}

fn with_any_slashes(path: &str) -> String {
    path.split('/').map(quote).collect::<Vec<_>>().join("/+")
}

fn of_url(matcher: StringMatcher) -> Permission {
    permission(Rule::UrlPath(PathMatcher { rule: Some(path_matcher::Rule::Path(matcher)) }))
}

fn any() -> Permission {
    permission(Rule::Any(true))
}

fn permission(rule: Rule) -> Permission {
    Permission { rule: Some(rule) }
}
