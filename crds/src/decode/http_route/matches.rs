//! `matches`: path, headers, query parameters and method.

use std::collections::BTreeMap;

use gateway_api::apis::experimental::httproutes::{
    HttpRouteRulesMatches, HttpRouteRulesMatchesHeaders, HttpRouteRulesMatchesHeadersType as HeaderType,
    HttpRouteRulesMatchesMethod as Method, HttpRouteRulesMatchesQueryParams,
    HttpRouteRulesMatchesQueryParamsType as QueryType,
};
use skerry_core::bundle::v1::value_match::Kind;
use skerry_core::bundle::v1::{RouteMatch, ValueMatch};
use skerry_core::diagnostic::Code;
use skerry_core::policy::http_route::Match;

use crate::decode::{invalid, regex};
use crate::findings::{Findings, below};

use super::{headers, path};

/// The longest regular expression of a header or query parameter (Gateway API: `maxLength: 4096`).
const MAX_VALUE_REGEX: usize = 4_096;

/// Converts the matches of the rule at `pointer`. Without any, a rule matches every path.
///
/// A match with an error is left out. `None`: all of them were, so the rule must be too.
pub(super) fn convert(
    matches: &[HttpRouteRulesMatches],
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<Vec<Match>> {
    if matches.is_empty() {
        let route_match = RouteMatch { path: Some(path::everything()), ..RouteMatch::default() };
        return Some(vec![Match { at: None, route_match }]);
    }
    let mut sound = Vec::new();
    for (at, given) in matches.iter().enumerate() {
        let before = findings.errors();
        let route_match = convert_match(given, &format!("{pointer}/matches/{at}"), findings);
        if findings.errors() == before {
            sound.push(Match { at: Some(at), route_match });
        }
    }
    (!sound.is_empty()).then_some(sound)
}

fn convert_match(given: &HttpRouteRulesMatches, pointer: &str, findings: &mut Findings<'_>) -> RouteMatch {
    let header_pointer = below(pointer, "headers");
    let headers = given.headers.as_deref().unwrap_or_default();
    let headers = headers.iter().map(|header| {
        let is_regex = header.r#type == Some(HeaderType::RegularExpression);
        Given { name: header.name.to_ascii_lowercase(), value: header.value(), is_regex, is_header: true }
    });
    let params = given.query_params.as_deref().unwrap_or_default();
    let params = params.iter().map(|param| {
        let is_regex = param.r#type == Some(QueryType::RegularExpression);
        Given { name: param.name.clone(), value: param.value(), is_regex, is_header: false }
    });
    RouteMatch {
        path: path::convert(given.path.as_ref(), &below(pointer, "path"), findings),
        headers: values(headers, &header_pointer, findings),
        query_params: values(params, &below(pointer, "queryParams"), findings),
        method: given.method.as_ref().map(method).unwrap_or_default().to_owned(),
    }
}

/// A header or query parameter as given.
struct Given<'g> {
    name: String,
    value: &'g str,
    is_regex: bool,
    is_header: bool,
}

trait HasValue {
    fn value(&self) -> &str;
}

impl HasValue for HttpRouteRulesMatchesHeaders {
    fn value(&self) -> &str {
        &self.value
    }
}

impl HasValue for HttpRouteRulesMatchesQueryParams {
    fn value(&self) -> &str {
        &self.value
    }
}

/// Sorts by name. Of entries with one name only the first counts (Gateway API: `HTTPHeaderMatch.name`).
fn values<'g>(
    given: impl Iterator<Item = Given<'g>>,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Vec<ValueMatch> {
    let mut by_name: BTreeMap<String, Kind> = BTreeMap::new();
    for (at, given) in given.enumerate() {
        let pointer = format!("{pointer}/{at}");
        if by_name.contains_key(&given.name) {
            let message = format!("`{}` is there twice; only the first counts", given.name);
            findings.warning(Code::InvalidValue, &below(&pointer, "name"), message, "remove one");
            continue;
        }
        check_name(&given, &below(&pointer, "name"), findings);
        let kind = if given.is_regex {
            check_regex(given.value, MAX_VALUE_REGEX, &below(&pointer, "value"), findings);
            Kind::Regex(given.value.to_owned())
        } else {
            Kind::Exact(given.value.to_owned())
        };
        by_name.insert(given.name, kind);
    }
    by_name.into_iter().map(|(name, kind)| ValueMatch { name, kind: Some(kind) }).collect()
}

fn check_name(given: &Given<'_>, pointer: &str, findings: &mut Findings<'_>) {
    if given.is_header && !headers::is_token(&given.name) {
        invalid(
            findings,
            pointer,
            format!("`{}` is not the name of a header", given.name),
            headers::NAME_HELP,
        );
    }
    if given.name.is_empty() && !given.is_header {
        invalid(findings, pointer, "the query parameter has no name", "give its name");
    }
}

/// Notes a regular expression that an Envoy would refuse, or read otherwise.
pub(super) fn check_regex(pattern: &str, longest: usize, pointer: &str, findings: &mut Findings<'_>) {
    let flaw = if pattern.len() > longest {
        let reason = format!("it has {} bytes, and at most {longest} are taken (Gateway API)", pattern.len());
        Some((reason, format!("shorten it to {longest} bytes, or split it into several matches")))
    } else {
        regex::check(pattern).err().map(|flaw| (flaw.to_string(), flaw.help()))
    };
    if let Some((reason, help)) = flaw {
        invalid(findings, pointer, format!("the regular expression cannot be used: {reason}"), help);
    }
}

fn method(method: &Method) -> &'static str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
    }
}
