//! Path matches, by the validation rules of the Gateway API (`HTTPPathMatch`).

use gateway_api::apis::experimental::httproutes::{
    HttpRouteRulesMatchesPath, HttpRouteRulesMatchesPathType as PathType,
};
use skerry_core::bundle::v1::PathMatch;
use skerry_core::bundle::v1::path_match::Kind;
use skerry_core::diagnostic::Code;

use crate::decode::path::{MAX_PATH, checked, star, without_slash};
use crate::findings::{Findings, below};

use super::matches;

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
    let is_regex = matches!(path.r#type, Some(PathType::RegularExpression));
    if let Some((message, help)) = star(value).filter(|_| !is_regex) {
        findings.warning(Code::InvalidValue, &pointer, message, help);
    }
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
