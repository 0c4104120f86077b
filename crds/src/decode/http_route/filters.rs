//! `filters` of a rule: header modifiers, redirect and rewrite.

use std::collections::BTreeSet;

use gateway_api::apis::experimental::httproutes::{
    HttpRouteRules, HttpRouteRulesFilters, HttpRouteRulesFiltersType as FilterType,
    HttpRouteRulesMatchesPathType as PathType,
};
use skerry_core::bundle::v1::{HeaderModifier, Redirect, Rewrite};
use skerry_core::diagnostic::Code;

use crate::decode::invalid;
use crate::findings::{Findings, below};

use super::{headers, location};

/// What the filters of one rule come to.
#[derive(Debug, Default)]
pub(super) struct Filters {
    pub(super) request_headers: Option<HeaderModifier>,
    pub(super) response_headers: Option<HeaderModifier>,
    pub(super) redirect: Option<Redirect>,
    pub(super) rewrite: Option<Rewrite>,
    /// A filter is broken or not supported: it must not be skipped, so the rule cannot serve.
    pub(super) is_unusable: bool,
}

/// Converts the filters of the rule at `pointer`. An error in any of them makes the rule unusable.
pub(super) fn convert(rule: &HttpRouteRules, pointer: &str, findings: &mut Findings<'_>) -> Filters {
    let mut filters = Filters::default();
    let before = findings.errors();
    let mut types = BTreeSet::new();
    for (at, filter) in rule.filters.iter().flatten().enumerate() {
        let pointer = format!("{pointer}/filters/{at}");
        let (name, _) = describe(&filter.r#type);
        if !types.insert(name) {
            invalid(
                findings,
                &pointer,
                format!("the rule has two filters of type {name}"),
                "join them into one",
            );
        }
        check_union(filter, &pointer, findings);
        apply(filter, &pointer, &mut filters, findings);
    }
    if types.contains("RequestRedirect") && types.contains("URLRewrite") {
        let message = "RequestRedirect and URLRewrite exclude each other in a rule";
        invalid(findings, &below(pointer, "filters"), message, "put them into two rules");
    }
    location::check_prefix(&filters, has_only_prefixes(rule), pointer, findings);
    filters.is_unusable |= findings.errors() > before;
    filters
}

fn apply(filter: &HttpRouteRulesFilters, pointer: &str, filters: &mut Filters, findings: &mut Findings<'_>) {
    let (name, field) = describe(&filter.r#type);
    let field = below(pointer, field);
    match filter.r#type {
        FilterType::RequestHeaderModifier => {
            filters.request_headers = filter
                .request_header_modifier
                .as_ref()
                .map(|given| headers::convert(given, &field, findings));
        }
        FilterType::ResponseHeaderModifier => {
            filters.response_headers = filter
                .response_header_modifier
                .as_ref()
                .map(|given| headers::convert(given, &field, findings));
        }
        FilterType::RequestRedirect => {
            filters.redirect = filter
                .request_redirect
                .as_ref()
                .and_then(|given| location::redirect(given, &field, findings));
        }
        FilterType::UrlRewrite => {
            filters.rewrite =
                filter.url_rewrite.as_ref().and_then(|given| location::rewrite(given, &field, findings));
        }
        FilterType::RequestMirror
        | FilterType::ExtensionRef
        | FilterType::Cors
        | FilterType::ExternalAuth => {
            filters.is_unusable = true;
            let message = format!("a filter of type {name} is not supported; the rule answers 500");
            let help = "a filter must not be skipped (Gateway API): remove it";
            findings.error(Code::Unsupported, pointer, message, help);
        }
    }
}

/// The name of a type, and the field that holds its settings.
fn describe(filter: &FilterType) -> (&'static str, &'static str) {
    match filter {
        FilterType::RequestHeaderModifier => ("RequestHeaderModifier", "requestHeaderModifier"),
        FilterType::ResponseHeaderModifier => ("ResponseHeaderModifier", "responseHeaderModifier"),
        FilterType::RequestMirror => ("RequestMirror", "requestMirror"),
        FilterType::RequestRedirect => ("RequestRedirect", "requestRedirect"),
        FilterType::UrlRewrite => ("URLRewrite", "urlRewrite"),
        FilterType::ExtensionRef => ("ExtensionRef", "extensionRef"),
        FilterType::Cors => ("CORS", "cors"),
        FilterType::ExternalAuth => ("ExternalAuth", "externalAuth"),
    }
}

/// The field that the type names must be there, and no other (Gateway API: `HTTPRouteFilter`).
fn check_union(filter: &HttpRouteRulesFilters, pointer: &str, findings: &mut Findings<'_>) {
    let (name, own) = describe(&filter.r#type);
    let given = [
        ("requestHeaderModifier", filter.request_header_modifier.is_some()),
        ("responseHeaderModifier", filter.response_header_modifier.is_some()),
        ("requestMirror", filter.request_mirror.is_some()),
        ("requestRedirect", filter.request_redirect.is_some()),
        ("urlRewrite", filter.url_rewrite.is_some()),
        ("extensionRef", filter.extension_ref.is_some()),
        ("cors", filter.cors.is_some()),
        ("externalAuth", filter.external_auth.is_some()),
    ];
    for (field, is_there) in given {
        if is_there && field != own {
            let message = format!("a filter of type {name} has no `{field}`");
            invalid(findings, &below(pointer, field), message, format!("use `{own}`"));
        } else if !is_there && field == own {
            let message = format!("a filter of type {name} needs `{own}`");
            invalid(findings, &below(pointer, field), message, format!("add `{own}`"));
        }
    }
}

/// A prefix can be replaced only where every match names one; a match without a path names `/`.
fn has_only_prefixes(rule: &HttpRouteRules) -> bool {
    rule.matches.iter().flatten().all(|given| {
        let path = given.path.as_ref().and_then(|path| path.r#type.as_ref());
        matches!(path, None | Some(PathType::PathPrefix))
    })
}
