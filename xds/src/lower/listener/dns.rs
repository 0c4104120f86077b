//! The names of services over DNS: `<service>.<namespace>.svc.cluster.local` is the virtual address.
//!
//! A resolver that sends `cluster.local` here (systemd-resolved, dnsmasq, CoreDNS) makes the names
//! work in unchanged programs. Other names get an answer of "no such name": the proxy asks nobody.

use std::net::SocketAddr;

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

/// The UDP port at the proxy's own virtual address that answers names. Not 53: that needs privileges.
pub const DNS_PORT: u16 = 15053;

/// The listener's name.
const NAME: &str = "dns";

/// An answer may be kept for 30 s, the least that Envoy allows; addresses move only when a service is made anew.
const TTL_MS: u64 = 30_000;

/// Adds the listener that answers names, if the proxy has an address of its own.
pub(crate) fn lower(scope: &Scope<'_>, draft: &mut Draft) {
    let Some(own) = scope.cidr.and_then(address::of_proxy) else { return };
    let table = DnsTable { virtual_domains: virtual_domains(scope), ..Default::default() };
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
    draft.set.add_listener(&Listener {
        name: NAME.to_owned(),
        address: Some(udp(SocketAddr::new(own.into(), DNS_PORT))),
        stat_prefix: NAME.to_owned(),
        listener_filters: vec![filter],
        udp_listener_config: Some(UdpListenerConfig::default()),
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    });
}

fn virtual_domains(scope: &Scope<'_>) -> Vec<DnsVirtualDomain> {
    let services = scope.bundle.services.values();
    let addressed =
        services.filter_map(|service| Some((service, address::of_service(service, scope.cidr).ok()?)));
    addressed
        .map(|(service, address)| DnsVirtualDomain {
            name: format!("{}.{}.svc.cluster.local", service.name, service.namespace),
            endpoint: Some(DnsEndpoint {
                endpoint_config: Some(EndpointConfig::AddressList(AddressList {
                    address: vec![address.to_string()],
                })),
            }),
            answer_ttl: Some(millis(TTL_MS)),
        })
        .collect()
}
