//! A scripted client whose conversation is written down: `>` is the client, `<` the session, `!` an event.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status;
use prost::Message as _;
use skerry_xds::resource::{Resource, ResourceKind};
use skerry_xds::session::{Delta, Event, Session, Sotw, Variant};

use super::pile::{Pile, edition};

/// Messages that can be written down.
pub(super) trait Conversation: Variant {
    /// One line for a request, without what is empty.
    fn show_request(request: &Self::Request) -> String;
    /// One line for a response.
    fn show_response(response: &Self::Response) -> String;
    /// Kind and nonce of a response.
    fn head(response: &Self::Response) -> (String, String);
    /// An acknowledgement, or a refusal if there is a reason.
    fn settle(response: &Self::Response, known: &[String], reason: Option<&str>) -> Self::Request;
}

/// A client and its session.
pub(super) struct Talk<V: Conversation> {
    session: Session<V>,
    lines: Vec<String>,
    /// The last response of each kind.
    last: BTreeMap<String, V::Response>,
    /// SotW: the names of the last request of each kind, repeated in acknowledgements.
    names: BTreeMap<String, Vec<String>>,
}

impl<V: Conversation> Talk<V> {
    /// Opens a session that serves a pile.
    pub(super) fn new(pile: &Pile) -> Self {
        let session = Session::new(Arc::new(pile.0.clone()));
        Self { session, lines: Vec::new(), last: BTreeMap::new(), names: BTreeMap::new() }
    }

    /// Gives the session a new set.
    pub(super) fn set(&mut self, pile: &Pile) -> &mut Self {
        self.lines.push("= new set".to_owned());
        self.session.set_resources(Arc::new(pile.0.clone()));
        self.drain()
    }

    /// Sends a request.
    pub(super) fn ask(&mut self, request: V::Request) -> &mut Self {
        self.lines.push(format!("> {}", V::show_request(&request)));
        self.session.handle_request(request);
        self.drain()
    }

    /// Takes the last response of a kind.
    pub(super) fn ack(&mut self, kind: ResourceKind) -> &mut Self {
        self.settle(kind, None)
    }

    /// Refuses the last response of a kind.
    pub(super) fn nack(&mut self, kind: ResourceKind, reason: &str) -> &mut Self {
        self.settle(kind, Some(reason))
    }

    fn settle(&mut self, kind: ResourceKind, reason: Option<&str>) -> &mut Self {
        let names = self.names.get(kind.type_url()).cloned().unwrap_or_default();
        let request = V::settle(&self.last[kind.type_url()], &names, reason);
        self.ask(request)
    }

    fn drain(&mut self) -> &mut Self {
        self.drain_events();
        while let Some(response) = self.session.poll_response() {
            self.lines.push(format!("< {}", V::show_response(&response)));
            self.last.insert(V::head(&response).0, response);
        }
        self.drain_events();
        self
    }

    fn drain_events(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.lines.push(format!("! {}", show_event(&event)));
        }
    }

    /// The conversation so far.
    pub(super) fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl Talk<Sotw> {
    /// Sends the names of a kind, with the nonce of the last response, and repeats them from now on.
    pub(super) fn names(&mut self, kind: ResourceKind, names: &[&str]) -> &mut Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.names.insert(kind.type_url().to_owned(), names.clone());
        let last = self.last.get(kind.type_url());
        let request = DiscoveryRequest {
            type_url: kind.type_url().to_owned(),
            resource_names: names,
            response_nonce: last.map(|response| response.nonce.clone()).unwrap_or_default(),
            version_info: last.map(|response| response.version_info.clone()).unwrap_or_default(),
            ..Default::default()
        };
        self.ask(request)
    }

    /// Sends the first request of a kind on a new stream, with the version that the client kept.
    pub(super) fn first(&mut self, kind: ResourceKind, names: &[&str], version: &str) -> &mut Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.names.insert(kind.type_url().to_owned(), names.clone());
        self.ask(DiscoveryRequest {
            type_url: kind.type_url().to_owned(),
            resource_names: names,
            version_info: version.to_owned(),
            ..Default::default()
        })
    }

    /// The version that the client would name on a new stream.
    pub(super) fn version(&self, kind: ResourceKind) -> String {
        self.last[kind.type_url()].version_info.clone()
    }
}

/// A delta request that subscribes to names.
pub(super) fn subscribe(kind: ResourceKind, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: kind.type_url().to_owned(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

/// The node of the scripted client.
pub(super) fn node() -> Node {
    Node { id: "test/shop/client-1".to_owned(), cluster: "test".to_owned(), ..Default::default() }
}

fn status(reason: &str) -> Status {
    Status { code: 3, message: reason.to_owned(), ..Default::default() }
}

fn short(type_url: &str) -> String {
    ResourceKind::from_type_url(type_url).map_or_else(|| type_url.to_owned(), |kind| kind.to_string())
}

fn show_event(event: &Event) -> String {
    match event {
        Event::NodeKnown(node) => format!("node {} of {}", node.id, node.cluster),
        Event::Acked { kind, nonce } => format!("acked {kind} #{nonce}"),
        Event::Nacked { kind, resources, detail } => format!("nacked {kind} {resources:?}: {detail}"),
        Event::Synced(_) => "synced".to_owned(),
    }
}

impl Conversation for Delta {
    fn show_request(request: &DeltaDiscoveryRequest) -> String {
        let mut line = short(&request.type_url);
        let initial: BTreeMap<_, _> = request.initial_resource_versions.iter().collect();
        let mut part = |name: &str, value: String, is_empty: bool| {
            if !is_empty {
                line.push_str(&format!(" {name}{value}"));
            }
        };
        part("#", request.response_nonce.clone(), request.response_nonce.is_empty());
        let error = request.error_detail.as_ref().map(|status| status.message.clone());
        part("refused: ", error.clone().unwrap_or_default(), error.is_none());
        part(
            "subscribe ",
            request.resource_names_subscribe.join(" "),
            request.resource_names_subscribe.is_empty(),
        );
        part(
            "unsubscribe ",
            request.resource_names_unsubscribe.join(" "),
            request.resource_names_unsubscribe.is_empty(),
        );
        let kind = ResourceKind::from_type_url(&request.type_url);
        let kept =
            initial.iter().map(|(name, version)| format!("{name}@{}", edition(kind.unwrap(), name, version)));
        part("has ", kept.collect::<Vec<_>>().join(" "), initial.is_empty());
        line
    }

    fn show_response(response: &DeltaDiscoveryResponse) -> String {
        let kind = ResourceKind::from_type_url(&response.type_url);
        let mut line = format!("{} #{}", short(&response.type_url), response.nonce);
        for resource in &response.resources {
            assert_eq!(name_of(resource.resource.as_ref().unwrap()), resource.name);
            line.push_str(&format!(
                " +{}@{}",
                resource.name,
                edition(kind.unwrap(), &resource.name, &resource.version)
            ));
        }
        for name in &response.removed_resources {
            line.push_str(&format!(" -{name}"));
        }
        line
    }

    fn head(response: &DeltaDiscoveryResponse) -> (String, String) {
        (response.type_url.clone(), response.nonce.clone())
    }

    fn settle(
        response: &DeltaDiscoveryResponse,
        _: &[String],
        reason: Option<&str>,
    ) -> DeltaDiscoveryRequest {
        DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            error_detail: reason.map(status),
            ..Default::default()
        }
    }
}

impl Conversation for Sotw {
    fn show_request(request: &DiscoveryRequest) -> String {
        let mut line = short(&request.type_url);
        if !request.response_nonce.is_empty() {
            line.push_str(&format!(" #{}", request.response_nonce));
        }
        if let Some(status) = &request.error_detail {
            line.push_str(&format!(" refused: {}", status.message));
        }
        if !request.resource_names.is_empty() {
            line.push_str(&format!(" names {}", request.resource_names.join(" ")));
        }
        if request.response_nonce.is_empty() && !request.version_info.is_empty() {
            line.push_str(" has a version");
        }
        line
    }

    fn show_response(response: &DiscoveryResponse) -> String {
        let mut line = format!("{} #{}", short(&response.type_url), response.nonce);
        for any in &response.resources {
            let kind = ResourceKind::from_type_url(&any.type_url).unwrap();
            let name = name_of(any);
            line.push_str(&format!(" {name}@{}", edition(kind, &name, &version(any))));
        }
        line
    }

    fn head(response: &DiscoveryResponse) -> (String, String) {
        (response.type_url.clone(), response.nonce.clone())
    }

    fn settle(response: &DiscoveryResponse, names: &[String], reason: Option<&str>) -> DiscoveryRequest {
        DiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            version_info: response.version_info.clone(),
            resource_names: names.to_vec(),
            error_detail: reason.map(status),
            ..Default::default()
        }
    }
}

/// The name inside a packed resource.
pub(super) fn name_of(any: &Any) -> String {
    match ResourceKind::from_type_url(&any.type_url).unwrap() {
        ResourceKind::Secret => Secret::decode(any.value.as_slice()).unwrap().name,
        ResourceKind::Cluster => Cluster::decode(any.value.as_slice()).unwrap().name,
        ResourceKind::Endpoint => ClusterLoadAssignment::decode(any.value.as_slice()).unwrap().cluster_name,
        ResourceKind::Listener => Listener::decode(any.value.as_slice()).unwrap().name,
        ResourceKind::Route => RouteConfiguration::decode(any.value.as_slice()).unwrap().name,
    }
}

/// The version of a packed resource.
pub(super) fn version(any: &Any) -> String {
    match ResourceKind::from_type_url(&any.type_url).unwrap() {
        ResourceKind::Secret => Resource::of(&Secret::decode(any.value.as_slice()).unwrap()),
        ResourceKind::Cluster => Resource::of(&Cluster::decode(any.value.as_slice()).unwrap()),
        ResourceKind::Endpoint => Resource::of(&ClusterLoadAssignment::decode(any.value.as_slice()).unwrap()),
        ResourceKind::Listener => Resource::of(&Listener::decode(any.value.as_slice()).unwrap()),
        ResourceKind::Route => Resource::of(&RouteConfiguration::decode(any.value.as_slice()).unwrap()),
    }
    .version()
    .to_owned()
}
