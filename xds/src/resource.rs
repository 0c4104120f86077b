//! What a proxy is given: named, versioned Envoy resources of five kinds. Must not know where they
//! come from or how they travel.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use prost::{Message, Name};
use skerry_core::id::Digest;
use zeroize::Zeroize as _;

use crate::envoy::{self, Any, pack};
use crate::secret::Secret;

/// The kinds of resources. The order is the order in which they are sent, so that nothing is named
/// before it is there (make before break).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `Secret`, by SDS.
    Secret,
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
    pub const ALL: [Self; 5] = [Self::Secret, Self::Cluster, Self::Endpoint, Self::Listener, Self::Route];

    /// Returns the type URL of its resources.
    pub const fn type_url(self) -> &'static str {
        match self {
            Self::Secret => "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoint => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// Returns the word that people read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Cluster => "cluster",
            Self::Endpoint => "endpoint",
            Self::Listener => "listener",
            Self::Route => "route",
        }
    }

    /// Finds the kind of a type URL.
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An encoded resource with its version: equal content has an equal version, in every life of an
/// agent, so a restart pushes nothing anew.
///
/// The encoding is canonical as long as no map field of the message has more than one entry
/// (Envoy's types hold maps without order).
#[derive(Clone, PartialEq)]
pub struct Resource {
    version: String,
    any: Any,
}

/// A key is wiped; what was encoded from it on its way to a proxy is not.
impl Drop for Resource {
    fn drop(&mut self) {
        if self.any.type_url == ResourceKind::Secret.type_url() {
            self.any.value.zeroize();
        }
    }
}

/// Names the content and does not show it: it may be a key.
impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = ResourceKind::from_type_url(&self.any.type_url).map_or("", ResourceKind::as_str);
        write!(f, "{kind} {} of {} bytes", self.version, self.any.value.len())
    }
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

/// Resources of one kind, by name. Names and resources are shared with other sets.
pub type Resources = BTreeMap<Arc<str>, Arc<Resource>>;

/// A resource with its kind and name, to be put into one set after another.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    kind: ResourceKind,
    name: Arc<str>,
    resource: Arc<Resource>,
}

impl Named {
    /// Encodes a secret.
    pub(crate) fn secret(secret: &envoy::tls::Secret) -> Self {
        Self::of(ResourceKind::Secret, &secret.name, secret)
    }

    /// Encodes a cluster.
    pub(crate) fn cluster(cluster: &envoy::cluster::Cluster) -> Self {
        Self::of(ResourceKind::Cluster, &cluster.name, cluster)
    }

    /// Encodes the endpoints of a cluster.
    pub(crate) fn endpoint(assignment: &envoy::endpoint::ClusterLoadAssignment) -> Self {
        Self::of(ResourceKind::Endpoint, &assignment.cluster_name, assignment)
    }

    /// Encodes a listener.
    pub(crate) fn listener(listener: &envoy::listener::Listener) -> Self {
        Self::of(ResourceKind::Listener, &listener.name, listener)
    }

    /// Encodes a route configuration.
    pub(crate) fn route(route: &envoy::route::RouteConfiguration) -> Self {
        Self::of(ResourceKind::Route, &route.name, route)
    }

    fn of<M: Message + Name>(kind: ResourceKind, name: &str, message: &M) -> Self {
        Self { kind, name: name.into(), resource: Arc::new(Resource::of(message)) }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

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
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    secrets: Resources,
    clusters: Resources,
    endpoints: Resources,
    listeners: Resources,
    routes: Resources,
    /// What could not be lowered, in the order in which it was found.
    pub problems: Vec<Problem>,
    /// Whether any of the resources names the secrets of [`crate::secret`].
    pub(crate) names_secrets: bool,
    /// Of names and versions, once somebody asked.
    digest: OnceLock<Digest>,
}

impl PartialEq for ResourceSet {
    fn eq(&self, other: &Self) -> bool {
        ResourceKind::ALL.into_iter().all(|kind| self.of(kind) == other.of(kind))
            && self.problems == other.problems
            && self.names_secrets == other.names_secrets
    }
}

impl ResourceSet {
    /// Returns the resources of one kind.
    pub fn of(&self, kind: ResourceKind) -> &Resources {
        match kind {
            ResourceKind::Secret => &self.secrets,
            ResourceKind::Cluster => &self.clusters,
            ResourceKind::Endpoint => &self.endpoints,
            ResourceKind::Listener => &self.listeners,
            ResourceKind::Route => &self.routes,
        }
    }

    /// Adds a resource under its name; one of the same name is replaced.
    pub(crate) fn insert(&mut self, named: &Named) {
        self.digest.take();
        let resources = match named.kind {
            ResourceKind::Secret => &mut self.secrets,
            ResourceKind::Cluster => &mut self.clusters,
            ResourceKind::Endpoint => &mut self.endpoints,
            ResourceKind::Listener => &mut self.listeners,
            ResourceKind::Route => &mut self.routes,
        };
        resources.insert(Arc::clone(&named.name), Arc::clone(&named.resource));
    }

    /// Says whether the proxy asks for secrets: none of them is sent to one that does not.
    pub fn names_secrets(&self) -> bool {
        self.names_secrets
    }

    /// Adds a secret under its name; one of the same name is replaced.
    pub fn add_secret(&mut self, secret: &Secret) {
        self.insert(secret.named());
    }

    /// Adds a cluster under its name; one of the same name is replaced.
    pub fn add_cluster(&mut self, cluster: &envoy::cluster::Cluster) {
        self.insert(&Named::cluster(cluster));
    }

    /// Adds the endpoints of a cluster under its name.
    pub fn add_endpoint(&mut self, assignment: &envoy::endpoint::ClusterLoadAssignment) {
        self.insert(&Named::endpoint(assignment));
    }

    /// Adds a listener under its name.
    pub fn add_listener(&mut self, listener: &envoy::listener::Listener) {
        self.insert(&Named::listener(listener));
    }

    /// Adds a route configuration under its name.
    pub fn add_route(&mut self, route: &envoy::route::RouteConfiguration) {
        self.insert(&Named::route(route));
    }

    /// Decodes the clusters, by name.
    pub fn clusters(&self) -> impl Iterator<Item = envoy::cluster::Cluster> {
        self.clusters.values().map(|resource| resource.decode())
    }

    /// Decodes the endpoints of all clusters, by name.
    pub fn endpoints(&self) -> impl Iterator<Item = envoy::endpoint::ClusterLoadAssignment> {
        self.endpoints.values().map(|resource| resource.decode())
    }

    /// Decodes the endpoints of a cluster.
    pub(crate) fn endpoint(&self, cluster: &str) -> Option<envoy::endpoint::ClusterLoadAssignment> {
        self.endpoints.get(cluster).map(|resource| resource.decode())
    }

    /// Decodes a route configuration.
    pub(crate) fn route(&self, name: &str) -> Option<envoy::route::RouteConfiguration> {
        self.routes.get(name).map(|resource| resource.decode())
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
    /// Worked out once.
    ///
    /// Its prefix is that of everything but secrets: what is shown is the same as long as the configuration is, though
    /// certificates are renewed.
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let (mut configuration, mut secrets) = (String::new(), String::new());
            for kind in ResourceKind::ALL {
                let text = if kind == ResourceKind::Secret { &mut secrets } else { &mut configuration };
                for (name, resource) in self.of(kind) {
                    let parts = [kind.as_str(), "\0", name, "\0", &resource.version, "\n"];
                    parts.into_iter().for_each(|part| text.push_str(part));
                }
            }
            let shown = Digest::of(configuration.as_bytes()).prefix();
            let whole = Digest::of([configuration, secrets].concat().as_bytes());
            let rest = &whole.as_bytes()[shown.as_bytes().len()..];
            Digest::from_slice(&[shown.as_bytes(), rest].concat()).unwrap_or(whole)
        })
    }
}
