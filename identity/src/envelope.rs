//! Signatures over whole payloads: the DSSE pre-authentication encoding and Ed25519.
//!
//! The payload travels as the bytes that were signed, and is decoded only after it is verified. Its type is signed too, so
//! that a trust root is never taken for a manifest. Must not know which keys are trusted: they are an argument.
//!
//! Source: DSSE v1.0.2, "protocol" (`PAE(type, body)`).

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::key::{ProviderFailed, SignatureBytes, SigningKey, VerifyingKey};
use crate::malformed::Malformed;
use crate::thumbprint::{from_hex, sha256};

/// What is signed. The list is closed: each type is one way to read bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadType {
    /// A site's manifest.
    Manifest,
    /// A version of the trust root.
    TrustRoot,
    /// What a site shall run, as somebody outside of the core has compiled it.
    Policy,
}

impl PayloadType {
    /// Returns the media type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "application/vnd.skerry.manifest.v1+protobuf",
            Self::TrustRoot => "application/vnd.skerry.trust-root.v1+json",
            Self::Policy => "application/vnd.skerry.policy.v1+json",
        }
    }
}

/// Encodes what is signed: `DSSEv1 <length> <type> <length> <payload>`, lengths in decimal, bytes.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Names a key: the first 8 bytes of the SHA-256 of its 32. It only says which key to try; it proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KEY_ID]);

impl KeyId {
    /// Names a key.
    pub fn of(key: &VerifyingKey) -> Self {
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&sha256(&[key.as_bytes()])[..KEY_ID]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// One signature, and the key that it says it is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Signature {
    /// The key.
    pub key_id: KeyId,
    /// The signature.
    pub bytes: SignatureBytes,
}

const KEY_ID: usize = 8;
const RECORD: usize = KEY_ID + 64;
const WHAT: &str = "list of signatures";

/// The most signatures of one payload: a trust root is signed by the keys of two versions, each with two roles of up to 8
/// (see [`crate::trust_root`]). They take 32 × 72 B = 2,304 B.
pub const MAX_SIGNATURES: usize = 32;

/// The signatures of one payload. In bytes 72 for each, so that a manifest with one still fits a packet; in JSON
/// `{"signatures":[{"keyid":…,"sig":…}]}`, as DSSE writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signatures {
    signatures: Vec<Signature>,
}

impl Signatures {
    /// Adds a signature.
    pub fn push(&mut self, signature: Signature) {
        self.signatures.push(signature);
    }

    /// Lists them.
    pub fn iter(&self) -> impl Iterator<Item = &Signature> {
        self.signatures.iter()
    }

    /// Writes them one after the other: key id, signature.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.signatures
            .iter()
            .flat_map(|signature| [&signature.key_id.0[..], &signature.bytes].concat())
            .collect()
    }

    /// Reads them back.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if !rest.is_empty() {
            return Err(Malformed::new(
                WHAT,
                &format_args!("{} bytes are not a multiple of {RECORD}", bytes.len()),
            ));
        }
        if records.len() > MAX_SIGNATURES {
            return Err(Malformed::new(
                WHAT,
                &format_args!("{} of them, over {MAX_SIGNATURES}", records.len()),
            ));
        }
        let read = |record: &[u8; RECORD]| {
            let (mut key_id, mut signature) = ([0; KEY_ID], [0; 64]);
            key_id.copy_from_slice(&record[..KEY_ID]);
            signature.copy_from_slice(&record[KEY_ID..]);
            Signature { key_id: KeyId(key_id), bytes: signature }
        };
        Ok(Self { signatures: records.iter().map(read).collect() })
    }
}

impl Signatures {
    /// Adds those that are not there yet, as far as there may be so many.
    pub fn merge(&mut self, others: &Self) {
        for signature in &others.signatures {
            if self.signatures.len() < MAX_SIGNATURES && !self.signatures.contains(signature) {
                self.signatures.push(*signature);
            }
        }
    }
}

impl FromIterator<Signature> for Signatures {
    fn from_iter<I: IntoIterator<Item = Signature>>(signatures: I) -> Self {
        Self { signatures: signatures.into_iter().collect() }
    }
}

/// A signature in JSON.
#[derive(Serialize, Deserialize)]
struct Written {
    keyid: String,
    sig: String,
}

impl From<Signature> for Written {
    fn from(signature: Signature) -> Self {
        Self { keyid: signature.key_id.to_string(), sig: STANDARD.encode(signature.bytes) }
    }
}

impl TryFrom<Written> for Signature {
    type Error = Malformed;
    fn try_from(written: Written) -> Result<Self, Malformed> {
        let key_id = from_hex(&written.keyid).and_then(|id| id.try_into().ok());
        let bytes = STANDARD.decode(&written.sig).ok().and_then(|bytes| bytes.try_into().ok());
        match (key_id, bytes) {
            (Some(key_id), Some(bytes)) => Ok(Self { key_id: KeyId(key_id), bytes }),
            (None, _) => Err(Malformed::new(WHAT, &"a key id is 16 hex digits")),
            (_, None) => Err(Malformed::new(WHAT, &"a signature is 64 bytes in base64")),
        }
    }
}

/// Signs a payload.
pub fn sign(
    payload_type: PayloadType,
    payload: &[u8],
    key: &SigningKey,
) -> Result<Signature, ProviderFailed> {
    let bytes = key.sign(&pre_authentication_encoding(payload_type.as_str(), payload))?;
    Ok(Signature { key_id: KeyId::of(&key.public()), bytes })
}

/// Says which of the keys signed a payload: each counts once, however many signatures there are; others do not count.
/// Looks at [`MAX_SIGNATURES`] at most.
pub fn signers(
    payload_type: PayloadType,
    payload: &[u8],
    signatures: &Signatures,
    keys: &BTreeSet<VerifyingKey>,
) -> BTreeSet<VerifyingKey> {
    let message = pre_authentication_encoding(payload_type.as_str(), payload);
    let mut found = BTreeSet::new();
    for signature in signatures.iter().take(MAX_SIGNATURES) {
        let named = keys.iter().filter(|key| !found.contains(*key) && KeyId::of(key) == signature.key_id);
        let by: Vec<VerifyingKey> =
            named.filter(|key| key.verifies(&message, &signature.bytes)).copied().collect();
        found.extend(by);
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAYLOAD: &[u8] = b"a payload";

    fn key() -> SigningKey {
        SigningKey::generate().unwrap()
    }

    fn signed(keys: &[&SigningKey]) -> Signatures {
        keys.iter().map(|key| sign(PayloadType::Manifest, PAYLOAD, key).unwrap()).collect()
    }

    fn count(
        payload_type: PayloadType,
        payload: &[u8],
        signatures: &Signatures,
        keys: &[&SigningKey],
    ) -> usize {
        signers(payload_type, payload, signatures, &keys.iter().map(|key| key.public()).collect()).len()
    }

    #[test]
    fn the_encoding_is_that_of_the_specification() {
        // The vector of the DSSE repository, "protocol.md".
        let encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
        assert_eq!(pre_authentication_encoding("", b""), b"DSSEv1 0  0 ");
        assert_ne!(pre_authentication_encoding("a", b"b c"), pre_authentication_encoding("a b", b"c"));
    }

    #[test]
    fn each_key_counts_once() {
        let (one, two, stranger) = (key(), key(), key());
        let known = [&one, &two];
        let manifest = PayloadType::Manifest;
        assert_eq!(count(manifest, PAYLOAD, &signed(&[]), &known), 0);
        assert_eq!(count(manifest, PAYLOAD, &signed(&[&one]), &known), 1);
        assert_eq!(count(manifest, PAYLOAD, &signed(&[&one, &one, &one]), &known), 1);
        assert_eq!(count(manifest, PAYLOAD, &signed(&[&one, &two]), &known), 2);
        assert_eq!(count(manifest, PAYLOAD, &signed(&[&stranger, &two]), &known), 1);
        assert_eq!(count(manifest, PAYLOAD, &signed(&[&stranger]), &known), 0);
    }

    #[test]
    fn another_payload_another_type_and_another_name_of_the_key_do_not_count() {
        let (one, two) = (key(), key());
        let known = [&one, &two];
        let signatures = signed(&[&one]);
        assert_eq!(count(PayloadType::Manifest, b"a payloae", &signatures, &known), 0);
        assert_eq!(count(PayloadType::Manifest, b"", &signatures, &known), 0);
        assert_eq!(count(PayloadType::TrustRoot, PAYLOAD, &signatures, &known), 0);
        let mut renamed = signed(&[&one]);
        renamed.signatures[0].key_id = KeyId::of(&two.public());
        assert_eq!(count(PayloadType::Manifest, PAYLOAD, &renamed, &known), 0);
        let mut flipped = signatures;
        flipped.signatures[0].bytes[0] ^= 1;
        assert_eq!(count(PayloadType::Manifest, PAYLOAD, &flipped, &known), 0);
    }

    #[test]
    fn more_signatures_than_there_may_be_are_not_looked_at() {
        let (one, stranger) = (key(), key());
        let mut many: Vec<&SigningKey> = vec![&stranger; MAX_SIGNATURES];
        many.push(&one);
        assert_eq!(count(PayloadType::Manifest, PAYLOAD, &signed(&many), &[&one]), 0);
        assert!(Signatures::from_bytes(&signed(&many).to_bytes()).is_err());
    }

    #[test]
    fn both_forms_are_read_back() {
        let signatures = signed(&[&key(), &key()]);
        assert_eq!(signatures.to_bytes().len(), 144);
        assert_eq!(Signatures::from_bytes(&signatures.to_bytes()).unwrap(), signatures);
        let json = serde_json::to_string(&signatures).unwrap();
        assert!(json.starts_with(r#"{"signatures":[{"keyid":""#), "{json}");
        assert_eq!(serde_json::from_str::<Signatures>(&json).unwrap(), signatures);
        for (from, to) in [(r#""keyid":""#, r#""keyid":"0"#), (r#""sig":""#, r#""sig":"AAAA"#)] {
            assert!(serde_json::from_str::<Signatures>(&json.replacen(from, to, 1)).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            match Signatures::from_bytes(&bytes) {
                Ok(signatures) => prop_assert_eq!(signatures.to_bytes(), bytes),
                Err(_) => prop_assert!(bytes.len() % RECORD != 0),
            }
        }
    }
}
