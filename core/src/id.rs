//! Names, keys and counters: the newtypes that every other module speaks in.
//!
//! Must not hold behaviour beyond parsing, ordering and printing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

mod utc;

/// The namespace of an object whose metadata names none (as `kubectl apply` does).
pub const DEFAULT_NAMESPACE: &str = "default";

/// The name by which policies target the mesh of a fleet that declares no `Mesh`.
pub const DEFAULT_MESH: &str = "default";

/// An identifier that breaks the rule for its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{value}` is not a {what}: {rule}")]
pub struct InvalidId {
    /// What was expected, in words.
    pub what: &'static str,
    /// The offending text.
    pub value: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

/// The name of a site: an RFC 1123 label, since it becomes a DNS label of the site's trust domain. Cheap to
/// clone: it is named in many maps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteId(Arc<str>);

impl SiteId {
    /// Parses a site name: RFC 1123 label, at most 63 characters.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidId> {
        let name = name.into();
        if is_dns_label(&name) {
            return Ok(Self(name.into()));
        }
        Err(InvalidId { what: "site name", value: name, rule: DNS_LABEL_RULE })
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a DNS label is, for help lines.
pub const DNS_LABEL_RULE: &str =
    "lower-case letters, digits and `-`, at most 63, starting and ending with a letter or digit (RFC 1123)";

/// Says whether a text is a DNS label: at most 63 bytes ([`DNS_LABEL_RULE`]).
pub fn is_dns_label(text: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
        && bytes.iter().all(|byte| edge(byte) || *byte == b'-')
}

impl TryFrom<String> for SiteId {
    type Error = InvalidId;
    fn try_from(name: String) -> Result<Self, InvalidId> {
        Self::new(name)
    }
}

impl From<SiteId> for String {
    fn from(site: SiteId) -> Self {
        site.0.as_ref().to_owned()
    }
}

impl FromStr for SiteId {
    type Err = InvalidId;
    fn from_str(name: &str) -> Result<Self, InvalidId> {
        Self::new(name)
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A namespaced name, printed and parsed as `namespace/name`; ordered by namespace, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamespacedName {
    /// The namespace, never empty.
    pub namespace: String,
    /// The name, never empty.
    pub name: String,
}

impl NamespacedName {
    /// Joins a namespace and a name.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl FromStr for NamespacedName {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self::new(namespace, name))
            }
            _ => Err(InvalidId {
                what: "namespaced name",
                value: text.to_owned(),
                rule: "write NAMESPACE/NAME",
            }),
        }
    }
}

impl TryFrom<String> for NamespacedName {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<NamespacedName> for String {
    fn from(name: NamespacedName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The kinds that a world holds. The order is the order in which they are listed to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// `skerry.dev/v1alpha1 Mesh`, cluster-scoped, one per fleet.
    Mesh,
    /// `skerry.dev/v1alpha1 Site`, cluster-scoped.
    Site,
    /// `v1 Service`.
    Service,
    /// `gateway.networking.k8s.io/v1 HTTPRoute`.
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    /// `skerry.dev/v1alpha1 TrafficPolicy`.
    TrafficPolicy,
    /// `skerry.dev/v1alpha1 AuthorizationPolicy`.
    AuthorizationPolicy,
    /// `skerry.dev/v1alpha1 SiteOverride`.
    SiteOverride,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 7] = [
        Self::Mesh,
        Self::Site,
        Self::Service,
        Self::HttpRoute,
        Self::TrafficPolicy,
        Self::AuthorizationPolicy,
        Self::SiteOverride,
    ];

    /// Returns the name as it is written in `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mesh => "Mesh",
            Self::Site => "Site",
            Self::Service => "Service",
            Self::HttpRoute => "HTTPRoute",
            Self::TrafficPolicy => "TrafficPolicy",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::SiteOverride => "SiteOverride",
        }
    }

    /// Says whether objects of this kind live in a namespace.
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::Mesh | Self::Site)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = InvalidId;
    /// Accepts the kind, its lower case and its plural, as `kubectl get` does.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let lower = text.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| {
                let name = kind.as_str().to_ascii_lowercase();
                lower == name
                    || lower == format!("{name}s")
                    || lower == format!("{name}es")
                    || lower == name.replace("policy", "policies")
            })
            .ok_or(InvalidId {
                what: "kind",
                value: text.to_owned(),
                rule: "one of Mesh, Site, Service, HTTPRoute, TrafficPolicy, AuthorizationPolicy, SiteOverride",
            })
    }
}

/// Identifies one object of a world. `namespace` is empty for cluster-scoped kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for a cluster-scoped kind.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// Builds a key; `namespace` is dropped for a cluster-scoped kind.
    pub fn new(kind: Kind, namespace: impl Into<String>, name: impl Into<String>) -> Self {
        let namespace = if kind.is_namespaced() { namespace.into() } else { String::new() };
        Self { kind, namespace, name: name.into() }
    }

    /// Builds the key of the `Mesh` of this name.
    pub fn mesh(name: impl Into<String>) -> Self {
        Self::new(Kind::Mesh, "", name)
    }

    /// Builds the key of a route.
    pub fn route(name: &NamespacedName) -> Self {
        Self::new(Kind::HttpRoute, name.namespace.clone(), name.name.clone())
    }

    /// Builds the key of a service.
    pub fn service(name: &NamespacedName) -> Self {
        Self::new(Kind::Service, name.namespace.clone(), name.name.clone())
    }

    /// Returns namespace and name together.
    pub fn namespaced_name(&self) -> NamespacedName {
        NamespacedName::new(self.namespace.clone(), self.name.clone())
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

/// One commit of a policy repository, written `main@sha1:<40 hex>`; a plain folder is `folder@none`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// Names a commit on a branch or tag.
    pub fn commit(reference: &str, sha1_hex: &str) -> Self {
        Self(format!("{reference}@sha1:{sha1_hex}"))
    }

    /// Names the content of a folder that has no history.
    pub fn folder() -> Self {
        Self("folder@none".to_owned())
    }

    /// Takes a revision that came over the wire or from a store, unchecked: it is only shown.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the text with the hash cut to 8 digits, for tables.
    pub fn short(&self) -> String {
        match self.0.split_once("@sha1:") {
            Some((reference, hash)) => format!("{reference}@{}", hash.get(..8).unwrap_or(hash)),
            None => self.0.clone(),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A BLAKE3 hash, 32 bytes: the id of a fragment, of a fragment list, of a manifest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Takes 32 bytes from the wire.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
        <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| InvalidId {
            what: "digest",
            value: format!("{} bytes", bytes.len()),
            rule: "32 bytes (BLAKE3)",
        })
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first 12 hex digits, for tables and logs.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// Returns what names it among those that both ends of a link may have.
    pub fn prefix(&self) -> DigestPrefix {
        let mut prefix = [0; DigestPrefix::BYTES];
        prefix.copy_from_slice(&self.0[..DigestPrefix::BYTES]);
        DigestPrefix(prefix)
    }
}

/// The first 8 bytes of a [`Digest`]: enough to look something up that is checked by its whole digest afterwards. That
/// two of the 10,000 that a core may know are alike has a chance of 1 in 10¹¹.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DigestPrefix([u8; DigestPrefix::BYTES]);

impl DigestPrefix {
    /// How many bytes it has.
    pub const BYTES: usize = 8;

    /// Takes 8 bytes from the wire.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, InvalidId> {
        <[u8; Self::BYTES]>::try_from(bytes).map(Self).map_err(|_| InvalidId {
            what: "start of a digest",
            value: format!("{} bytes", bytes.len()),
            rule: "8 bytes",
        })
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// Returns the lowest digest that begins with it: where to look in a sorted map.
    pub fn lowest(&self) -> Digest {
        let mut bytes = [0; 32];
        bytes[..Self::BYTES].copy_from_slice(&self.0);
        Digest(bytes)
    }
}

impl fmt::Display for DigestPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes())).map_err(|_| InvalidId {
            what: "digest",
            value: text.to_owned(),
            rule: "64 hex digits",
        })
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Counts the manifests of a fleet: each publication that changes anything takes the next number.
/// A site never moves to a lower one. Zero is "none yet".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts the lives of a core's state: raised when its store was lost and generations start anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

/// A point in time, in milliseconds since 1970-01-01T00:00:00Z. The core only compares and carries it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);
