//! SPIFFE trust bundles: the roots of a mesh as a JWK set, for other SPIFFE implementations.
//!
//! Rules: "SPIFFE Trust Domain and Bundle" §4 and X509-SVID §6. The trust domain is not in the document: who passes it on
//! says whose it is. The bundle of each site's trust domain is that of the mesh. Must not decide whom to trust.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384};
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::certificate::{Certificate, parse};
use crate::malformed::Malformed;

/// The longest bundle that is read: a hundred roots of 2 KiB.
pub const MAX_BUNDLE_BYTES: usize = 256 << 10;

/// How often consumers shall look again: five minutes, as SPIRE says.
pub const REFRESH_HINT: Duration = Duration::from_secs(300);

const WHAT: &str = "SPIFFE trust bundle";
const X509_SVID: &str = "x509-svid";

/// The roots of a trust domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    /// Grows whenever the roots change; other documents may have none.
    pub sequence: Option<u64>,
    /// How often to look again; other documents may have none.
    pub refresh_hint: Option<Duration>,
    /// The roots; none if the domain has no X509-SVIDs.
    pub roots: Vec<Certificate>,
}

#[derive(Serialize, Deserialize)]
struct Document {
    keys: Vec<Jwk>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spiffe_sequence: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spiffe_refresh_hint: Option<u64>,
}

/// One key (RFC 7517; `crv`, `x`, `y`: RFC 7518 §6.2.1). There is no `kid` (X509-SVID §6.1).
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Jwk {
    kty: String,
    #[serde(rename = "use", skip_serializing_if = "String::is_empty")]
    usage: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    crv: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    x: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    y: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x5c: Vec<String>,
}

impl TrustBundle {
    /// Writes the document. Roots with keys other than ECDSA on P-256 and P-384 are none of a mesh, and an error.
    pub fn to_jwks(&self) -> Result<String, Malformed> {
        let keys = self.roots.iter().map(jwk).collect::<Result<_, _>>()?;
        let spiffe_refresh_hint = self.refresh_hint.map(|hint| hint.as_secs());
        let document = Document { keys, spiffe_sequence: self.sequence, spiffe_refresh_hint };
        serde_json::to_string_pretty(&document).map_err(|error| Malformed::new(WHAT, &error))
    }

    /// Reads a document. Keys of other kinds and for other uses are passed over, as the specification has it.
    pub fn from_jwks(text: &str) -> Result<Self, Malformed> {
        if text.len() > MAX_BUNDLE_BYTES {
            return Err(Malformed::new(WHAT, &format_args!("{} bytes are over the limit", text.len())));
        }
        let document: Document = serde_json::from_str(text).map_err(|error| Malformed::new(WHAT, &error))?;
        let known =
            document.keys.iter().filter(|key| key.usage == X509_SVID && ["EC", "RSA"].contains(&&*key.kty));
        // Of several certificates all but the first are ignored (X509-SVID §6.2).
        let certificates = known.filter_map(|key| key.x5c.first());
        let roots = certificates.map(|root| {
            let der = STANDARD.decode(root).map_err(|_| Malformed::new(WHAT, &"an `x5c` is not base64"))?;
            Certificate::from_der(&der)
        });
        Ok(Self {
            sequence: document.spiffe_sequence,
            refresh_hint: document.spiffe_refresh_hint.map(Duration::from_secs),
            roots: roots.collect::<Result<_, _>>()?,
        })
    }
}

fn jwk(root: &Certificate) -> Result<Jwk, Malformed> {
    let parsed = parse(root.der())?;
    let (crv, x, y) =
        point(parsed.public_key()).ok_or_else(|| Malformed::new(WHAT, &"a root with another kind of key"))?;
    Ok(Jwk {
        kty: "EC".to_owned(),
        usage: X509_SVID.to_owned(),
        crv: crv.to_owned(),
        x: URL_SAFE_NO_PAD.encode(x),
        y: URL_SAFE_NO_PAD.encode(y),
        x5c: vec![STANDARD.encode(root.der())],
    })
}

/// Curve and coordinates of a key.
fn point<'a>(key: &'a SubjectPublicKeyInfo<'_>) -> Option<(&'static str, &'a [u8], &'a [u8])> {
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return None;
    }
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    let (crv, length) = match () {
        () if curve == OID_EC_P256 => ("P-256", 32),
        () if curve == OID_NIST_EC_P384 => ("P-384", 48),
        () => return None,
    };
    // SEC 1 §2.3.3: 4, x, y.
    let (x, y) = key.subject_public_key.data.strip_prefix(&[4])?.split_at_checked(length)?;
    (y.len() == length).then_some((crv, x, y))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::ca::Authority as _;
    use crate::fixture::root;

    fn bundle() -> TrustBundle {
        let roots = vec![root().certificate().clone(), root().certificate().clone()];
        TrustBundle { sequence: Some(u64::MAX), refresh_hint: Some(REFRESH_HINT), roots }
    }

    #[test]
    fn a_bundle_is_written_and_read_back() {
        let bundle = bundle();
        assert_eq!(TrustBundle::from_jwks(&bundle.to_jwks().unwrap()).unwrap(), bundle);
    }

    #[test]
    fn the_document_has_what_the_specification_asks_for() {
        let bundle = bundle();
        let document: Value = serde_json::from_str(&bundle.to_jwks().unwrap()).unwrap();
        assert_eq!(document["spiffe_sequence"], json!(u64::MAX));
        assert_eq!(document["spiffe_refresh_hint"], json!(300));
        let key = document["keys"][0].as_object().unwrap();
        let fields: Vec<&str> = key.keys().map(String::as_str).collect();
        assert_eq!(fields, ["kty", "use", "crv", "x", "y", "x5c"], "no `kid`");
        assert_eq!(
            (&key["kty"], &key["use"], &key["crv"]),
            (&json!("EC"), &json!("x509-svid"), &json!("P-256"))
        );
        assert_eq!(
            key["x5c"],
            json!([STANDARD.encode(bundle.roots[0].der())]),
            "one certificate, not URL-safe"
        );
        let spki = bundle.roots[0].der().windows(65).find(|window| {
            let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
            **window == [&[4][..], &coordinate("x"), &coordinate("y")].concat()
        });
        assert!(spki.is_some(), "x and y are those of the certificate");
    }

    #[test]
    fn roots_on_p_384_are_written_and_those_of_other_kinds_are_not() {
        let write = |algorithm| {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let root = rcgen::CertificateParams::default().self_signed(&key).unwrap();
            let roots = vec![Certificate::from_der(root.der()).unwrap()];
            TrustBundle { sequence: None, refresh_hint: None, roots }.to_jwks()
        };
        let document: Value = serde_json::from_str(&write(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()).unwrap();
        assert_eq!(document["keys"][0]["crv"], json!("P-384"));
        assert_eq!(document["keys"][0]["y"].as_str().unwrap().len(), 64, "48 bytes");
        assert!(write(&rcgen::PKCS_ED25519).is_err());
    }

    #[test]
    fn what_other_publishers_add_is_passed_over() {
        let root = root().certificate().clone();
        let x5c = STANDARD.encode(root.der());
        let right =
            json!({"kty": "EC", "use": "x509-svid", "x5c": [x5c, "ignored"], "kid": "x", "more": {"a": 1}});
        let others = [
            json!({"kty": "EC", "use": "jwt-svid", "kid": "a", "x5c": [x5c]}),
            json!({"kty": "OKP", "use": "x509-svid", "x5c": [x5c]}),
            json!({"kty": "EC", "x5c": [x5c]}),
            json!({"use": "x509-svid", "x5c": [x5c]}),
            json!({"kty": "EC", "use": "X509-SVID", "x5c": [x5c]}),
            json!({"kty": "EC", "use": "x509-svid"}),
            json!({"kty": "EC", "use": "x509-svid", "x5c": []}),
        ];
        for other in others {
            let text = json!({"keys": [other, right], "unknown": true}).to_string();
            let expected = TrustBundle { sequence: None, refresh_hint: None, roots: vec![root.clone()] };
            assert_eq!(TrustBundle::from_jwks(&text).unwrap(), expected, "{text}");
        }
        assert_eq!(TrustBundle::from_jwks(r#"{"keys": []}"#).unwrap().roots, []);
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        let long = " ".repeat(MAX_BUNDLE_BYTES + 1);
        let cases = [
            "",
            "[]",
            "{}",
            r#"{"keys": {}}"#,
            r#"{"keys": [], "spiffe_sequence": -1}"#,
            r#"{"keys": [], "spiffe_sequence": 1.5}"#,
            r#"{"keys": [{"kty": "EC", "use": "x509-svid", "x5c": ["!"]}]}"#,
            r#"{"keys": [{"kty": "EC", "use": "x509-svid", "x5c": ["MAA="]}]}"#,
            &long,
        ];
        for text in cases {
            assert!(TrustBundle::from_jwks(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
            let _ = TrustBundle::from_jwks(&text);
        }
    }
}
