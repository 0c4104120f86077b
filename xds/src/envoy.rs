//! Envoy's vocabulary: its generated types under short names, and constructors for what every
//! resource holds. Must not hold a decision about policy.

use std::net::SocketAddr;

use prost::{Message, Name};

pub(crate) use envoy_types::pb::envoy::config::bootstrap::v3 as bootstrap;
pub(crate) use envoy_types::pb::envoy::config::cluster::v3 as cluster;
pub(crate) use envoy_types::pb::envoy::config::core::v3 as core;
pub(crate) use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
pub(crate) use envoy_types::pb::envoy::config::listener::v3 as listener;
pub(crate) use envoy_types::pb::envoy::config::rbac::v3 as rbac;
pub(crate) use envoy_types::pb::envoy::config::route::v3 as route;
pub(crate) use envoy_types::pb::envoy::data::dns::v3 as dns_table;
pub(crate) use envoy_types::pb::envoy::extensions::filters::http::rbac::v3 as http_rbac;
pub(crate) use envoy_types::pb::envoy::extensions::filters::http::router::v3 as router;
pub(crate) use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3 as tls_inspector;
pub(crate) use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
pub(crate) use envoy_types::pb::envoy::extensions::filters::network::rbac::v3 as network_rbac;
pub(crate) use envoy_types::pb::envoy::extensions::filters::network::tcp_proxy::v3 as tcp_proxy;
pub(crate) use envoy_types::pb::envoy::extensions::filters::udp::dns_filter::v3 as dns_filter;
pub(crate) use envoy_types::pb::envoy::extensions::matching::common_inputs::ssl::v3 as ssl_inputs;
pub(crate) use envoy_types::pb::envoy::extensions::rbac::principals::mtls_authenticated::v3 as mtls_authenticated;
pub(crate) use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3 as previous_hosts;
pub(crate) use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
pub(crate) use envoy_types::pb::envoy::extensions::upstreams::http::v3 as upstream_http;
pub(crate) use envoy_types::pb::envoy::service::discovery::v3 as discovery;
pub(crate) use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
pub(crate) use envoy_types::pb::envoy::r#type::v3 as value;
pub(crate) use envoy_types::pb::google::protobuf::value::Kind::{NumberValue as Number, StringValue as Text};
pub(crate) use envoy_types::pb::google::protobuf::{Any, BoolValue, Duration, Struct, UInt32Value, Value};
pub(crate) use envoy_types::pb::xds::core::v3 as xds_core;
pub(crate) use envoy_types::pb::xds::r#type::matcher::v3 as xds_matcher;

/// Packs a message with its type URL.
pub(crate) fn pack<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// Makes a duration of milliseconds.
pub(crate) fn millis(milliseconds: u64) -> Duration {
    let seconds = i64::try_from(milliseconds / 1000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(milliseconds % 1000).expect("a remainder of 1000 fits") * 1_000_000;
    Duration { seconds, nanos }
}

/// Makes the address of a TCP socket.
pub(crate) fn tcp(at: SocketAddr) -> core::Address {
    socket(at, core::socket_address::Protocol::Tcp)
}

/// Makes the address of a UDP socket.
pub(crate) fn udp(at: SocketAddr) -> core::Address {
    socket(at, core::socket_address::Protocol::Udp)
}

fn socket(at: SocketAddr, protocol: core::socket_address::Protocol) -> core::Address {
    let socket = core::SocketAddress {
        protocol: protocol.into(),
        address: at.ip().to_string(),
        port_specifier: Some(core::socket_address::PortSpecifier::PortValue(at.port().into())),
        ..Default::default()
    };
    core::Address { address: Some(core::address::Address::SocketAddress(socket)) }
}

/// Makes the address of a Unix socket; `mode` 0 leaves the mode to the process.
pub(crate) fn pipe(path: String, mode: u32) -> core::Address {
    core::Address { address: Some(core::address::Address::Pipe(core::Pipe { path, mode })) }
}

/// Names ADS as the source of a resource; Envoy's default of 15 s for the first answer holds.
pub(crate) fn from_ads() -> core::ConfigSource {
    core::ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(core::config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        ..Default::default()
    }
}

/// Makes a structure of one text. With one field alone: the order of several would not be fixed.
pub(crate) fn of_text(key: &str, text: &str) -> Struct {
    Struct { fields: [(key.to_owned(), Value { kind: Some(Text(text.to_owned())) })].into() }
}

/// Makes a matcher for one exact text.
pub(crate) fn exactly(text: &str) -> matcher::StringMatcher {
    string_matcher(matcher::string_matcher::MatchPattern::Exact(text.to_owned()))
}

/// Makes a matcher for a whole text by an RE2 expression.
pub(crate) fn matching(regex: &str) -> matcher::StringMatcher {
    string_matcher(matcher::string_matcher::MatchPattern::SafeRegex(expression(regex)))
}

/// Makes a matcher for the beginning of a text.
pub(crate) fn beginning(prefix: &str) -> matcher::StringMatcher {
    string_matcher(matcher::string_matcher::MatchPattern::Prefix(prefix.to_owned()))
}

fn string_matcher(pattern: matcher::string_matcher::MatchPattern) -> matcher::StringMatcher {
    matcher::StringMatcher { match_pattern: Some(pattern), ..Default::default() }
}

/// Makes an RE2 expression.
pub(crate) fn expression(regex: &str) -> matcher::RegexMatcher {
    matcher::RegexMatcher { regex: regex.to_owned(), ..Default::default() }
}

/// Takes the meaning from every character that has one in RE2.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() && !character.is_ascii_alphanumeric() && character != '_' {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn quotes_what_re2_would_read() {
        assert_eq!(quote("/a.b_c+ä"), r"\/a\.b_c\+ä");
    }
}
