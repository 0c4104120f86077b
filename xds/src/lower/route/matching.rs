//! What a route matches: path, headers, query parameters, method.

use skerry_core::bundle::v1::path_match::Kind as Path;
use skerry_core::bundle::v1::value_match::Kind as Value;
use skerry_core::bundle::v1::{self, PathMatch, ValueMatch};

use super::header::is_header_name;
use crate::envoy::matcher::StringMatcher;
use crate::envoy::route::header_matcher::HeaderMatchSpecifier;
use crate::envoy::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use crate::envoy::route::route_match::PathSpecifier;
use crate::envoy::route::{HeaderMatcher, QueryParameterMatcher, RouteMatch};
use crate::envoy::{exactly, expression, matching};

/// Matches every request.
pub(super) fn everything() -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..Default::default() }
}

/// Lowers a match; an error says why no request can ever have it.
pub(super) fn to_match(wanted: &v1::RouteMatch) -> Result<RouteMatch, String> {
    let mut headers = wanted.headers.iter().map(to_header).collect::<Result<Vec<_>, _>>()?;
    if !wanted.method.is_empty() {
        headers.push(header(":method", exactly(&wanted.method)));
    }
    let query_parameters = wanted.query_params.iter().map(to_query).collect::<Result<Vec<_>, _>>()?;
    let path = wanted.path.as_ref().and_then(|path| path.kind.as_ref());
    let path_specifier = path.map_or(Ok(PathSpecifier::Prefix("/".to_owned())), to_path)?;
    Ok(RouteMatch { path_specifier: Some(path_specifier), headers, query_parameters, ..Default::default() })
}

/// Returns the prefix of a match without the slash at its end: empty when it matches every path.
pub(super) fn prefix(path: Option<&PathMatch>) -> Option<&str> {
    match path.and_then(|path| path.kind.as_ref()) {
        None => Some(""),
        Some(Path::Prefix(prefix)) => Some(prefix.trim_end_matches('/')),
        Some(Path::Exact(_) | Path::Regex(_)) => None,
    }
}

fn to_path(path: &Path) -> Result<PathSpecifier, String> {
    match path {
        Path::Exact(path) => Ok(PathSpecifier::Path(path.clone())),
        Path::Regex(regex) if regex.is_empty() => Err("a path is never empty".to_owned()),
        Path::Regex(regex) => Ok(PathSpecifier::SafeRegex(expression(regex))),
        Path::Prefix(prefix) => match prefix.trim_end_matches('/') {
            "" => Ok(PathSpecifier::Prefix("/".to_owned())),
            elements => to_elements(elements),
        },
    }
}

/// Envoy refuses prefixes that no path can have.
fn to_elements(prefix: &str) -> Result<PathSpecifier, String> {
    if !prefix.starts_with('/') || prefix.contains(['?', '#']) {
        return Err(format!("no path starts with `{prefix}`"));
    }
    Ok(PathSpecifier::PathSeparatedPrefix(prefix.to_owned()))
}

fn to_header(wanted: &ValueMatch) -> Result<HeaderMatcher, String> {
    if !is_header_name(&wanted.name) {
        return Err(format!("`{}` is not a header name", wanted.name));
    }
    Ok(header(&wanted.name.to_ascii_lowercase(), to_value(wanted)))
}

fn header(name: &str, value: StringMatcher) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(value)),
        ..Default::default()
    }
}

fn to_query(wanted: &ValueMatch) -> Result<QueryParameterMatcher, String> {
    if wanted.name.is_empty() || wanted.name.len() > 1024 {
        return Err("a query parameter's name has 1 to 1,024 characters".to_owned());
    }
    Ok(QueryParameterMatcher {
        name: wanted.name.clone(),
        query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(to_value(wanted))),
    })
}

/// Envoy refuses an empty expression; it means the same as an empty text.
fn to_value(wanted: &ValueMatch) -> StringMatcher {
    match &wanted.kind {
        Some(Value::Regex(regex)) if !regex.is_empty() => matching(regex),
        Some(Value::Exact(text)) => exactly(text),
        Some(Value::Regex(_)) | None => exactly(""),
    }
}
