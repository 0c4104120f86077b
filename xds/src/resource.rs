//! What a proxy is given: named, versioned Envoy resources of four kinds. Must not know where they
//! come from or how they travel.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prost::{Message, Name};
use skerry_core::id::Digest;

use crate::envoy::{self, Any, pack};

/// The kinds of resources. The order is the order in which they are sent, so that nothing is named
/// before it is there (make before break).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `Cluster`, by CDS.
    Cluster,
    /// `ClusterLoadAssignment`, by EDS.
    Endpoint,
    /// `Listener`, by LDS.
    Listener,
    /// `RouteConfiguration`, by RDS.
    Route,
}

impl ResourceKind {
    /// Every kind, in order.
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Endpoint, Self::Listener, Self::Route];

    /// Returns the type URL of its resources.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// Finds the kind of a type URL.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Listener => "listener",
            Self::Route => "route",
        })
    }
}

/// An encoded resource with its version: equal content has an equal version, in every life of an
/// agent, so a restart pushes nothing anew.
///
/// The encoding is canonical as long as no map field of the message has more than one entry
/// (Envoy's types hold maps without order).
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    version: String,
    any: Any,
}

impl Resource {
    /// Encodes a message.
    pub fn of<M: Message + Name>(message: &M) -> Self {
        let any = pack(message);
        Self { version: Digest::of(&any.value).short(), any }
    }

    /// Returns the first 12 hex digits of the content's BLAKE3.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the encoded message with its type URL.
    pub fn any(&self) -> &Any {
        &self.any
    }

    fn decode<M: Message + Name + Default>(&self) -> M {
        debug_assert_eq!(self.any.type_url, M::type_url());
        M::decode(self.any.value.as_slice()).expect("only typed messages are put into a set")
    }
}

/// Resources of one kind, by name.
pub type Resources = BTreeMap<String, Arc<Resource>>;

/// Something of the bundle that this proxy cannot have; the rest is there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// What it is about, such as `service shop/checkout`.
    pub subject: String,
    /// What is left out, and why.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// Everything that one proxy is given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ResourceSet {
    clusters: Resources,
    endpoints: Resources,
    listeners: Resources,
    routes: Resources,
    /// What could not be lowered, in the order in which it was found.
    pub problems: Vec<Problem>,
}

impl ResourceSet {
    /// Returns the resources of one kind.
    pub fn of(&self, kind: ResourceKind) -> &Resources {
        match kind {
            ResourceKind::Cluster => &self.clusters,
            ResourceKind::Endpoint => &self.endpoints,
            ResourceKind::Listener => &self.listeners,
            ResourceKind::Route => &self.routes,
        }
    }

    /// Adds a cluster under its name; one of the same name is replaced.
    pub fn add_cluster(&mut self, cluster: &envoy::cluster::Cluster) {
        self.clusters.insert(cluster.name.clone(), Arc::new(Resource::of(cluster)));
    }

    /// Adds the endpoints of a cluster under its name.
    pub fn add_endpoint(&mut self, assignment: &envoy::endpoint::ClusterLoadAssignment) {
        self.endpoints.insert(assignment.cluster_name.clone(), Arc::new(Resource::of(assignment)));
    }

    /// Adds a listener under its name.
    pub fn add_listener(&mut self, listener: &envoy::listener::Listener) {
        self.listeners.insert(listener.name.clone(), Arc::new(Resource::of(listener)));
    }

    /// Adds a route configuration under its name.
    pub fn add_route(&mut self, route: &envoy::route::RouteConfiguration) {
        self.routes.insert(route.name.clone(), Arc::new(Resource::of(route)));
    }

    /// Decodes the clusters, by name.
    pub fn clusters(&self) -> impl Iterator<Item = envoy::cluster::Cluster> {
        self.clusters.values().map(|resource| resource.decode())
    }

    /// Decodes the endpoints of all clusters, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = envoy::endpoint::ClusterLoadAssignment> {
        self.endpoints.values().map(|resource| resource.decode())
    }

    /// Decodes the listeners, by name.
    pub fn listeners(&self) -> impl Iterator<Item = envoy::listener::Listener> {
        self.listeners.values().map(|resource| resource.decode())
    }

    /// Decodes the route configurations, by name.
    pub fn routes(&self) -> impl Iterator<Item = envoy::route::RouteConfiguration> {
        self.routes.values().map(|resource| resource.decode())
    }

    /// Returns the hash of all names and versions: equal sets have equal hashes, whoever lowered them.
    pub fn digest(&self) -> Digest {
        let mut text = String::new();
        for kind in ResourceKind::ALL {
            for (name, resource) in self.of(kind) {
                text.push_str(&format!("{kind}\0{name}\0{}\n", resource.version));
            }
        }
        Digest::of(text.as_bytes())
    }
}
