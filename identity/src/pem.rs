//! PEM armour (RFC 7468): the strict form is written; what is read may have other sections around it.
//!
//! Must not be used for what is not of this crate: it knows four labels.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::{PemObject as _, SectionKind};
use zeroize::Zeroizing;

use crate::malformed::Malformed;

/// The labels, and what they stand for in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    Certificate,
    PrivateKey,
    PublicKey,
    Request,
}

impl Label {
    fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "CERTIFICATE",
            Self::PrivateKey => "PRIVATE KEY",
            Self::PublicKey => "PUBLIC KEY",
            Self::Request => "CERTIFICATE REQUEST",
        }
    }

    fn kind(self) -> SectionKind {
        match self {
            Self::Certificate => SectionKind::Certificate,
            Self::PrivateKey => SectionKind::PrivateKey,
            Self::PublicKey => SectionKind::PublicKey,
            Self::Request => SectionKind::Csr,
        }
    }

    fn what(self) -> &'static str {
        match self {
            Self::Certificate => "certificate in PEM",
            Self::PrivateKey => "private key in PEM (PKCS#8)",
            Self::PublicKey => "public key in PEM",
            Self::Request => "certificate signing request in PEM",
        }
    }
}

/// Characters of base64 in a line (RFC 7468 §2).
const LINE: usize = 64;

/// Writes one section. The text is wiped when dropped: it may be a private key.
pub(crate) fn encode(label: Label, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let frame = 2 * (label.as_str().len() + "-----BEGIN -----\n".len());
    // Allocated once: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(frame + base64.len() + base64.len() / LINE + 1));
    text.extend(["-----BEGIN ", label.as_str(), "-----\n"]);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.extend([line, "\n"]);
        rest = after;
    }
    text.extend(["-----END ", label.as_str(), "-----\n"]);
    text
}

/// Reads every section of the label; other sections and text between them are passed over.
pub(crate) fn decode_all(label: Label, text: &[u8]) -> Result<Vec<Zeroizing<Vec<u8>>>, Malformed> {
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let (kind, der) = section.map_err(|error| Malformed::new(label.what(), &error))?;
        let der = Zeroizing::new(der);
        if kind == label.kind() {
            found.push(der);
        }
    }
    if found.is_empty() {
        let reason = format!("no section `BEGIN {}`", label.as_str());
        return Err(Malformed::new(label.what(), &reason));
    }
    Ok(found)
}

/// Reads the one section of the label.
pub(crate) fn decode(label: Label, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let mut found = decode_all(label, text)?;
    match (found.pop(), found.is_empty()) {
        (Some(der), true) => Ok(der),
        _ => Err(Malformed::new(label.what(), &"more than one of them")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_64_long_and_nothing_is_reallocated() {
        for length in [0, 1, 47, 48, 49, 96, 121] {
            let text = encode(Label::PrivateKey, &vec![7; length]);
            assert!(text.lines().all(|line| line.len() <= LINE));
            assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{}", *text);
            assert!(text.ends_with("-----END PRIVATE KEY-----\n"), "{}", *text);
            let frame = 2 * ("PRIVATE KEY".len() + 17);
            assert!(text.capacity() >= text.len() && text.capacity() <= frame + 4 * length / 3 + 16);
        }
    }

    #[test]
    fn another_label_none_and_two_are_refused() {
        let certificate = encode(Label::Certificate, &[1]);
        assert!(decode(Label::PrivateKey, certificate.as_bytes()).is_err());
        assert!(decode(Label::Certificate, b"").is_err());
        let two = certificate.repeat(2);
        assert!(decode(Label::Certificate, two.as_bytes()).is_err());
        assert_eq!(decode_all(Label::Certificate, two.as_bytes()).unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(der in proptest::collection::vec(any::<u8>(), 1..300)) {
            let text = encode(Label::PublicKey, &der);
            prop_assert_eq!(&*decode(Label::PublicKey, text.as_bytes()).unwrap(), &der);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_all(Label::Certificate, &bytes);
        }
    }
}
