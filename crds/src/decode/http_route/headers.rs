//! Changes to headers: what the four modifier types of the Gateway API have in common.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use gateway_api::apis::experimental::httproutes::{
    HttpRouteRulesBackendRefsFiltersRequestHeaderModifier as BackendRequestModifier,
    HttpRouteRulesBackendRefsFiltersResponseHeaderModifier as BackendResponseModifier,
    HttpRouteRulesFiltersRequestHeaderModifier as RequestModifier,
    HttpRouteRulesFiltersResponseHeaderModifier as ResponseModifier,
};
use skerry_core::bundle::v1::{Header, HeaderModifier};
use skerry_core::diagnostic::Code;

use crate::decode::invalid;
use crate::findings::{Findings, below};

/// What helps when a name is not one.
pub(super) const NAME_HELP: &str = "use letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 §5.1)";

/// The lists of a modifier, whichever of the four types it is.
pub(super) trait Lists {
    /// Names and values that replace what is there.
    fn set(&self) -> Vec<(&str, &str)>;
    /// Names and values that are appended.
    fn add(&self) -> Vec<(&str, &str)>;
    /// Names that are removed.
    fn remove(&self) -> &[String];
}

macro_rules! impl_lists {
    ($($modifier:ty),+) => {$(
        impl Lists for $modifier {
            fn set(&self) -> Vec<(&str, &str)> {
                self.set.iter().flatten().map(|header| (header.name.as_str(), header.value.as_str())).collect()
            }

            fn add(&self) -> Vec<(&str, &str)> {
                self.add.iter().flatten().map(|header| (header.name.as_str(), header.value.as_str())).collect()
            }

            fn remove(&self) -> &[String] {
                self.remove.as_deref().unwrap_or_default()
            }
        }
    )+};
}

impl_lists!(RequestModifier, ResponseModifier, BackendRequestModifier, BackendResponseModifier);

/// Converts a modifier; names become lower case, lists are sorted by name. Errors are in the findings.
pub(super) fn convert(modifier: &impl Lists, pointer: &str, findings: &mut Findings<'_>) -> HeaderModifier {
    let set = headers(&modifier.set(), &below(pointer, "set"), findings);
    let add = headers(&modifier.add(), &below(pointer, "add"), findings);
    let mut remove = Vec::new();
    for (at, name) in modifier.remove().iter().enumerate() {
        check_name(name, &format!("{pointer}/remove/{at}"), findings);
        remove.push(name.to_ascii_lowercase());
    }
    remove.sort_unstable();
    remove.dedup();
    HeaderModifier { set, add, remove }
}

/// Of entries with one name only the first counts (Gateway API: `HTTPHeader.name`).
fn headers(given: &[(&str, &str)], pointer: &str, findings: &mut Findings<'_>) -> Vec<Header> {
    let mut by_name: BTreeMap<String, String> = BTreeMap::new();
    for (at, (name, value)) in given.iter().enumerate() {
        let pointer = format!("{pointer}/{at}");
        check_name(name, &below(&pointer, "name"), findings);
        check_value(value, &below(&pointer, "value"), findings);
        match by_name.entry(name.to_ascii_lowercase()) {
            Entry::Vacant(entry) => {
                entry.insert((*value).to_owned());
            }
            Entry::Occupied(entry) => {
                let message = format!("`{}` is there twice; only the first counts", entry.key());
                findings.warning(Code::InvalidValue, &below(&pointer, "name"), message, "remove one");
            }
        }
    }
    by_name.into_iter().map(|(name, value)| Header { name, value }).collect()
}

/// Says whether a text is a token (RFC 9110 §5.6.2), as names of headers are.
pub(super) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn check_name(name: &str, pointer: &str, findings: &mut Findings<'_>) {
    if name.starts_with(':') {
        let message = format!("`{name}` is a pseudo-header of HTTP/2, not a header");
        invalid(findings, pointer, message, "use a filter of type URLRewrite for host and path");
    } else if !is_token(name) {
        invalid(findings, pointer, format!("`{name}` is not the name of a header"), NAME_HELP);
    } else if name.eq_ignore_ascii_case("host") {
        let help = "use a filter of type URLRewrite with `hostname`";
        invalid(findings, pointer, "the Host header cannot be changed by a header modifier", help);
    }
}

fn check_value(value: &str, pointer: &str, findings: &mut Findings<'_>) {
    if value.chars().any(|character| character.is_control() && character != '\t') {
        let message = "the value of the header holds a line break or another control character";
        invalid(findings, pointer, message, "write it on one line (RFC 9110 §5.5)");
    }
}
