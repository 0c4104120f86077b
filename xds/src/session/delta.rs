//! Incremental ADS: `DeltaDiscoveryRequest` and `DeltaDiscoveryResponse`.

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource,
};

use super::variant::{Answer, Ask, Change, Variant, private, to_node_id};
use crate::bootstrap::AdsMode;

/// Incremental xDS: a response holds what changed.
#[derive(Debug, Clone, Copy)]
pub enum Delta {}

impl private::Sealed for Delta {}

impl Variant for Delta {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;
    const MODE: AdsMode = AdsMode::Delta;

    fn to_ask(request: DeltaDiscoveryRequest) -> Ask {
        Ask {
            node: to_node_id(request.node),
            type_url: request.type_url,
            nonce: request.response_nonce,
            error: request.error_detail.map(|status| status.message),
            change: Change::Delta {
                subscribe: request.resource_names_subscribe,
                unsubscribe: request.resource_names_unsubscribe,
                initial: request.initial_resource_versions.into_iter().collect(),
            },
        }
    }

    fn to_response(answer: Answer) -> DeltaDiscoveryResponse {
        let resources = answer.batch.new.into_iter().map(|(name, resource)| Resource {
            name: name.to_string(),
            version: resource.version().to_owned(),
            resource: Some(resource.any().clone()),
            ..Default::default()
        });
        DeltaDiscoveryResponse {
            system_version_info: answer.system_version,
            resources: resources.collect(),
            type_url: answer.type_url,
            removed_resources: answer.batch.removed.iter().map(ToString::to_string).collect(),
            nonce: answer.nonce,
            ..Default::default()
        }
    }
}
