//! Thumbprints: SHA-256 of a public key, by which people and manifests name it.
//!
//! Of the key and not of the certificate (RFC 7469 §2.4 pins in the same way), so that a renewed certificate keeps it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use skerry_core::id::InvalidId;

/// SHA-256 of a `SubjectPublicKeyInfo` in DER, printed as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

const WHAT: &str = "key thumbprint";

impl Thumbprint {
    /// Hashes a `SubjectPublicKeyInfo`.
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(sha256(&[spki]))
    }

    /// Takes 32 bytes that were hashed before.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
        let rule = "32 bytes (SHA-256)";
        let value = || format!("{} bytes", bytes.len());
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| InvalidId { what: WHAT, value: value(), rule })
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first 12 hex digits, for tables and logs.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

/// Hashes parts one after the other.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    use aws_lc_rs::digest::{Context, SHA256};
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

/// Reads an even number of hex digits, in either case.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

impl FromStr for Thumbprint {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let bytes = from_hex(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(|| InvalidId { what: WHAT, value: text.to_owned(), rule: "64 hex digits" })
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_what_it_prints() {
        let thumbprint = Thumbprint::of_spki(b"abc");
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(thumbprint.to_string(), expected);
        assert_eq!(expected.parse::<Thumbprint>().unwrap(), thumbprint);
        assert_eq!(thumbprint.short(), "ba7816bf8f01");
        assert_eq!(Thumbprint::from_slice(thumbprint.as_bytes()).unwrap(), thumbprint);
    }

    #[test]
    fn what_is_not_64_hex_digits_is_refused() {
        for text in ["", "ba78", &"g".repeat(64), &"a".repeat(63), &"a".repeat(65), &"ä".repeat(32)] {
            assert!(text.parse::<Thumbprint>().is_err(), "{text}");
        }
        assert!(Thumbprint::from_slice(&[0; 31]).is_err());
    }
}
