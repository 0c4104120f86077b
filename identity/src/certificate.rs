//! A certificate as it is kept and shown: its bytes, and the few facts that callers ask for.
//!
//! Must not be taken for a verified one: reading is not trusting, see [`crate::verify`].

use std::fmt;

use rustls::pki_types::CertificateDer;
use skerry_core::id::Timestamp;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::lifetimes::{BACKDATE, Validity};
use crate::malformed::Malformed;
use crate::pem::{self, Label};
use crate::spiffe_id::SpiffeId;
use crate::thumbprint::Thumbprint;

/// The longest certificate that is read: ours take about 700 bytes; of a foreign authority with RSA keys, 2 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 16 << 10;

/// A certificate that could be read. Cheap enough to clone: 1 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    key: Thumbprint,
    serial: String,
    not_before: Timestamp,
    not_after: Timestamp,
    id: Option<SpiffeId>,
}

impl Certificate {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        let parsed = parse(der)?;
        let validity = parsed.validity();
        Ok(Self {
            der: CertificateDer::from(der.to_vec()),
            key: Thumbprint::of_spki(parsed.public_key().raw),
            serial: parsed.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            not_before: timestamp(validity.not_before.timestamp()),
            not_after: timestamp(validity.not_after.timestamp()),
            id: only_id(&parsed),
        })
    }

    /// Reads one `CERTIFICATE` section of PEM.
    pub fn from_pem(text: &str) -> Result<Self, Malformed> {
        Self::from_der(&pem::decode(Label::Certificate, text.as_bytes())?)
    }

    /// Reads every `CERTIFICATE` section of PEM, in order.
    pub fn chain_from_pem(text: &str) -> Result<Vec<Self>, Malformed> {
        let sections = pem::decode_all(Label::Certificate, text.as_bytes())?;
        sections.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Returns the bytes.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Writes PEM.
    pub fn to_pem(&self) -> String {
        pem::encode(Label::Certificate, &self.der).to_string()
    }

    /// Returns the thumbprint of its key.
    pub fn thumbprint(&self) -> Thumbprint {
        self.key
    }

    /// Returns the serial number in hex, as other tools print it.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Returns when it begins to be valid. Skerry's own are backdated by [`BACKDATE`].
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// Returns the last moment at which it is valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Returns when it was issued and when it ends, if Skerry issued it: what rotation reckons with.
    pub fn validity(&self) -> Validity {
        let issued = self.not_before.0.saturating_add(u64::try_from(BACKDATE.as_millis()).unwrap_or(0));
        Validity { issued: Timestamp(issued.min(self.not_after.0)), until: self.not_after }
    }

    /// Returns its SPIFFE ID: that of its only URI; nothing if it has none or several.
    pub fn spiffe_id(&self) -> Option<&SpiffeId> {
        self.id.as_ref()
    }
}

/// Shows facts and not the bytes.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_ref().map_or("no SPIFFE ID", SpiffeId::as_str);
        write!(f, "Certificate({id}, serial {}, key {})", self.serial, self.key.short())
    }
}

/// Writes certificates one after the other, leaf first, as servers send them.
pub fn chain_to_pem<'a>(chain: impl IntoIterator<Item = &'a Certificate>) -> String {
    chain.into_iter().map(Certificate::to_pem).collect()
}

/// Reads DER and nothing behind it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, Malformed> {
    const WHAT: &str = "X.509 certificate";
    if der.len() > MAX_CERTIFICATE_BYTES {
        return Err(Malformed::new(WHAT, &format!("{} bytes are over the limit", der.len())));
    }
    let (rest, parsed) = X509Certificate::from_der(der).map_err(|error| Malformed::new(WHAT, &error))?;
    if rest.is_empty() { Ok(parsed) } else { Err(Malformed::new(WHAT, &"there are bytes behind it")) }
}

/// Seconds since 1970 as a timestamp; what is before 1970 is 1970, since no clock of ours shows less.
pub(crate) fn timestamp(seconds: i64) -> Timestamp {
    Timestamp(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}

fn only_id(parsed: &X509Certificate<'_>) -> Option<SpiffeId> {
    let names = &parsed.subject_alternative_name().ok()??.value.general_names;
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let only = uris.next().filter(|_| uris.next().is_none())?;
    SpiffeId::new(only).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Certificate::from_der(&bytes).is_err());
        }
    }

    #[test]
    fn what_is_too_long_is_not_even_parsed() {
        let error = Certificate::from_der(&vec![0x30; MAX_CERTIFICATE_BYTES + 1]).unwrap_err();
        assert!(error.to_string().contains("over the limit"), "{error}");
    }
}
