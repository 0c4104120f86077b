//! Which paths can be matched, by the validation rules of the Gateway API (`HTTPPathMatch`).
//!
//! Must not know what a match is for.

use crate::findings::Findings;

use super::invalid;

/// The longest path (Gateway API: `maxLength: 1024`).
pub(super) const MAX_PATH: usize = 1_024;

/// What a path must not hold, since proxies and servers read it in different ways.
const FORBIDDEN: [&str; 6] = ["//", "/./", "/../", "%2f", "%2F", "#"];

/// `/a/` and `/a` are the same prefix (Gateway API: a trailing slash is ignored).
pub(super) fn without_slash(prefix: &str) -> String {
    match prefix.strip_suffix('/') {
        Some("") | None => prefix.to_owned(),
        Some(rest) => rest.to_owned(),
    }
}

/// Notes a path that proxies and servers would read in different ways; `None`: the findings say why.
pub(super) fn checked<'p>(path: &'p str, pointer: &str, findings: &mut Findings<'_>) -> Option<&'p str> {
    let problem = problem(path);
    if let Some(problem) = &problem {
        let help = "write an absolute path such as /api/v1, without `//`, `.` and `..` parts, `#` and encoded slashes";
        invalid(findings, pointer, problem.clone(), help);
    }
    problem.is_none().then_some(path)
}

/// Says of a path that ends with a wildcard of other systems what it means here: paths of these matches have none.
pub(super) fn star(path: &str) -> Option<(String, String)> {
    let rest = path.strip_suffix('*')?;
    let message = format!("the `*` in `{path}` stands for itself: only paths with that character match");
    let help = match rest.strip_suffix('/') {
        Some("") => "leave the path out to mean every path".to_owned(),
        Some(folder) => format!("for all below `{folder}` write the prefix `{folder}`"),
        None => format!("a prefix is one of whole elements: `{rest}` is one of `{rest}/x`, not of `{rest}x`"),
    };
    Some((message, help))
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
