//! Names by the rules of DNS, as Kubernetes applies them.

pub(crate) use skerry_core::id::{DNS_LABEL_RULE as LABEL_RULE, is_dns_label as is_label};

/// What a DNS subdomain is, for help lines.
pub(crate) const SUBDOMAIN_RULE: &str = "lower-case letters, digits, `-` and `.`, at most 253, each part starting and ending with a letter or digit (RFC 1123)";

/// Says whether a text is a subdomain (RFC 1123): labels joined by dots, at most 253 bytes. Labels may be
/// longer than 63, as the Kubernetes API allows.
pub(crate) fn is_subdomain(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(edge)
            && bytes.last().copied().is_some_and(edge)
            && bytes.iter().all(|byte| edge(*byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_part)
}

/// Says whether a text is a host name without a wildcard (`PreciseHostname` of the Gateway API): no address.
pub(crate) fn is_precise_hostname(text: &str) -> bool {
    is_subdomain(text) && text.parse::<std::net::IpAddr>().is_err()
}

/// Says whether a text can name a port (`IANA_SVC_NAME`, RFC 6335 §5.1): at most 15 bytes, one letter at least.
pub(crate) fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && is_label(text)
        && !text.contains("--")
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}
