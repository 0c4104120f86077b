//! The name constraint of a site's authority, in DER (RFC 5280 §4.2.1.10).
//!
//! URIs: the site's trust domain and nothing else; a host without a leading dot is that host alone. DNS names and addresses:
//! none, so that whoever trusts the mesh root for names of hosts by mistake is not open to each site. Written here since
//! rcgen has no URIs in its constraints.

use rcgen::CustomExtension;

use crate::spiffe_id::TrustDomain;

/// `id-ce-nameConstraints`.
const OID: &[u64] = &[2, 5, 29, 30];

const SEQUENCE: u8 = 0x30;
const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;

/// Writes the constraint, critical.
pub(super) fn extension(domain: &TrustDomain) -> CustomExtension {
    let permitted = tlv(PERMITTED, &[subtree(URI, domain.as_str().as_bytes())]);
    // Address and mask, of 4 and of 16 bytes: all zero is every address. An empty name is every DNS name.
    let excluded = [subtree(DNS_NAME, b""), subtree(IP_ADDRESS, &[0; 8]), subtree(IP_ADDRESS, &[0; 32])];
    let content = tlv(SEQUENCE, &[permitted, tlv(EXCLUDED, &excluded)]);
    let mut extension = CustomExtension::from_oid_content(OID, content);
    extension.set_criticality(true);
    extension
}

fn subtree(tag: u8, base: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[tlv(tag, &[base])])
}

/// Writes tag, length and parts. The longest is the whole: a domain of 255 bytes and 100 more, so two bytes of length do.
fn tlv(tag: u8, parts: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let content: Vec<u8> = parts.iter().flat_map(AsRef::as_ref).copied().collect();
    let [high, low] =
        u16::try_from(content.len()).expect("a constraint is shorter than 400 bytes").to_be_bytes();
    let head = match (high, low) {
        (0, 0..=0x7f) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

#[cfg(test)]
mod tests {
    use x509_parser::extensions::{GeneralName, NameConstraints};
    use x509_parser::prelude::FromDer as _;

    use super::*;

    #[test]
    fn another_reader_finds_the_same_whatever_the_length() {
        for length in [1, 100, 115, 120, 125, 126, 127, 128, 150, 200, 253, 255] {
            let domain = TrustDomain::new(&"d".repeat(length)).unwrap();
            let extension = extension(&domain);
            assert!(extension.criticality());
            let (rest, found) = NameConstraints::from_der(extension.content()).unwrap();
            assert!(rest.is_empty());
            let bases = |list: Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| {
                list.unwrap().iter().map(|subtree| format!("{:?}", subtree.base)).collect::<Vec<_>>()
            };
            let expected = [GeneralName::URI(domain.as_str())].map(|name| format!("{name:?}"));
            assert_eq!(bases(found.permitted_subtrees), expected);
            let excluded =
                [GeneralName::DNSName(""), GeneralName::IPAddress(&[0; 8]), GeneralName::IPAddress(&[0; 32])];
            assert_eq!(bases(found.excluded_subtrees), excluded.map(|name| format!("{name:?}")));
        }
    }
}
