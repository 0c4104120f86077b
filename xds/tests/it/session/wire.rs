//! Both forms of ADS as the model of a proxy speaks them.

use std::collections::{BTreeMap, BTreeSet};

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status;
use skerry_xds::resource::ResourceKind;
use skerry_xds::session::{Delta, Sotw, Variant};

use super::transcript::{name_of, version};

/// A response as a proxy reads it.
pub(super) struct Payload {
    pub(super) kind: ResourceKind,
    pub(super) nonce: String,
    pub(super) version: String,
    pub(super) new: BTreeMap<String, Any>,
    pub(super) removed: BTreeSet<String>,
    /// Whether what is not in it is no more.
    pub(super) is_whole: bool,
}

/// What a proxy says about one kind.
pub(super) struct Say<'a> {
    pub(super) kind: ResourceKind,
    /// The last nonce; empty on a new stream.
    pub(super) nonce: String,
    /// The last version that it took.
    pub(super) version: String,
    pub(super) before: &'a BTreeSet<String>,
    pub(super) after: &'a BTreeSet<String>,
    pub(super) refusal: Option<&'a str>,
    /// What it kept, on a new stream.
    pub(super) kept: Option<&'a BTreeMap<String, Any>>,
}

/// One form of ADS.
pub(super) trait Wire: Variant<Request: Clone> {
    fn say(say: &Say<'_>) -> Self::Request;
    fn read(response: Self::Response) -> Payload;
}

fn status(message: &str) -> Status {
    Status { message: message.to_owned(), ..Default::default() }
}

impl Wire for Delta {
    fn say(say: &Say<'_>) -> DeltaDiscoveryRequest {
        let kept = say.kept.into_iter().flatten();
        DeltaDiscoveryRequest {
            type_url: say.kind.type_url().to_owned(),
            response_nonce: say.nonce.clone(),
            error_detail: say.refusal.map(status),
            resource_names_subscribe: say.after.difference(say.before).cloned().collect(),
            resource_names_unsubscribe: say.before.difference(say.after).cloned().collect(),
            initial_resource_versions: kept.map(|(name, any)| (name.clone(), version(any))).collect(),
            ..Default::default()
        }
    }

    fn read(response: DeltaDiscoveryResponse) -> Payload {
        let new = response.resources.into_iter().map(|resource| (resource.name, resource.resource.unwrap()));
        Payload {
            kind: ResourceKind::from_type_url(&response.type_url).unwrap(),
            nonce: response.nonce,
            version: String::new(),
            new: new.collect(),
            removed: response.removed_resources.into_iter().collect(),
            is_whole: false,
        }
    }
}

impl Wire for Sotw {
    fn say(say: &Say<'_>) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: say.kind.type_url().to_owned(),
            response_nonce: say.nonce.clone(),
            version_info: say.version.clone(),
            error_detail: say.refusal.map(status),
            resource_names: say.after.iter().cloned().collect(),
            ..Default::default()
        }
    }

    fn read(response: DiscoveryResponse) -> Payload {
        let kind = ResourceKind::from_type_url(&response.type_url).unwrap();
        Payload {
            kind,
            nonce: response.nonce,
            version: response.version_info,
            new: response.resources.into_iter().map(|any| (name_of(&any), any)).collect(),
            removed: BTreeSet::new(),
            is_whole: matches!(kind, ResourceKind::Cluster | ResourceKind::Listener),
        }
    }
}
