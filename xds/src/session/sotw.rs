//! State-of-the-world ADS: `DiscoveryRequest` and `DiscoveryResponse`.

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};

use super::variant::{Answer, Ask, Change, Variant, private, to_node_id};
use crate::bootstrap::AdsMode;

/// State-of-the-world xDS: a response holds all clusters or listeners, or the endpoints or routes that
/// changed. A version stands for all that the client then has of a kind.
#[derive(Debug, Clone, Copy)]
pub enum Sotw {}

impl private::Sealed for Sotw {}

impl Variant for Sotw {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;
    const MODE: AdsMode = AdsMode::Sotw;

    fn to_ask(request: DiscoveryRequest) -> Ask {
        Ask {
            node: to_node_id(request.node),
            type_url: request.type_url,
            nonce: request.response_nonce,
            error: request.error_detail.map(|status| status.message),
            change: Change::Whole { names: request.resource_names, version: request.version_info },
        }
    }

    fn to_response(answer: Answer) -> DiscoveryResponse {
        DiscoveryResponse {
            version_info: answer.batch.version,
            resources: answer.batch.whole.iter().map(|resource| resource.any().clone()).collect(),
            type_url: answer.type_url,
            nonce: answer.nonce,
            ..Default::default()
        }
    }
}
