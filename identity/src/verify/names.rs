//! Name constraints (RFC 5280 §4.2.1.10): whether an authority may name what is named below it.
//!
//! Kinds that are not known here are refused, not passed over.

use x509_parser::extensions::{GeneralName, GeneralSubtree};

use super::Refusal;
use super::parsed::Parsed;

/// Holds every name of `subject` against the constraints of `authority`, which stands above it.
pub(super) fn check(authority: &Parsed<'_>, subject: &Parsed<'_>) -> Result<(), Refusal> {
    let Some((_, constraints)) = authority.constraints() else { return Ok(()) };
    let permitted = constraints.permitted_subtrees.as_deref().unwrap_or_default();
    let excluded = constraints.excluded_subtrees.as_deref().unwrap_or_default();
    if permitted.iter().chain(excluded).any(|subtree| Kind::of(&subtree.base).is_none()) {
        return Err(Refusal::UnknownConstraint(authority.place));
    }
    subject.names().iter().try_for_each(|name| {
        if is_allowed(name, permitted, excluded) {
            return Ok(());
        }
        Err(Refusal::OutsideConstraint { place: authority.place, name: text(name) })
    })
}

/// Returns the hosts to which an authority's URIs are confined, if it is confined by a critical constraint.
pub(super) fn only_hosts<'a>(authority: &'a Parsed<'_>) -> Option<Vec<&'a str>> {
    let (_, constraints) = authority.constraints().filter(|(critical, _)| *critical)?;
    let permitted = constraints.permitted_subtrees.as_deref()?;
    let hosts: Vec<&str> = permitted.iter().filter_map(|subtree| super::parsed::uri(&subtree.base)).collect();
    (!hosts.is_empty()).then_some(hosts)
}

/// The kinds of names that constraints are understood for.
#[derive(PartialEq, Eq)]
enum Kind {
    Uri,
    Dns,
    Address,
}

impl Kind {
    fn of(name: &GeneralName<'_>) -> Option<Self> {
        match name {
            GeneralName::URI(_) => Some(Self::Uri),
            GeneralName::DNSName(_) => Some(Self::Dns),
            GeneralName::IPAddress(_) => Some(Self::Address),
            _ => None,
        }
    }
}

/// A name of a kind that is constrained at all lies in a permitted subtree, and in no excluded one.
fn is_allowed(
    name: &GeneralName<'_>,
    permitted: &[GeneralSubtree<'_>],
    excluded: &[GeneralSubtree<'_>],
) -> bool {
    let kind = Kind::of(name);
    let mut relevant = permitted.iter().filter(|subtree| Kind::of(&subtree.base) == kind).peekable();
    let is_free = relevant.peek().is_none();
    let is_permitted = is_free || relevant.any(|subtree| lies_in(name, &subtree.base) == Some(true));
    let is_excluded = excluded
        .iter()
        .filter(|subtree| Kind::of(&subtree.base) == kind)
        .any(|subtree| lies_in(name, &subtree.base) != Some(false));
    is_permitted && !is_excluded
}

/// Says whether a name lies in a subtree; nothing if it cannot be told: then it is neither in nor out.
fn lies_in(name: &GeneralName<'_>, base: &GeneralName<'_>) -> Option<bool> {
    match (name, base) {
        (GeneralName::URI(uri), GeneralName::URI(constraint)) => {
            host(uri).map(|host| host_in(host, constraint))
        }
        (GeneralName::DNSName(name), GeneralName::DNSName(constraint)) => Some(dns_in(name, constraint)),
        (GeneralName::IPAddress(address), GeneralName::IPAddress(range)) => address_in(address, range),
        _ => None,
    }
}

/// The host of a URI: nothing if there is none, or if it is an address, which no constraint can be for.
fn host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, host_and_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, _) = host_and_port.split_once(':').unwrap_or((host_and_port, ""));
    let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err();
    is_name.then_some(host)
}

/// With a leading dot: every host below, and not that one itself. Without: that host alone.
fn host_in(host: &str, constraint: &str) -> bool {
    if !constraint.starts_with('.') {
        return !constraint.is_empty() && host.eq_ignore_ascii_case(constraint);
    }
    ends_with(host, constraint) && host.len() > constraint.len()
}

/// That name, and every one below it; an empty constraint is every name.
fn dns_in(name: &str, constraint: &str) -> bool {
    let constraint = constraint.strip_prefix('.').unwrap_or(constraint);
    let is_below = || ends_with(name, &format!(".{constraint}"));
    constraint.is_empty() || name.eq_ignore_ascii_case(constraint) || is_below()
}

fn ends_with(text: &str, end: &str) -> bool {
    let start = text.len().checked_sub(end.len());
    start.and_then(|start| text.get(start..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// Address and mask together are twice as long as an address; another family is out.
fn address_in(address: &[u8], range: &[u8]) -> Option<bool> {
    if ![4, 16].contains(&address.len()) || ![8, 32].contains(&range.len()) {
        return None;
    }
    let (network, mask) = range.split_at(range.len() / 2);
    let masked = address.iter().zip(mask).map(|(byte, mask)| byte & mask);
    let same = masked.eq(network.iter().zip(mask).map(|(byte, mask)| byte & mask));
    Some(network.len() == address.len() && same)
}

fn text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(text) | GeneralName::DNSName(text) => text.chars().take(200).collect(),
        other => other.to_string().chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_uri_constraints() {
        let cases = [
            ("spiffe://oslo.mesh.local/a", "oslo.mesh.local", Some(true)),
            ("spiffe://OSLO.mesh.local/a", "oslo.mesh.local", Some(true)),
            ("spiffe://oslo.mesh.local", "oslo.mesh.local", Some(true)),
            ("spiffe://oslo.mesh.local:80/a", "oslo.mesh.local", Some(true)),
            ("spiffe://oslo.mesh.local?a", "oslo.mesh.local", Some(true)),
            ("spiffe://a@oslo.mesh.local/a", "oslo.mesh.local", Some(true)),
            ("spiffe://oslo.mesh.local@bergen.mesh.local/a", "oslo.mesh.local", Some(false)),
            ("spiffe://x.oslo.mesh.local/a", "oslo.mesh.local", Some(false)),
            ("spiffe://bergen.mesh.local/oslo.mesh.local", "oslo.mesh.local", Some(false)),
            ("spiffe://oslo.mesh.local.evil/a", "oslo.mesh.local", Some(false)),
            ("spiffe://x.oslo.mesh.local/a", ".mesh.local", Some(true)),
            ("spiffe://mesh.local/a", ".mesh.local", Some(false)),
            ("spiffe://.mesh.local/a", ".mesh.local", Some(false)),
            ("spiffe://xmesh.local/a", ".mesh.local", Some(false)),
            ("spiffe://oslo.mesh.local/a", "", Some(false)),
            ("spiffe:///a", "oslo.mesh.local", None),
            ("urn:oslo.mesh.local", "oslo.mesh.local", None),
            ("spiffe://10.0.0.1/a", "10.0.0.1", None),
            ("spiffe://[::1]/a", "oslo.mesh.local", None),
        ];
        for (uri, constraint, expected) in cases {
            let found = lies_in(&GeneralName::URI(uri), &GeneralName::URI(constraint));
            assert_eq!(found, expected, "{uri} in `{constraint}`");
        }
    }

    #[test]
    fn a_table_of_dns_and_address_constraints() {
        let dns = [
            ("a.example.com", "", true),
            ("example.com", "example.com", true),
            ("a.Example.com", "example.com", true),
            ("aexample.com", "example.com", false),
            ("a.example.com", ".example.com", true),
            ("a.example.org", "example.com", false),
        ];
        for (name, constraint, expected) in dns {
            assert_eq!(dns_in(name, constraint), expected, "{name} in `{constraint}`");
        }
        let address: &[(&[u8], &[u8], Option<bool>)] = &[
            (&[10, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0], Some(true)),
            (&[11, 1, 2, 3], &[10, 0, 0, 0, 255, 0, 0, 0], Some(false)),
            (&[11, 1, 2, 3], &[0; 8], Some(true)),
            (&[0; 16], &[0; 32], Some(true)),
            (&[0; 16], &[0; 8], Some(false)),
            (&[0; 4], &[0; 32], Some(false)),
            (&[0; 5], &[0; 8], None),
            (&[0; 4], &[0; 7], None),
        ];
        for (name, range, expected) in address {
            assert_eq!(address_in(name, range), *expected, "{name:?} in {range:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_neither_permitted_nor_free_of_exclusion() {
        let subtree = |base| [GeneralSubtree { base }];
        let addressed = GeneralName::URI("spiffe://10.0.0.1/a");
        assert!(!is_allowed(&addressed, &subtree(GeneralName::URI("10.0.0.1")), &[]));
        assert!(!is_allowed(&addressed, &[], &subtree(GeneralName::URI("example.com"))));
        assert!(is_allowed(&addressed, &subtree(GeneralName::DNSName("example.com")), &[]));
        assert!(is_allowed(
            &GeneralName::RFC822Name("a@b"),
            &subtree(GeneralName::DNSName("example.com")),
            &[]
        ));
    }
}
