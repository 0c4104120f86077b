//! IPv4 networks for virtual addresses.

use ipnet::Ipv4Net;

use crate::findings::Findings;

use super::invalid;

/// Reads a network of prefix length 8 to 30 without host bits: what a proxy can take addresses from.
pub(crate) fn outbound_cidr(text: &str, pointer: &str, findings: &mut Findings<'_>) -> Option<Ipv4Net> {
    let network = text.parse::<Ipv4Net>().ok().filter(|network| (8..=30).contains(&network.prefix_len()));
    let Some(network) = network else {
        let help = "write an IPv4 network of prefix length 8 to 30, such as 127.65.0.0/16";
        invalid(findings, pointer, format!("`{text}` is not a usable network"), help);
        return None;
    };
    if network.trunc() != network {
        let message = format!("`{text}` is an address in a network, not the network");
        invalid(findings, pointer, message, format!("write {}", network.trunc()));
        return None;
    }
    Some(network)
}
