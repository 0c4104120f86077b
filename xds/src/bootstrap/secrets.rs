//! Secrets of a start file that needs nobody: from files beside it, which are replaced when a certificate is renewed.

use std::path::Path;

use prost::Message as _;

use super::text;
use crate::envoy::cluster::Cluster;
use crate::envoy::core::config_source::ConfigSourceSpecifier;
use crate::envoy::core::transport_socket::ConfigType;
use crate::envoy::core::{ApiVersion, ConfigSource, PathConfigSource, TransportSocket};
use crate::envoy::listener::Listener;
use crate::envoy::pack;
use crate::envoy::tls::common_tls_context::ValidationContextType;
use crate::envoy::tls::{CommonTlsContext, DownstreamTlsContext, SdsSecretConfig, UpstreamTlsContext};
use crate::secret::file_name;

/// Lets a cluster read its secrets from a folder.
pub(super) fn fix_cluster(mut cluster: Cluster, folder: &Path) -> Cluster {
    let sockets = cluster.transport_socket_matches.iter_mut().filter_map(|it| it.transport_socket.as_mut());
    for socket in sockets {
        let Some(ConfigType::TypedConfig(any)) = &mut socket.config_type else { continue };
        if let Ok(mut context) = UpstreamTlsContext::decode(any.value.as_slice()) {
            fix(context.common_tls_context.as_mut(), folder);
            *any = pack(&context);
        }
    }
    cluster
}

/// Lets a listener read its secrets from a folder.
pub(super) fn fix_listener(mut listener: Listener, folder: &Path) -> Listener {
    let chains = listener.filter_chains.iter_mut().filter_map(|chain| chain.transport_socket.as_mut());
    for TransportSocket { config_type, .. } in chains {
        let Some(ConfigType::TypedConfig(any)) = config_type else { continue };
        if let Ok(mut context) = DownstreamTlsContext::decode(any.value.as_slice()) {
            fix(context.common_tls_context.as_mut(), folder);
            *any = pack(&context);
        }
    }
    listener
}

fn fix(context: Option<&mut CommonTlsContext>, folder: &Path) {
    let Some(context) = context else { return };
    context.tls_certificate_sds_secret_configs.iter_mut().for_each(|config| read_from(config, folder));
    if let Some(ValidationContextType::CombinedValidationContext(combined)) =
        &mut context.validation_context_type
    {
        combined.validation_context_sds_secret_config.iter_mut().for_each(|config| read_from(config, folder));
    }
}

fn read_from(config: &mut SdsSecretConfig, folder: &Path) {
    let path = PathConfigSource { path: text(&folder.join(file_name(&config.name))), ..Default::default() };
    config.sds_config = Some(ConfigSource {
        resource_api_version: ApiVersion::V3.into(),
        config_source_specifier: Some(ConfigSourceSpecifier::PathConfigSource(path)),
        ..Default::default()
    });
}
