//! SPIFFE IDs and trust domains, and how Skerry names its own: `spiffe://<site>.<mesh>/ns/<namespace>/sa/<account>`.
//!
//! The rules are those of the SPIFFE-ID specification (§2), read strictly: lower case only, nothing is normalized, so
//! that equal identities are equal text. Must not decide whom to trust.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skerry_core::id::InvalidId;

pub use mesh::{MAX_MESH_DOMAIN_BYTES, MeshDomain, Workload};

pub(crate) use mesh::is_dns_subdomain;

mod mesh;

/// The longest SPIFFE ID: bytes (SPIFFE-ID §2.3).
pub const MAX_SPIFFE_ID_BYTES: usize = 2048;

/// The longest trust domain: bytes (SPIFFE-ID §2.3, after the host of RFC 3986).
pub const MAX_TRUST_DOMAIN_BYTES: usize = 255;

const SCHEME: &str = "spiffe://";

/// The name of a trust domain: `[a-z0-9._-]`, 1 to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(Arc<str>);

const DOMAIN_RULE: &str = "lower-case letters, digits, `.`, `-` and `_`, 1 to 255 (SPIFFE-ID §2.1)";

impl TrustDomain {
    /// Parses a name, without `spiffe://`.
    pub fn new(name: &str) -> Result<Self, InvalidId> {
        if is_trust_domain(name) {
            return Ok(Self(name.into()));
        }
        Err(InvalidId { what: "trust domain", value: name.to_owned(), rule: DOMAIN_RULE })
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the SPIFFE ID of the domain itself, which a signing certificate carries (X509-SVID §3.2).
    pub fn id(&self) -> SpiffeId {
        SpiffeId { text: format!("{SCHEME}{}", self.0).into(), domain: self.0.len() }
    }
}

fn is_trust_domain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    (1..=MAX_TRUST_DOMAIN_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

/// A SPIFFE ID: `spiffe://<trust domain>` and a path, or none. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpiffeId {
    text: Arc<str>,
    /// The length of the trust domain.
    domain: usize,
}

impl SpiffeId {
    /// Parses a SPIFFE ID. What the specification lets a reader forgive (case, escapes, a slash at the end) is
    /// refused: two spellings of one identity are a way around a rule.
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        let fail = |rule| InvalidId { what: "SPIFFE ID", value: text.chars().take(100).collect(), rule };
        if text.len() > MAX_SPIFFE_ID_BYTES {
            return Err(fail("at most 2048 bytes (SPIFFE-ID §2.3)"));
        }
        let rest =
            text.strip_prefix(SCHEME).ok_or_else(|| fail("it begins with `spiffe://` (SPIFFE-ID §2)"))?;
        let domain = rest.find('/').unwrap_or(rest.len());
        if !is_trust_domain(&rest[..domain]) {
            return Err(fail(DOMAIN_RULE));
        }
        let path = &rest[domain..];
        if path.is_empty() || path[1..].split('/').all(is_segment) {
            return Ok(Self { text: text.into(), domain });
        }
        Err(fail("segments of letters, digits, `.`, `-` and `_`, none empty, `.` or `..` (SPIFFE-ID §2.2)"))
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the trust domain's name.
    pub fn domain(&self) -> &str {
        &self.text[SCHEME.len()..SCHEME.len() + self.domain]
    }

    /// Returns the trust domain.
    pub fn trust_domain(&self) -> TrustDomain {
        TrustDomain(self.domain().into())
    }

    /// Returns the path with its leading slash; empty if there is none.
    pub fn path(&self) -> &str {
        &self.text[SCHEME.len() + self.domain..]
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed)
}

macro_rules! text_form {
    ($type:ident) => {
        impl FromStr for $type {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::new(&text)
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.as_str().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_form!(TrustDomain);
text_form!(SpiffeId);
text_form!(MeshDomain);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_specification_allows_is_taken_apart() {
        let long_domain = "d".repeat(255);
        let cases = [
            ("spiffe://example.org", "example.org", ""),
            ("spiffe://example.org/a", "example.org", "/a"),
            ("spiffe://example.org/ns/shop/sa/checkout", "example.org", "/ns/shop/sa/checkout"),
            ("spiffe://1.2.3.4/service", "1.2.3.4", "/service"),
            ("spiffe://a_b-c.d/Z.9_-/...", "a_b-c.d", "/Z.9_-/..."),
            (&format!("spiffe://{long_domain}/x"), &long_domain, "/x"),
        ];
        for (text, domain, path) in cases {
            let id = SpiffeId::new(text).unwrap();
            assert_eq!((id.as_str(), id.domain(), id.path()), (text, domain, path));
            assert_eq!(id.trust_domain().as_str(), domain);
        }
        let longest = format!("spiffe://x/{}", "p".repeat(2048 - 11));
        assert!(SpiffeId::new(&longest).is_ok());
    }

    #[test]
    fn what_it_forbids_is_refused_with_the_rule() {
        let too_long = format!("spiffe://x/{}", "p".repeat(2048 - 10));
        let domain_too_long = format!("spiffe://{}/x", "d".repeat(256));
        let cases = [
            ("", "begins with"),
            ("example.org/a", "begins with"),
            ("https://example.org/a", "begins with"),
            ("SPIFFE://example.org/a", "begins with"),
            ("spiffe:/example.org/a", "begins with"),
            (" spiffe://example.org/a", "begins with"),
            ("spiffe://", "§2.1"),
            ("spiffe:///a", "§2.1"),
            ("spiffe://Example.org/a", "§2.1"),
            ("spiffe://example.org:8080/a", "§2.1"),
            ("spiffe://user@example.org/a", "§2.1"),
            ("spiffe://exa%6dple.org/a", "§2.1"),
            ("spiffe://[::1]/a", "§2.1"),
            ("spiffe://exämple.org/a", "§2.1"),
            ("spiffe://example.org?x", "§2.1"),
            ("spiffe://example.org#x", "§2.1"),
            ("spiffe://example.org\0/a", "§2.1"),
            (&domain_too_long, "§2.1"),
            ("spiffe://example.org/", "§2.2"),
            ("spiffe://example.org/a/", "§2.2"),
            ("spiffe://example.org//a", "§2.2"),
            ("spiffe://example.org/./a", "§2.2"),
            ("spiffe://example.org/a/..", "§2.2"),
            ("spiffe://example.org/a%2fb", "§2.2"),
            ("spiffe://example.org/a b", "§2.2"),
            ("spiffe://example.org/a?x=1", "§2.2"),
            ("spiffe://example.org/a#x", "§2.2"),
            ("spiffe://example.org/ä", "§2.2"),
            ("spiffe://example.org/a\0", "§2.2"),
            (&too_long, "2048"),
        ];
        for (text, rule) in cases {
            let error = SpiffeId::new(text).expect_err(text).to_string();
            assert!(error.contains(rule), "{text}: {error}");
        }
    }

    #[test]
    fn the_domain_has_an_id_of_its_own() {
        let domain = TrustDomain::new("oslo.mesh.local").unwrap();
        assert_eq!(domain.id().to_string(), "spiffe://oslo.mesh.local");
        assert_eq!(domain.id().trust_domain(), domain);
        assert_eq!(domain.id(), SpiffeId::new("spiffe://oslo.mesh.local").unwrap());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(spiffe://)?[ -~\\PC/.]{0,40}") {
            if let Ok(id) = SpiffeId::new(&text) {
                prop_assert_eq!(format!("spiffe://{}{}", id.domain(), id.path()), text);
            }
        }
    }
}
