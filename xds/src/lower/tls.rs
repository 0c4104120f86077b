//! Transport sockets: mutual TLS with the secrets of [`crate::secret`].
//!
//! TLS 1.3 alone: both ends are ours, and it hides the certificates from who listens. No session is resumed: Envoy counts
//! a resumed one as not validated, so that no policy would know its caller, and a workload that was cut off would go on.

use super::cluster::Upstream;
use crate::envoy::core::transport_socket::ConfigType;
use crate::envoy::core::{Metadata, TransportSocket};
use crate::envoy::matcher::StringMatcher;
use crate::envoy::tls::common_tls_context::{CombinedCertificateValidationContext, ValidationContextType};
use crate::envoy::tls::downstream_tls_context::SessionTicketKeysType;
use crate::envoy::tls::subject_alt_name_matcher::SanType;
use crate::envoy::tls::tls_parameters::TlsProtocol;
use crate::envoy::tls::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
    SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
};
use crate::envoy::{BoolValue, Struct, UInt32Value, exactly, from_ads, matching, of_text, pack};
use crate::secret::{MESH_ROOTS, WORKLOAD};

/// What proxies of the mesh offer by ALPN besides what they speak: tells them from others who speak TLS.
pub(super) const ALPN: &str = "skerry";

const NAME: &str = "envoy.transport_sockets.tls";

/// Where Envoy looks among an endpoint's metadata for which socket it takes.
const MATCH: &str = "envoy.transport_socket_match";

/// Makes the socket of a port whose callers say who they are: workloads of the mesh.
pub(super) fn server(workload: &str, upstream: Upstream) -> TransportSocket {
    let context = DownstreamTlsContext {
        common_tls_context: Some(common(vec![matching(workload)], protocols(upstream))),
        require_client_certificate: Some(BoolValue { value: true }),
        disable_stateful_session_resumption: true,
        session_ticket_keys_type: Some(SessionTicketKeysType::DisableStatelessSessionResumption(true)),
        ..Default::default()
    };
    TransportSocket { name: NAME.to_owned(), config_type: Some(ConfigType::TypedConfig(pack(&context))) }
}

/// Makes the socket to a service that is one of these.
pub(super) fn client(ids: &[String], upstream: Upstream) -> TransportSocket {
    let mut alpn = vec![ALPN.to_owned()];
    alpn.extend(protocols(upstream));
    let context = UpstreamTlsContext {
        common_tls_context: Some(common(ids.iter().map(|id| exactly(id)).collect(), alpn)),
        max_session_keys: Some(UInt32Value { value: 0 }),
        ..Default::default()
    };
    TransportSocket { name: NAME.to_owned(), config_type: Some(ConfigType::TypedConfig(pack(&context))) }
}

/// What chooses the client's socket.
pub(super) fn criterion() -> Struct {
    of_text("tls", "mesh")
}

/// Metadata of an endpoint that fulfils it.
pub(super) fn metadata() -> Metadata {
    Metadata { filter_metadata: [(MATCH.to_owned(), criterion())].into(), ..Default::default() }
}

fn protocols(upstream: Upstream) -> Vec<String> {
    let names: &[&str] = match upstream {
        Upstream::Tcp => &[],
        Upstream::Http1 => &["http/1.1"],
        Upstream::Http2 => &["h2"],
        Upstream::LikeDownstream => &["h2", "http/1.1"],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A peer without any of the names is refused, and so is every peer where there are none.
fn common(names: Vec<StringMatcher>, alpn_protocols: Vec<String>) -> CommonTlsContext {
    let uri = |matcher| SubjectAltNameMatcher {
        san_type: SanType::Uri.into(),
        matcher: Some(matcher),
        ..Default::default()
    };
    debug_assert!(!names.is_empty(), "without a name to match Envoy would take every name");
    let validation = CertificateValidationContext {
        match_typed_subject_alt_names: names.into_iter().map(uri).collect(),
        ..Default::default()
    };
    #[expect(deprecated, reason = "the generated type has fields that are")]
    let combined = CombinedCertificateValidationContext {
        default_validation_context: Some(validation),
        validation_context_sds_secret_config: Some(by_sds(MESH_ROOTS)),
        validation_context_certificate_provider: None,
        validation_context_certificate_provider_instance: None,
    };
    let version = TlsProtocol::TlSv13.into();
    CommonTlsContext {
        tls_params: Some(TlsParameters {
            tls_minimum_protocol_version: version,
            tls_maximum_protocol_version: version,
            ..Default::default()
        }),
        tls_certificate_sds_secret_configs: vec![by_sds(WORKLOAD)],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(combined)),
        alpn_protocols,
        ..Default::default()
    }
}

fn by_sds(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: Some(from_ads()) }
}
