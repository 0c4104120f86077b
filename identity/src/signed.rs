//! The outer form of certificates and requests, `SEQUENCE { content, algorithm, signature }`, and the check of the
//! signature.
//!
//! The form is compared byte by byte, so that nobody can write one certificate in two ways. Must not read the content.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, UnparsedPublicKey, VerificationAlgorithm,
};
use x509_parser::asn1_rs::BitString;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384};
use x509_parser::x509::SubjectPublicKeyInfo;

/// `ecdsa-with-SHA256` as `AlgorithmIdentifier` in DER, without parameters (RFC 5758 §3.2).
const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// `ecdsa-with-SHA384`, likewise.
const ECDSA_SHA384: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];

/// Says whether the key signed the content, and the whole has the one form that it can have.
pub(crate) fn is_signed_by(
    whole: &[u8],
    content: &[u8],
    signature: &BitString<'_>,
    key: &SubjectPublicKeyInfo<'_>,
) -> bool {
    let Some((algorithm, verification)) = algorithm(key) else { return false };
    if !has_form(whole, &[content, algorithm], &signature.data) {
        return false;
    }
    UnparsedPublicKey::new(verification, &key.subject_public_key.data)
        .verify(content, &signature.data)
        .is_ok()
}

/// The algorithms of a mesh, each with its own hash: ECDSA on P-256, and on P-384 for a root that lives outside.
fn algorithm(key: &SubjectPublicKeyInfo<'_>) -> Option<(&'static [u8], &'static dyn VerificationAlgorithm)> {
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY || key.subject_public_key.unused_bits != 0 {
        return None;
    }
    let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?;
    if curve == OID_EC_P256 {
        return Some((&ECDSA_SHA256, &ECDSA_P256_SHA256_ASN1));
    }
    (curve == OID_NIST_EC_P384).then_some((&ECDSA_SHA384, &ECDSA_P384_SHA384_ASN1))
}

/// Compares with what DER would write: a sequence of the parts and of the signature as a bit string of whole bytes.
fn has_form(whole: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    // ECDSA signatures have up to 104 bytes (P-384): one byte of length does.
    let Some(length) = u8::try_from(signature.len() + 1).ok().filter(|length| *length < 0x80) else {
        return false;
    };
    let body = [&parts.concat(), &[0x03, length, 0x00][..], signature].concat();
    let length = match body.len() {
        0..0x80 => vec![u8::try_from(body.len()).unwrap_or_default()],
        0x80..0x100 => vec![0x81, u8::try_from(body.len()).unwrap_or_default()],
        _ => [&[0x82][..], &u16::try_from(body.len()).unwrap_or_default().to_be_bytes()].concat(),
    };
    whole == [&[0x30][..], &length, &body].concat()
}
