//! Small sets of resources, each resource in a numbered edition.

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::cluster::v3::cluster::EdsClusterConfig;
use envoy_types::pb::envoy::config::core::v3::DataSource;
use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::{GenericSecret, Secret};
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;
use skerry_xds::resource::{Resource, ResourceKind, ResourceSet};

/// A set of resources in the making.
#[derive(Clone, Default)]
pub(super) struct Pile(pub(super) ResourceSet);

impl Pile {
    /// Adds a resource in an edition.
    pub(super) fn with(mut self, kind: ResourceKind, name: &str, edition: u32) -> Self {
        match kind {
            ResourceKind::Secret => self.0.add_secret(&(&secret(name, edition)).into()),
            ResourceKind::Cluster => self.0.add_cluster(&cluster(name, edition)),
            ResourceKind::Endpoint => self.0.add_endpoint(&assignment(name, edition)),
            ResourceKind::Listener => self.0.add_listener(&listener(name, edition)),
            ResourceKind::Route => self.0.add_route(&routes(name, edition)),
        }
        self
    }

    /// Adds a cluster and its endpoints.
    pub(super) fn service(self, name: &str, edition: u32) -> Self {
        self.with(ResourceKind::Cluster, name, edition).with(ResourceKind::Endpoint, name, edition)
    }

    /// Adds a listener and its routes.
    pub(super) fn way(self, name: &str, edition: u32) -> Self {
        self.with(ResourceKind::Listener, name, edition).with(ResourceKind::Route, name, edition)
    }
}

/// The edition of a resource, from its version; `empty` is a list of no endpoints.
pub(super) fn edition(kind: ResourceKind, name: &str, version: &str) -> String {
    let is_version = |edition: &u32| version_of(kind, name, *edition) == version;
    let empty = ClusterLoadAssignment { cluster_name: name.to_owned(), ..Default::default() };
    if Resource::of(&empty).version() == version {
        return "empty".to_owned();
    }
    (0..100).find(is_version).expect("tests have fewer editions").to_string()
}

/// The edition of a packed cluster or listener.
pub(super) fn edition_of(any: &Any) -> Option<u32> {
    let text = match ResourceKind::from_type_url(&any.type_url)? {
        ResourceKind::Cluster => {
            Cluster::decode(any.value.as_slice()).unwrap().eds_cluster_config?.service_name
        }
        ResourceKind::Listener => Listener::decode(any.value.as_slice()).unwrap().stat_prefix,
        ResourceKind::Secret | ResourceKind::Endpoint | ResourceKind::Route => return None,
    };
    Some(text.parse().unwrap())
}

/// The version of a resource in an edition.
pub(super) fn version_of(kind: ResourceKind, name: &str, edition: u32) -> String {
    let resource = match kind {
        ResourceKind::Secret => Resource::of(&secret(name, edition)),
        ResourceKind::Cluster => Resource::of(&cluster(name, edition)),
        ResourceKind::Endpoint => Resource::of(&assignment(name, edition)),
        ResourceKind::Listener => Resource::of(&listener(name, edition)),
        ResourceKind::Route => Resource::of(&routes(name, edition)),
    };
    resource.version().to_owned()
}

fn secret(name: &str, edition: u32) -> Secret {
    let text = Specifier::InlineString(edition.to_string());
    let secret = GenericSecret {
        secret: Some(DataSource { specifier: Some(text), ..Default::default() }),
        ..Default::default()
    };
    Secret { name: name.to_owned(), r#type: Some(Type::GenericSecret(secret)) }
}

fn cluster(name: &str, edition: u32) -> Cluster {
    let eds = EdsClusterConfig { service_name: edition.to_string(), ..Default::default() };
    Cluster { name: name.to_owned(), eds_cluster_config: Some(eds), ..Default::default() }
}

fn assignment(name: &str, edition: u32) -> ClusterLoadAssignment {
    let named = [(edition.to_string(), Default::default())].into();
    ClusterLoadAssignment { cluster_name: name.to_owned(), named_endpoints: named, ..Default::default() }
}

fn listener(name: &str, edition: u32) -> Listener {
    Listener { name: name.to_owned(), stat_prefix: edition.to_string(), ..Default::default() }
}

fn routes(name: &str, edition: u32) -> RouteConfiguration {
    let internal_only_headers = vec![edition.to_string()];
    RouteConfiguration { name: name.to_owned(), internal_only_headers, ..Default::default() }
}
