//! The names of services over DNS: `<service>.<namespace>.svc.cluster.local` is the virtual address.
//!
//! A resolver that sends `cluster.local` here (systemd-resolved, dnsmasq, CoreDNS) makes the names
//! work in unchanged programs. Other names get an answer of "no such name": the proxy asks nobody.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use skerry_core::id::NamespacedName;

use crate::envoy::core::TrafficDirection;
use crate::envoy::dns_filter::DnsFilterConfig;
use crate::envoy::dns_filter::dns_filter_config::{ServerContextConfig, server_context_config::ConfigSource};
use crate::envoy::dns_table::DnsTable;
use crate::envoy::dns_table::dns_table::{
    AddressList, DnsEndpoint, DnsVirtualDomain, dns_endpoint::EndpointConfig,
};
use crate::envoy::listener::listener_filter::ConfigType;
use crate::envoy::listener::{Listener, ListenerFilter, UdpListenerConfig};
use crate::envoy::{millis, pack, udp};
use crate::lower::{Draft, Scope, address};
use crate::resource::Named;

/// The UDP port at the proxy's own virtual address that answers names. Not 53: that needs privileges.
pub const DNS_PORT: u16 = 15053;

/// The listener's name.
const NAME: &str = "dns";

/// An answer may be kept for 30 s, the least that Envoy allows; addresses move only when a service is made anew.
const TTL_MS: u64 = 30_000;

/// The listener of the bundle before, and the names that it answers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    names: Vec<(NamespacedName, IpAddr)>,
    listener: Option<Named>,
}

/// Adds the listener that answers names, if the proxy has an address of its own. `memory` is of the same
/// proxy and is brought up to date.
pub(crate) fn lower(scope: &Scope<'_>, memory: &mut Memory, draft: &mut Draft) {
    let Some(own) = scope.cidr.and_then(address::of_proxy) else { return };
    if let Err(reason) = draft.can_bind(SocketAddr::new(own.into(), DNS_PORT)) {
        let message = format!("its proxy answers no names: {reason}");
        return draft.report(format!("workload {}", scope.owner.name), message);
    }
    let known = memory.names.iter().map(|(name, address)| (name, *address));
    if !known.eq(names(scope)) || memory.listener.is_none() {
        memory.names = names(scope).map(|(name, address)| (name.clone(), address)).collect();
        memory.listener = Some(Named::listener(&to_listener(own, &memory.names)));
    }
    memory.listener.iter().for_each(|listener| draft.set.insert(listener));
}

/// The services that have an address, with it.
fn names<'a>(scope: &'a Scope<'_>) -> impl Iterator<Item = (&'a NamespacedName, IpAddr)> {
    let services = scope.bundle.services.iter();
    services.filter_map(|(name, service)| Some((name, address::of_service(service, scope.cidr).ok()?)))
}

fn to_listener(own: Ipv4Addr, names: &[(NamespacedName, IpAddr)]) -> Listener {
    let table = DnsTable { virtual_domains: names.iter().map(to_domain).collect(), ..Default::default() };
    let server = ServerContextConfig { config_source: Some(ConfigSource::InlineDnsTable(table)) };
    let config = DnsFilterConfig {
        stat_prefix: NAME.to_owned(),
        server_config: Some(server),
        case_insensitive: true,
        ..Default::default()
    };
    let filter = ListenerFilter {
        name: "envoy.filters.udp.dns_filter".to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack(&config))),
        ..Default::default()
    };
    Listener {
        name: NAME.to_owned(),
        address: Some(udp(SocketAddr::new(own.into(), DNS_PORT))),
        stat_prefix: NAME.to_owned(),
        listener_filters: vec![filter],
        udp_listener_config: Some(UdpListenerConfig::default()),
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    }
}

fn to_domain((service, address): &(NamespacedName, IpAddr)) -> DnsVirtualDomain {
    let addresses = AddressList { address: vec![address.to_string()] };
    DnsVirtualDomain {
        name: format!("{}.{}.svc.cluster.local", service.name, service.namespace),
        endpoint: Some(DnsEndpoint { endpoint_config: Some(EndpointConfig::AddressList(addresses)) }),
        answer_ttl: Some(millis(TTL_MS)),
    }
}
