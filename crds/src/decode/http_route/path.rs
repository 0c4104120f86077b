//! Path matches, by the validation rules of the Gateway API (`HTTPPathMatch`).

use gateway_api::apis::experimental::httproutes::{
    HttpRouteRulesMatchesPath, HttpRouteRulesMatchesPathType as PathType,
};
use skerry_core::bundle::v1::PathMatch;
use skerry_core::bundle::v1::path_match::Kind;

use crate::decode::invalid;
use crate::findings::{Findings, below};

use super::matches;

/// The longest path (Gateway API: `maxLength: 1024`).
const MAX_PATH: usize = 1_024;

/// What a path must not hold, since proxies and servers read it in different ways.
const FORBIDDEN: [&str; 6] = ["//", "/./", "/../", "%2f", "%2F", "#"];

/// The match for every path: what a match without a path means (Gateway API: prefix `/`).
pub(super) fn everything() -> PathMatch {
    PathMatch { kind: Some(Kind::Prefix("/".to_owned())) }
}

/// Converts the path of a match; left out, it is prefix `/`. `None`: the findings say why.
pub(super) fn convert(
    path: Option<&HttpRouteRulesMatchesPath>,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<PathMatch> {
    let Some(path) = path else { return Some(everything()) };
    let value = path.value.as_deref().unwrap_or("/");
    let pointer = below(pointer, "value");
    let kind = match path.r#type.as_ref().unwrap_or(&PathType::PathPrefix) {
        PathType::Exact => Kind::Exact(checked(value, &pointer, findings)?.to_owned()),
        PathType::PathPrefix => Kind::Prefix(without_slash(checked(value, &pointer, findings)?)),
        PathType::RegularExpression => {
            matches::check_regex(value, MAX_PATH, &pointer, findings);
            Kind::Regex(value.to_owned())
        }
    };
    Some(PathMatch { kind: Some(kind) })
}

/// `/a/` and `/a` are the same prefix (Gateway API: a trailing slash is ignored).
fn without_slash(prefix: &str) -> String {
    match prefix.strip_suffix('/') {
        Some("") | None => prefix.to_owned(),
        Some(rest) => rest.to_owned(),
    }
}

fn checked<'p>(path: &'p str, pointer: &str, findings: &mut Findings<'_>) -> Option<&'p str> {
    let problem = problem(path);
    if let Some(problem) = &problem {
        let help = "write an absolute path such as /api/v1, without `//`, `.` and `..` parts, `#` and encoded slashes";
        invalid(findings, pointer, problem.clone(), help);
    }
    problem.is_none().then_some(path)
}

fn problem(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("`{path}` does not start with `/`"));
    }
    if path.len() > MAX_PATH {
        return Some(format!("the path is longer than {MAX_PATH} bytes"));
    }
    if let Some(part) = FORBIDDEN.into_iter().find(|part| path.contains(part)) {
        return Some(format!("`{path}` holds `{part}`"));
    }
    if let Some(end) = ["/..", "/."].into_iter().find(|end| path.ends_with(end)) {
        return Some(format!("`{path}` ends with `{end}`"));
    }
    first_bad_character(path).map(|bad| format!("`{path}` holds `{bad}`, which is not part of a path"))
}

/// Finds the first character that a path cannot hold (RFC 3986 §3.3, `pchar`), or a `%` without two hex digits.
fn first_bad_character(path: &str) -> Option<char> {
    path.char_indices().find_map(|(at, character)| {
        let is_good = match character {
            '%' => {
                let digits = path.as_bytes().get(at + 1..at + 3).unwrap_or_default();
                digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
            }
            _ => character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(character),
        };
        (!is_good).then_some(character)
    })
}
