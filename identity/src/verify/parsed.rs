//! One certificate, taken apart for verification: strict where a lenient reader could be told two things at once.
//!
//! Must not judge it; only say what it says.

use std::collections::BTreeSet;

use skerry_core::id::Timestamp;
use x509_parser::asn1_rs::Any;
use x509_parser::extensions::{ExtendedKeyUsage, GeneralName, KeyUsage, NameConstraints, ParsedExtension};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use super::{Place, Refusal, seconds};
use crate::certificate::parse;
use crate::signed::is_signed_by;
use crate::spiffe_id::SpiffeId;
use crate::thumbprint::Thumbprint;

/// A certificate and its extensions.
pub(super) struct Parsed<'a> {
    pub(super) place: Place,
    der: &'a [u8],
    x509: X509Certificate<'a>,
    extensions: Extensions<'a>,
}

/// The extensions that verification takes into account.
#[derive(Default)]
struct Extensions<'a> {
    /// Whether it is an authority, and how many may follow.
    basic: Option<(bool, Option<u32>)>,
    usage: Option<(bool, KeyUsage)>,
    extended: Option<ExtendedKeyUsage<'a>>,
    names: Vec<GeneralName<'a>>,
    constraints: Option<(bool, NameConstraints<'a>)>,
}

impl<'a> Parsed<'a> {
    /// Reads a certificate.
    pub(super) fn read(place: Place, der: &'a [u8]) -> Result<Self, Refusal> {
        let x509 = parse(der).map_err(|error| Refusal::Malformed(place, error))?;
        let extensions = Extensions::read(&x509).map_err(|what| Refusal::Extension(place, what))?;
        Ok(Self { place, der, x509, extensions })
    }

    /// Whether `issuer` may have signed it, by name.
    pub(super) fn names_issuer(&self, issuer: &Parsed<'_>) -> bool {
        self.x509.issuer().as_raw() == issuer.x509.subject().as_raw()
    }

    /// Whether `issuer` did sign it.
    pub(super) fn is_signed_by(&self, issuer: &Parsed<'_>) -> bool {
        let content = &self.x509.tbs_certificate;
        // RFC 5280 §4.1.1.2: both places name the same algorithm.
        let same = self.x509.signature_algorithm == content.signature;
        same && is_signed_by(self.der, content.as_ref(), &self.x509.signature_value, issuer.x509.public_key())
    }

    /// Refuses a time outside of its validity; both ends belong to it (RFC 5280 §4.1.2.5).
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), Refusal> {
        let validity = self.x509.validity();
        let [from, until] = [validity.not_before, validity.not_after].map(|time| time.timestamp());
        let clamp = |time: i64| u64::try_from(time).unwrap_or(0);
        let now = seconds(now);
        match i64::try_from(now).unwrap_or(i64::MAX) {
            at if at < from => Err(Refusal::NotYetValid(self.place, clamp(from), now)),
            at if at > until => Err(Refusal::Expired(self.place, clamp(until), now)),
            _ => Ok(()),
        }
    }

    /// Returns how many authorities may follow it: `Err` if it is none, `None` if it sets no limit.
    pub(super) fn below(&self) -> Result<Option<u32>, Refusal> {
        let may_sign = self.extensions.usage.as_ref().is_some_and(|(_, usage)| usage.key_cert_sign());
        match self.extensions.basic {
            Some((true, below)) if may_sign => Ok(below),
            _ => Err(Refusal::NotAnAuthority(self.place)),
        }
    }

    /// Says whether it calls itself an authority.
    pub(super) fn is_authority(&self) -> bool {
        self.extensions.basic.is_some_and(|(is_authority, _)| is_authority)
    }

    /// Returns the key usage if it is there and critical.
    pub(super) fn critical_usage(&self) -> Option<&KeyUsage> {
        self.extensions.usage.as_ref().filter(|(critical, _)| *critical).map(|(_, usage)| usage)
    }

    /// Returns the extended key usage.
    pub(super) fn extended(&self) -> Option<&ExtendedKeyUsage<'a>> {
        self.extensions.extended.as_ref()
    }

    /// Returns its alternative names.
    pub(super) fn names(&self) -> &[GeneralName<'a>] {
        &self.extensions.names
    }

    /// Returns its name constraints, and whether they are critical.
    pub(super) fn constraints(&self) -> Option<&(bool, NameConstraints<'a>)> {
        self.extensions.constraints.as_ref()
    }

    /// Returns its SPIFFE ID: that of its only URI.
    pub(super) fn id(&self) -> Result<SpiffeId, Refusal> {
        let uris: Vec<&str> = self.names().iter().filter_map(uri).collect();
        match uris.as_slice() {
            [only] => SpiffeId::new(only).map_err(|error| Refusal::Name(self.place, error)),
            _ => Err(Refusal::Uris(self.place, uris.len())),
        }
    }

    /// Returns the thumbprint of its key.
    pub(super) fn thumbprint(&self) -> Thumbprint {
        Thumbprint::of_spki(self.x509.public_key().raw)
    }

    /// Returns the last second of its validity.
    pub(super) fn not_after(&self) -> Timestamp {
        crate::certificate::timestamp(self.x509.validity().not_after.timestamp())
    }
}

/// Returns the text of a name that is a URI.
pub(super) fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

impl<'a> Extensions<'a> {
    /// Reads them; one that is there twice, is critical and unknown, or cannot be read to its end is an error in words.
    fn read(x509: &X509Certificate<'a>) -> Result<Self, String> {
        let mut found = Self::default();
        let mut seen = BTreeSet::new();
        if x509.version() != X509Version::V3 {
            return Err("it is not of version 3".to_owned());
        }
        for extension in x509.extensions() {
            let oid = extension.oid.to_id_string();
            if !Any::from_der(extension.value).is_ok_and(|(rest, _)| rest.is_empty()) {
                return Err(format!("{oid} has bytes behind it"));
            }
            if let ParsedExtension::ParseError { .. } = extension.parsed_extension() {
                return Err(format!("{oid} cannot be read"));
            }
            let is_known = found.take(extension.critical, extension.parsed_extension());
            if extension.critical && !is_known {
                return Err(format!("{oid} is critical and not known"));
            }
            if !seen.insert(oid) {
                return Err(format!("{} is there twice", extension.oid.to_id_string()));
            }
        }
        let unread = |name: &GeneralName<'_>| matches!(name, GeneralName::Invalid(..));
        if found.names.iter().any(unread) {
            return Err("one of its names cannot be read".to_owned());
        }
        Ok(found)
    }

    /// Takes an extension into account; says whether it is one of those.
    fn take(&mut self, critical: bool, extension: &ParsedExtension<'a>) -> bool {
        match extension {
            ParsedExtension::BasicConstraints(basic) => {
                self.basic = Some((basic.ca, basic.path_len_constraint));
            }
            ParsedExtension::KeyUsage(usage) => self.usage = Some((critical, *usage)),
            ParsedExtension::ExtendedKeyUsage(usage) => self.extended = Some(usage.clone()),
            ParsedExtension::SubjectAlternativeName(names) => self.names.clone_from(&names.general_names),
            ParsedExtension::NameConstraints(constraints) => {
                self.constraints = Some((critical, constraints.clone()));
            }
            _ => return false,
        }
        true
    }
}
