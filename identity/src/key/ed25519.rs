//! Ed25519 key pairs, which manifests and trust roots are signed with.
//!
//! Must not know what is signed, nor which key counts: see [`crate::envelope`] and [`crate::trust_root`].

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::ProviderFailed;
use crate::malformed::Malformed;
use crate::pem::{self, Label};

/// A signature (RFC 8032).
pub type SignatureBytes = [u8; 64];

/// A key pair. Printed as its public half.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, ProviderFailed> {
        Self::of(Ed25519KeyPair::generate()?).map_err(|_| ProviderFailed)
    }

    /// Reads PKCS#8 in DER, with the public key (RFC 8410) or without, as OpenSSL writes it.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Malformed> {
        let pair = Ed25519KeyPair::from_pkcs8(der);
        Self::of(pair.map_err(|error| Malformed::new("Ed25519 private key (PKCS#8)", &error))?)
    }

    /// Reads one `PRIVATE KEY` section of PEM.
    pub fn from_pem(text: &str) -> Result<Self, Malformed> {
        Self::from_pkcs8(&pem::decode(Label::PrivateKey, text.as_bytes())?)
    }

    fn of(pair: Ed25519KeyPair) -> Result<Self, Malformed> {
        let public = VerifyingKey::from_slice(pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }

    /// Writes PKCS#8 in DER; wiped when dropped.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, ProviderFailed> {
        Ok(Zeroizing::new(self.pair.to_pkcs8v1()?.as_ref().to_vec()))
    }

    /// Writes PKCS#8 in PEM; wiped when dropped.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, ProviderFailed> {
        Ok(pem::encode(Label::PrivateKey, &self.to_pkcs8()?))
    }

    /// Returns the public half.
    pub fn public(&self) -> VerifyingKey {
        self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<SignatureBytes, ProviderFailed> {
        let signature = self.pair.try_sign(message)?;
        SignatureBytes::try_from(signature.as_ref()).map_err(|_| ProviderFailed)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public)
    }
}

/// The public half: 32 bytes, written in base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifyingKey([u8; 32]);

/// What stands before the key in a `SubjectPublicKeyInfo` (RFC 8410 §4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const PUBLIC: &str = "Ed25519 public key";

impl VerifyingKey {
    /// Takes 32 bytes. Whether they are a point of the curve shows in verification: one that is not verifies nothing.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| Malformed::new(PUBLIC, &"not 32 bytes"))
    }

    /// Reads one `PUBLIC KEY` section of PEM.
    pub fn from_pem(text: &str) -> Result<Self, Malformed> {
        let spki = pem::decode(Label::PublicKey, text.as_bytes())?;
        let key =
            spki.strip_prefix(&SPKI_HEAD).ok_or_else(|| Malformed::new(PUBLIC, &"another kind of key"))?;
        Self::from_slice(key)
    }

    /// Writes it as PEM.
    pub fn to_pem(&self) -> String {
        pem::encode(Label::PublicKey, &[&SPKI_HEAD[..], &self.0].concat()).to_string()
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &SignatureBytes) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({self})")
    }
}

impl FromStr for VerifyingKey {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bytes = STANDARD.decode(text).map_err(|_| Malformed::new(PUBLIC, &"not base64"))?;
        Self::from_slice(&bytes)
    }
}

impl TryFrom<String> for VerifyingKey {
    type Error = Malformed;
    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<VerifyingKey> for String {
    fn from(key: VerifyingKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 8032 §7.1, test 2, as `openssl pkey` writes it: without the public key.
    const RFC_8032_PKCS8: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    const RFC_8032_SECRET: &str = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
    const RFC_8032_PUBLIC: &str = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    const RFC_8032_SIGNATURE: &str = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                                      085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

    fn bytes(hex: &str) -> Vec<u8> {
        crate::thumbprint::from_hex(hex).unwrap()
    }

    #[test]
    fn the_vector_of_rfc_8032_is_signed_and_verified() {
        let key = SigningKey::from_pkcs8(&[&RFC_8032_PKCS8[..], &bytes(RFC_8032_SECRET)].concat()).unwrap();
        assert_eq!(key.public().as_bytes().as_slice(), bytes(RFC_8032_PUBLIC));
        let signature = key.sign(&[0x72]).unwrap();
        assert_eq!(signature.as_slice(), bytes(RFC_8032_SIGNATURE));
        assert!(key.public().verifies(&[0x72], &signature));
        assert!(!key.public().verifies(&[0x73], &signature));
    }

    #[test]
    fn keys_are_written_and_read_back() {
        let key = SigningKey::generate().unwrap();
        let again = SigningKey::from_pem(&key.to_pem().unwrap()).unwrap();
        let public = key.public();
        assert_eq!(again.public(), public);
        assert_eq!(VerifyingKey::from_pem(&public.to_pem()).unwrap(), public);
        assert_eq!(public.to_string().parse::<VerifyingKey>().unwrap(), public);
    }

    #[test]
    fn debug_shows_the_public_half_alone() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.public()));
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let ecdsa = crate::key::EcdsaKey::generate().unwrap();
        assert!(SigningKey::from_pkcs8(&ecdsa.to_pkcs8().unwrap()).is_err());
        let off_the_curve = VerifyingKey::from_slice(&[0xff; 32]).unwrap();
        assert!(!off_the_curve.verifies(b"text", &[0; 64]));
        for text in ["", "AAAA", "not base64", &STANDARD.encode([0; 33])] {
            assert!(text.parse::<VerifyingKey>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = SigningKey::from_pkcs8(&bytes);
            let _ = VerifyingKey::from_slice(&bytes);
        }
    }
}
