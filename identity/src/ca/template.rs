//! What every certificate of ours has in common: serial, dates, subject, usages.
//!
//! Must not decide who gets a certificate.

use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::ServerName;
use skerry_core::id::Timestamp;
use time::OffsetDateTime;

use super::{CaError, constraint, seconds};
use crate::key::random;
use crate::lifetimes::{BACKDATE, Validity};
use crate::spiffe_id::{SpiffeId, TrustDomain};
use crate::thumbprint::Thumbprint;

/// What a certificate is for.
pub(super) enum Purpose<'a> {
    /// Signs others, with so many authorities below it, for that domain alone if one is given.
    Authority { below: u8, only: Option<&'a TrustDomain> },
    /// A workload: client and server (X509-SVID §4.4).
    Workload,
    /// A client of the core.
    Client,
    /// The core, by these names.
    Server(&'a [ServerName<'static>]),
}

/// The head of a certificate: who it is for.
pub(super) struct Template<'a> {
    /// The organization in its subject: which kind of certificate it is, for people who look at it.
    pub(super) kind: &'static str,
    /// The common name in its subject; none for a workload, whose name is the URI.
    pub(super) name: Option<&'a str>,
    /// Its URI.
    pub(super) id: &'a SpiffeId,
    /// What it is for.
    pub(super) purpose: Purpose<'a>,
}

/// The longest common name (RFC 5280, appendix A.1, `ub-common-name`). What is longer is cut; the URI has it all.
const MAX_COMMON_NAME: usize = 64;

impl Template<'_> {
    /// Fills in everything. `key` is the subject's.
    pub(super) fn params(&self, key: Thumbprint, validity: &Validity) -> Result<CertificateParams, CaError> {
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial()?);
        let backdated =
            Timestamp(validity.issued.0.saturating_sub(u64::try_from(BACKDATE.as_millis()).unwrap_or(0)));
        params.not_before = date(backdated)?;
        params.not_after = date(validity.until)?;
        params.distinguished_name = self.subject(key)?;
        params.subject_alt_names = vec![SanType::URI(self.id.as_str().try_into()?)];
        params.use_authority_key_identifier_extension = true;
        self.set_purpose(&mut params)?;
        Ok(params)
    }

    /// Authorities have their key's thumbprint in the subject, so that an old and a new one are told apart by name.
    fn subject(&self, key: Thumbprint) -> Result<DistinguishedName, CaError> {
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, self.kind);
        if let Some(name) = self.name {
            subject.push(DnType::CommonName, name.get(..MAX_COMMON_NAME).unwrap_or(name));
        }
        if let Purpose::Authority { .. } = self.purpose {
            let serial_number = DnType::CustomDnType(vec![2, 5, 4, 5]);
            subject.push(serial_number, DnValue::PrintableString(PrintableString::try_from(key.short())?));
        }
        Ok(subject)
    }

    fn set_purpose(&self, params: &mut CertificateParams) -> Result<(), CaError> {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        match self.purpose {
            Purpose::Authority { below, only } => {
                params.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
                params.custom_extensions.extend(only.map(constraint::extension));
            }
            Purpose::Workload => {
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            }
            Purpose::Client => params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            Purpose::Server(names) => {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
                for name in names {
                    params.subject_alt_names.extend(server_name(name)?);
                }
            }
        }
        Ok(())
    }
}

fn server_name(name: &ServerName<'static>) -> Result<Option<SanType>, CaError> {
    Ok(match name {
        ServerName::DnsName(name) => Some(SanType::DnsName(name.as_ref().try_into()?)),
        ServerName::IpAddress(address) => Some(SanType::IpAddress((*address).into())),
        // There is no third kind in this version of the type.
        _ => None,
    })
}

/// Draws a serial number: 16 bytes, positive, 126 of its bits random (RFC 5280 §4.1.2.2 allows 20 bytes).
fn serial() -> Result<SerialNumber, CaError> {
    let mut bytes: [u8; 16] = random()?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn date(time: Timestamp) -> Result<OffsetDateTime, CaError> {
    let fail = || CaError::Unwritable(format!("{time} is no date that a certificate can have"));
    let seconds = i64::try_from(seconds(time)).map_err(|_| fail())?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fail())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn serial_numbers_are_16_bytes_positive_and_differ() {
        let serials: BTreeSet<Vec<u8>> = (0..1000).map(|_| serial().unwrap().to_bytes()).collect();
        assert_eq!(serials.len(), 1000);
        assert!(serials.iter().all(|bytes| bytes.len() == 16 && (0x40..0x80).contains(&bytes[0])));
    }

    #[test]
    fn dates_have_an_end() {
        assert_eq!(date(Timestamp(0)).unwrap().year(), 1970);
        assert_eq!(date(Timestamp(253_402_300_799_000)).unwrap().year(), 9999);
        assert!(date(Timestamp(253_402_300_800_000)).is_err());
        assert!(date(Timestamp(u64::MAX)).is_err());
    }
}
