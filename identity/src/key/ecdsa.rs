//! ECDSA P-256 key pairs, which certificates are made for.
//!
//! Must not know what a certificate says.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize as _, Zeroizing};

use super::ProviderFailed;
use crate::malformed::Malformed;
use crate::pem::{self, Label};
use crate::thumbprint::Thumbprint;

/// A key pair. Printed as its thumbprint.
pub struct EcdsaKey {
    pair: EcdsaKeyPair,
    public: EcdsaPublicKey,
}

impl EcdsaKey {
    /// Makes a new key.
    pub fn generate() -> Result<Self, ProviderFailed> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        Self::of(pair).map_err(|_| ProviderFailed)
    }

    /// Reads PKCS#8 in DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Malformed> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der);
        Self::of(pair.map_err(|error| Malformed::new("ECDSA P-256 private key (PKCS#8)", &error))?)
    }

    /// Reads one `PRIVATE KEY` section of PEM.
    pub fn from_pem(text: &str) -> Result<Self, Malformed> {
        Self::from_pkcs8(&pem::decode(Label::PrivateKey, text.as_bytes())?)
    }

    fn of(pair: EcdsaKeyPair) -> Result<Self, Malformed> {
        let public = EcdsaPublicKey::from_point(pair.public_key().as_ref())?;
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

    /// Makes rustls's form of it. The bytes on the way are wiped.
    pub fn to_rustls(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, ProviderFailed> {
        let mut der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.to_pkcs8()?.to_vec()));
        let key = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&der);
        der.zeroize();
        key.map_err(|_| ProviderFailed)
    }

    /// Returns the public half.
    pub fn public(&self) -> &EcdsaPublicKey {
        &self.public
    }

    /// Returns the thumbprint of the public half.
    pub fn thumbprint(&self) -> Thumbprint {
        self.public.thumbprint()
    }
}

impl fmt::Debug for EcdsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcdsaKey({})", self.thumbprint().short())
    }
}

/// Lets `rcgen` sign with it. Also what tests need in order to forge certificates.
impl rcgen::SigningKey for EcdsaKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| rcgen::Error::RingUnspecified)
    }
}

impl rcgen::PublicKeyData for EcdsaKey {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.public.algorithm()
    }
}

/// The public half: a point that is on the curve.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EcdsaPublicKey([u8; POINT]);

/// The length of an uncompressed point (SEC 1 §2.3.3): 4, x, y.
const POINT: usize = 65;

/// What stands before the point in a `SubjectPublicKeyInfo`: id-ecPublicKey, prime256v1, a bit string (RFC 5480 §2).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

const PUBLIC: &str = "ECDSA P-256 public key";

impl EcdsaPublicKey {
    /// Takes an uncompressed point; one that is not on the curve is refused.
    pub fn from_point(point: &[u8]) -> Result<Self, Malformed> {
        let fail = || Malformed::new(PUBLIC, &"no uncompressed point of the curve");
        let bytes = <[u8; POINT]>::try_from(point).map_err(|_| fail())?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, bytes).parse().map_err(|_| fail())?;
        Ok(Self(bytes))
    }

    /// Reads a `SubjectPublicKeyInfo`; keys of other kinds are refused.
    pub fn from_spki(der: &[u8]) -> Result<Self, Malformed> {
        let point =
            der.strip_prefix(&SPKI_HEAD).ok_or_else(|| Malformed::new(PUBLIC, &"another kind of key"))?;
        Self::from_point(point)
    }

    /// Writes it as `SubjectPublicKeyInfo`.
    pub fn to_spki(&self) -> Vec<u8> {
        [&SPKI_HEAD[..], &self.0].concat()
    }

    /// Returns the thumbprint.
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of_spki(&self.to_spki())
    }
}

impl fmt::Debug for EcdsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcdsaPublicKey({})", self.thumbprint().short())
    }
}

impl rcgen::PublicKeyData for EcdsaPublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{PublicKeyData as _, SigningKey as _};

    use super::*;

    #[test]
    fn a_key_is_written_and_read_back() {
        let key = EcdsaKey::generate().unwrap();
        let again = EcdsaKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(again.public(), key.public());
        let signature = again.sign(b"text").unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key.der_bytes());
        assert!(public.verify(b"text", &signature).is_ok());
        assert_eq!(EcdsaPublicKey::from_spki(&key.public().to_spki()).unwrap(), *key.public());
        assert_eq!(key.subject_public_key_info(), key.public().to_spki());
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = EcdsaKey::generate().unwrap();
        let shown = format!("{key:?} {key:#?}");
        let secret = key.pair.private_key();
        let secret =
            aws_lc_rs::encoding::AsBigEndian::<aws_lc_rs::encoding::EcPrivateKeyBin<'_>>::as_be_bytes(
                &secret,
            );
        let hex: String = secret.unwrap().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!shown.contains(&hex[..8]), "{shown}");
        assert_eq!(format!("{key:?}"), format!("EcdsaKey({})", key.thumbprint().short()));
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(EcdsaKey::from_pkcs8(&other.serialize_der()).is_err());
        assert!(EcdsaPublicKey::from_spki(&other.subject_public_key_info()).is_err());
        let off_the_curve = [&[4][..], &[1; 64]].concat();
        assert!(EcdsaPublicKey::from_point(&off_the_curve).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..150)) {
            prop_assert!(EcdsaKey::from_pkcs8(&bytes).is_err());
            let _ = EcdsaPublicKey::from_spki(&bytes);
            let _ = EcdsaPublicKey::from_spki(&[&SPKI_HEAD[..], &bytes].concat());
        }
    }
}
