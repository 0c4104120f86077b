//! Certificate signing requests (PKCS#10, RFC 2986): proof that who asks holds the key.
//!
//! A request carries a key and nothing else that counts: names and rights in it are not read, the authority gives them.

use rcgen::{CertificateParams, DistinguishedName};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::key::{EcdsaKey, EcdsaPublicKey, ProviderFailed};
use crate::malformed::Malformed;
use crate::signed::is_signed_by;

/// The longest request that is read. Ours take about 200 bytes; those of other tools carry names that nobody reads.
pub const MAX_REQUEST_BYTES: usize = 8 << 10;

const WHAT: &str = "certificate signing request";

/// A public key whose holder was seen: it signed a request, or the key pair is at hand. Certificates are made for these
/// only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenKey(EcdsaPublicKey);

impl ProvenKey {
    /// Returns the key.
    pub fn public(&self) -> &EcdsaPublicKey {
        &self.0
    }
}

impl From<&EcdsaKey> for ProvenKey {
    fn from(key: &EcdsaKey) -> Self {
        Self(key.public().clone())
    }
}

/// Makes a request for a key, in DER: without names.
pub fn create(key: &EcdsaKey) -> Result<Vec<u8>, ProviderFailed> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(key).map_err(|_| ProviderFailed)?;
    Ok(request.der().to_vec())
}

/// Verifies a request in DER: an ECDSA P-256 key, and a signature by it.
pub fn verify(der: &[u8]) -> Result<ProvenKey, Malformed> {
    let fail = |reason: &dyn std::fmt::Display| Malformed::new(WHAT, reason);
    if der.len() > MAX_REQUEST_BYTES {
        return Err(fail(&format!("{} bytes are over the limit of {MAX_REQUEST_BYTES}", der.len())));
    }
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|error| fail(&error))?;
    if !rest.is_empty() {
        return Err(fail(&"there are bytes behind it"));
    }
    let key = EcdsaPublicKey::from_spki(request.certification_request_info.subject_pki.raw)?;
    let content = &request.certification_request_info;
    if !is_signed_by(der, content.raw, &request.signature_value, &content.subject_pki) {
        return Err(fail(&"its signature is not by the key in it"));
    }
    Ok(ProvenKey(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType};

    use super::*;

    #[test]
    fn a_request_proves_its_key() {
        let key = EcdsaKey::generate().unwrap();
        let request = create(&key).unwrap();
        assert_eq!(verify(&request).unwrap().public(), key.public());
        assert!(request.len() < 300, "{}", request.len());
    }

    #[test]
    fn names_that_it_asks_for_are_nothing_to_us() {
        let key = EcdsaKey::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names =
            vec![SanType::URI("spiffe://bergen.mesh.local/ns/a/sa/b".try_into().unwrap())];
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let request = params.serialize_request(&key).unwrap();
        assert_eq!(verify(request.der()).unwrap(), ProvenKey::from(&key));
    }

    #[test]
    fn other_keys_and_other_signatures_are_refused() {
        for algorithm in [&PKCS_ED25519, &PKCS_ECDSA_P384_SHA384] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let request = CertificateParams::default().serialize_request(&key).unwrap();
            assert!(verify(request.der()).unwrap_err().to_string().contains("another kind of key"));
        }
        // One key's request with another key put into it.
        let (own, stolen) = (EcdsaKey::generate().unwrap(), EcdsaKey::generate().unwrap());
        let mut request = create(&own).unwrap();
        let spki = own.public().to_spki();
        let place = request.windows(spki.len()).position(|window| window == spki).unwrap();
        request[place..place + spki.len()].copy_from_slice(&stolen.public().to_spki());
        assert!(verify(&request).unwrap_err().to_string().contains("not by the key in it"));
    }

    #[test]
    fn each_cut_and_each_flipped_byte_is_refused() {
        let request = create(&EcdsaKey::generate().unwrap()).unwrap();
        for length in 0..request.len() {
            assert!(verify(&request[..length]).is_err(), "{length}");
        }
        for index in 0..request.len() {
            let mut flipped = request.clone();
            flipped[index] ^= 0x10;
            assert!(verify(&flipped).is_err(), "{index}");
        }
        assert!(verify(&[&request[..], &[0]].concat()).is_err());
        assert!(verify(&vec![0x30; MAX_REQUEST_BYTES + 1]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(verify(&bytes).is_err());
        }
    }
}
