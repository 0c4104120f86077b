//! SPIFFE IDs as they can be matched (SPIFFE-ID specification, sections 2.1 to 2.3).

use super::dns;

/// What an ID is, for help lines.
pub(super) const ID_RULE: &str = "spiffe://, a trust domain in lower case, and a path such as /ns/shop/sa/cart, without query and `/` at its end";

/// Says whether a text is the ID of a workload: a trust domain and a path.
pub(super) fn is_id(text: &str) -> bool {
    text.strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(domain, path)| is_trust_domain(domain) && path.split('/').all(is_segment))
}

/// Says whether a text is an ID without some or all elements of its path.
pub(super) fn is_prefix(text: &str) -> bool {
    is_id(text) || text.strip_prefix("spiffe://").is_some_and(is_trust_domain)
}

/// A trust domain is a name as DNS has them, with `_` (section 2.1): those of a mesh have none.
fn is_trust_domain(text: &str) -> bool {
    dns::is_subdomain(&text.replace('_', "-"))
}

/// Section 2.2: letters, digits, `.`, `-` and `_`; not `.` and `..`.
fn is_segment(text: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !text.is_empty() && !matches!(text, "." | "..") && text.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::{is_id, is_prefix};

    #[test]
    fn ids_are_those_of_the_specification() {
        let good = ["spiffe://a/b", "spiffe://oslo.mesh.local/ns/shop/sa/cart", "spiffe://a_b.c/X.y-z_1/2"];
        let prefixes = ["spiffe://a", "spiffe://oslo.mesh.local"];
        let bad = [
            "",
            "a",
            "http://a/b",
            "spiffe://",
            "spiffe:///b",
            "spiffe://A/b",
            "spiffe://a/",
            "spiffe://a//b",
            "spiffe://a/./b",
            "spiffe://a/../b",
            "spiffe://a/b?c",
            "spiffe://a/b#c",
            "spiffe://a:1/b",
            "spiffe://u@a/b",
            "spiffe://a/%62",
            "spiffe://a/*",
            "SPIFFE://a/b",
            "spiffe://a/b/",
        ];
        for text in good {
            assert!(is_id(text) && is_prefix(text), "{text}");
        }
        for text in prefixes {
            assert!(!is_id(text) && is_prefix(text), "{text}");
        }
        for text in bad {
            assert!(!is_id(text) && !is_prefix(text), "{text}");
        }
    }
}
