//! An authority's certificate and key together, and signing with them.
//!
//! Must not know which of the authorities it is.

use std::fmt;

use rcgen::Issuer;
use skerry_core::id::Timestamp;
use x509_parser::prelude::X509Certificate;

use super::template::Template;
use super::{CaError, seconds};
use crate::certificate::{Certificate, parse};
use crate::csr::ProvenKey;
use crate::key::EcdsaKey;
use crate::lifetimes::Validity;
use crate::spiffe_id::SpiffeId;

/// A certificate that may sign, and the key to do it.
pub(super) struct Signer {
    certificate: Certificate,
    issuer: Issuer<'static, EcdsaKey>,
}

/// What an authority's certificate has to be, so that it is taken.
pub(super) struct Expected<'a> {
    /// In words.
    pub(super) what: &'a str,
    /// Its SPIFFE ID: its trust domain's.
    pub(super) id: &'a SpiffeId,
    /// How many authorities may follow below it: none at all, or at least so many.
    pub(super) below: u32,
}

impl Expected<'_> {
    fn other(&self, reason: &'static str) -> CaError {
        CaError::OtherAuthority { expected: self.what.to_owned(), reason }
    }

    /// Says whether a certificate is that.
    pub(super) fn check(&self, certificate: &Certificate) -> Result<(), CaError> {
        if certificate.spiffe_id() != Some(self.id) {
            return Err(self.other("its URI is another one"));
        }
        check_authority(&parse(certificate.der())?, self.below).map_err(|reason| self.other(reason))
    }
}

impl Signer {
    /// Makes a new key and a certificate for it, signed by itself.
    pub(super) fn create(template: &Template<'_>, validity: &Validity) -> Result<Self, CaError> {
        let key = EcdsaKey::generate()?;
        let params = template.params(key.thumbprint(), validity)?;
        let certificate = params.self_signed(&key)?;
        Self::new(Certificate::from_der(certificate.der())?, key)
    }

    fn new(certificate: Certificate, key: EcdsaKey) -> Result<Self, CaError> {
        let issuer = Issuer::from_ca_cert_der(certificate.der(), key)?;
        Ok(Self { certificate, issuer })
    }

    /// Takes a certificate and its key, as they were stored or as another tool made them.
    pub(super) fn load(
        certificate: Certificate,
        key: EcdsaKey,
        expected: &Expected<'_>,
    ) -> Result<Self, CaError> {
        if certificate.thumbprint() != key.thumbprint() {
            return Err(expected.other("it is for another key"));
        }
        expected.check(&certificate)?;
        Self::new(certificate, key)
    }

    /// Signs a certificate for a key that was proven. It ends with its issuer at the latest, or it is refused.
    pub(super) fn sign(
        &self,
        template: &Template<'_>,
        key: &ProvenKey,
        validity: &Validity,
    ) -> Result<Certificate, CaError> {
        let end = self.certificate.not_after();
        if seconds(end) < seconds(validity.issued) {
            return Err(CaError::Over(seconds(end)));
        }
        if seconds(validity.until) > seconds(end) {
            return Err(CaError::Outlives { wanted: seconds(validity.until), end: seconds(end) });
        }
        let params = template.params(key.public().thumbprint(), validity)?;
        let signed = params.signed_by(key.public(), &self.issuer)?;
        if parse(signed.der())?.issuer().as_raw() != parse(self.certificate.der())?.subject().as_raw() {
            let reason = "rcgen writes the issuer's subject differently: use each attribute once";
            return Err(CaError::Unwritable(reason.to_owned()));
        }
        Ok(Certificate::from_der(signed.der())?)
    }

    pub(super) fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(super) fn key(&self) -> &EcdsaKey {
        self.issuer.key()
    }

    /// Returns when it ends.
    pub(super) fn end(&self) -> Timestamp {
        self.certificate.not_after()
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.certificate.fmt(f)
    }
}

fn check_authority(parsed: &X509Certificate<'_>, below: u32) -> Result<(), &'static str> {
    let basic = parsed.basic_constraints().ok().flatten().filter(|basic| basic.critical && basic.value.ca);
    let basic = basic.ok_or("it may not sign others")?;
    match (basic.value.path_len_constraint, below) {
        (Some(most), _) if most < below => return Err("it may not sign authorities below it"),
        (Some(0), 0) | (_, 1..) => {}
        _ => return Err("it may sign authorities below it"),
    }
    let usage = parsed.key_usage().ok().flatten();
    if usage.is_none_or(|usage| !usage.value.key_cert_sign()) {
        return Err("its key may not sign certificates");
    }
    Ok(())
}
