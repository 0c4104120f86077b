//! Forged certificates: whatever a thief of an authority's key could sign.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyUsagePurpose, SanType, SigningKey,
};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::ca::Authority;
use crate::certificate::{Certificate, parse};
use crate::fixture::at;
use crate::key::EcdsaKey;

pub(super) const SIGN: KeyUsagePurpose = KeyUsagePurpose::DigitalSignature;
pub(super) const AGREEMENT: KeyUsagePurpose = KeyUsagePurpose::KeyAgreement;
pub(super) const CERT_SIGN: KeyUsagePurpose = KeyUsagePurpose::KeyCertSign;
pub(super) const CRL_SIGN: KeyUsagePurpose = KeyUsagePurpose::CrlSign;
pub(super) const CLIENT: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ClientAuth;
pub(super) const SERVER: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ServerAuth;

/// `id-ce-subjectAltName`, and a value for it: one URI, `a:`.
pub(super) const NAMES: &[u64] = &[2, 5, 29, 17];
pub(super) const OTHER_NAMES: &[u8] = b"\x30\x04\x86\x02a:";

const CONSTRAINTS: &[u64] = &[2, 5, 29, 30];

/// A certificate that is right until it is told otherwise.
pub(super) struct Forgery(CertificateParams);

impl Forgery {
    fn new(ids: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "forged");
        Self(params).ids(ids).valid(-1, 20)
    }

    pub(super) fn workload(ids: &[&str]) -> Self {
        let mut forgery = Self::new(ids).usage(&[SIGN]).extended(&[SERVER, CLIENT]);
        forgery.0.is_ca = IsCa::ExplicitNoCa;
        forgery
    }

    /// The authority of a site. Its subject is the same each time.
    pub(super) fn site_authority(site: &str) -> Self {
        let domain = format!("{site}.mesh.local");
        let forgery = Self::new(&[&format!("spiffe://{domain}")]).usage(&[CERT_SIGN]);
        forgery.authority(0).constraint(true, &domain)
    }

    /// A root with the subject of another.
    pub(super) fn named_as(authority: &impl Authority) -> Self {
        let mut forgery = Self::root();
        let parsed = parse(authority.certificate().der()).unwrap();
        let value = |oid: &str| {
            let mut attributes = parsed.subject().iter_attributes();
            let found = attributes.find(|attribute| attribute.attr_type().to_id_string() == oid).unwrap();
            found.as_str().unwrap().to_owned()
        };
        let mut subject = DistinguishedName::new();
        subject.push(DnType::OrganizationName, value("2.5.4.10"));
        subject.push(DnType::CommonName, value("2.5.4.3"));
        let serial = rcgen::string::PrintableString::try_from(value("2.5.4.5")).unwrap();
        subject.push(DnType::CustomDnType(vec![2, 5, 4, 5]), rcgen::DnValue::PrintableString(serial));
        forgery.0.distinguished_name = subject;
        forgery
    }

    pub(super) fn ids(mut self, ids: &[&str]) -> Self {
        self.0.subject_alt_names = ids.iter().map(|id| SanType::URI((*id).try_into().unwrap())).collect();
        self
    }

    /// In hours from now.
    pub(super) fn valid(mut self, from: i64, until: i64) -> Self {
        let date =
            |hours| OffsetDateTime::from_unix_timestamp(i64::try_from(at(hours).0 / 1000).unwrap()).unwrap();
        (self.0.not_before, self.0.not_after) = (date(from), date(until));
        self
    }

    pub(super) fn usage(mut self, usages: &[KeyUsagePurpose]) -> Self {
        self.0.key_usages = usages.to_vec();
        self
    }

    pub(super) fn extended(mut self, usages: &[ExtendedKeyUsagePurpose]) -> Self {
        self.0.extended_key_usages = usages.to_vec();
        self
    }

    pub(super) fn authority(mut self, below: u8) -> Self {
        self.0.is_ca = IsCa::Ca(BasicConstraints::Constrained(below));
        self
    }

    pub(super) fn no_authority(mut self) -> Self {
        self.0.is_ca = IsCa::ExplicitNoCa;
        self
    }

    pub(super) fn no_subject(mut self) -> Self {
        self.0.distinguished_name = DistinguishedName::new();
        self
    }

    pub(super) fn dns(mut self, name: &str) -> Self {
        self.0.subject_alt_names.push(SanType::DnsName(name.try_into().unwrap()));
        self
    }

    pub(super) fn address(mut self, address: [u8; 4]) -> Self {
        self.0.subject_alt_names.push(SanType::IpAddress(address.into()));
        self
    }

    pub(super) fn email(mut self, address: &str) -> Self {
        self.0.subject_alt_names.push(SanType::Rfc822Name(address.try_into().unwrap()));
        self
    }

    pub(super) fn extension(mut self, oid: &[u64], critical: bool, content: &[u8]) -> Self {
        let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
        extension.set_criticality(critical);
        self.0.custom_extensions.push(extension);
        self
    }

    pub(super) fn unconstrained(mut self) -> Self {
        self.0.custom_extensions.clear();
        self
    }

    /// One URI is permitted; names here are short.
    pub(super) fn constraint(self, critical: bool, host: &str) -> Self {
        self.constraint_of(0x86, critical, host)
    }

    pub(super) fn constraint_for_email(self) -> Self {
        self.constraint_of(0x81, true, "example.com")
    }

    fn constraint_of(self, tag: u8, critical: bool, host: &str) -> Self {
        let wrap = |tag, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
        let permitted = wrap(0xa0, &wrap(0x30, &wrap(tag, host.as_bytes())));
        self.unconstrained().extension(CONSTRAINTS, critical, &wrap(0x30, &permitted))
    }

    /// For a new key, signed by an authority.
    pub(super) fn sign(&self, authority: &impl Authority) -> CertificateDer<'static> {
        self.sign_for(&EcdsaKey::generate().unwrap(), authority.certificate(), authority.key())
    }

    pub(super) fn sign_for(
        &self,
        key: &EcdsaKey,
        issuer: &Certificate,
        issuer_key: &impl SigningKey,
    ) -> CertificateDer<'static> {
        let issuer = Issuer::from_ca_cert_der(issuer.der(), issuer_key).unwrap();
        self.0.signed_by(key, &issuer).unwrap().der().clone()
    }

    /// For a new key, signed with the key of what was forged before.
    pub(super) fn sign_by(
        &self,
        issuer: &CertificateDer<'_>,
        issuer_key: &EcdsaKey,
    ) -> CertificateDer<'static> {
        let issuer = Certificate::from_der(issuer).unwrap();
        self.sign_for(&EcdsaKey::generate().unwrap(), &issuer, issuer_key)
    }

    /// The same subject and key as an authority has, signed by what was forged before.
    pub(super) fn sign_for_key(
        mut self,
        authority: &impl Authority,
        issuer: &CertificateDer<'_>,
        issuer_key: &EcdsaKey,
    ) -> CertificateDer<'static> {
        self.0.distinguished_name = Self::named_as(authority).0.distinguished_name;
        self.sign_for(authority.key(), &Certificate::from_der(issuer).unwrap(), issuer_key)
    }

    /// A root.
    pub(super) fn root() -> Self {
        Self::new(&["spiffe://mesh.local"]).usage(&[CERT_SIGN]).authority(1)
    }

    pub(super) fn sign_self(&self, key: &impl SigningKey) -> CertificateDer<'static> {
        self.0.self_signed(key).unwrap().der().clone()
    }
}
