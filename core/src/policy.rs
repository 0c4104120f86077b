//! The typed policies of a world: what `crds` makes of documents and `compile` works on.
//!
//! Leaf messages (matches, header modifiers, timeouts, …) are those of the bundle itself, so that a
//! route is converted once, with field paths at hand, and only rearranged from then on.

use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::document::{Document, PackedDocument};
use crate::id::ObjectKey;
use crate::selector::{Labels, Selector};

pub mod authorization_policy;
pub mod http_route;
pub mod mesh;
pub mod service;
pub mod site;
pub mod site_override;
pub mod target;
pub mod traffic_policy;

pub use authorization_policy::AuthorizationPolicy;
pub use http_route::HttpRoute;
pub use mesh::Mesh;
pub use service::Service;
pub use site::Site;
pub use site_override::SiteOverride;
pub use traffic_policy::TrafficPolicy;

/// One object of a world: what it is, what it asks for, and the text that says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Kind, namespace and name.
    pub key: ObjectKey,
    /// `metadata.labels`.
    pub labels: Arc<Labels>,
    /// `metadata.creationTimestamp`, if one is committed: seconds since 1970. Decides age before Git does.
    pub created: Option<i64>,
    /// The sites that it is for: `spec.sites` of our kinds, annotation `skerry.dev/sites` of standard ones.
    /// `None` is the whole fleet. Not used by `Site`, and by `SiteOverride` as the sites it patches.
    pub sites: Option<Selector>,
    /// What it asks for.
    pub spec: Spec,
    /// The document it came from: overrides patch it, diagnostics and `explain` point into it.
    pub document: Arc<PackedDocument>,
}

/// What an object asks for, by kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Spec {
    /// Fleet-wide settings.
    Mesh(Mesh),
    /// One edge location.
    Site(Site),
    /// A mesh service.
    Service(Service),
    /// Routes to a service.
    HttpRoute(HttpRoute),
    /// Timeouts, retries, and so on.
    TrafficPolicy(TrafficPolicy),
    /// Who may call what.
    AuthorizationPolicy(AuthorizationPolicy),
    /// Patches for selected sites.
    SiteOverride(SiteOverride),
}

impl Object {
    /// Returns the field that says for which sites the object is, as a JSON pointer.
    pub fn sites_pointer(&self) -> &'static str {
        match self.spec {
            Spec::Service(_) | Spec::HttpRoute(_) => "/metadata/annotations/skerry.dev~1sites",
            _ => "/spec/sites",
        }
    }
}

/// Kinds whose typed form `compile` asks for.
pub trait OfSpec: Sized {
    /// Takes what an object asks for as this kind.
    fn of(spec: &Spec) -> Option<&Self>;
}

macro_rules! of_spec {
    ($($kind:ident),*) => {$(
        impl OfSpec for $kind {
            fn of(spec: &Spec) -> Option<&Self> {
                match spec {
                    Spec::$kind(typed) => Some(typed),
                    _ => None,
                }
            }
        }
    )*};
}

of_spec!(Mesh, Service, HttpRoute, TrafficPolicy, AuthorizationPolicy, SiteOverride);

/// What came of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// An object of ours. Diagnostics name parts that have no effect (warnings, unsupported parts).
    Object(Box<Object>, Vec<Diagnostic>),
    /// An object of another system (`Kustomization`, `Deployment`, …): counted, not looked into.
    Foreign {
        /// `apiVersion`, empty when there is none.
        api_version: String,
        /// `kind`, empty when there is none.
        kind: String,
    },
    /// An object of ours that cannot be used.
    Refused {
        /// Which one, when that much could be read.
        key: Option<ObjectKey>,
        /// Why: at least one error.
        diagnostics: Vec<Diagnostic>,
    },
}

/// Turns a document into an object. The function is `skerry_crds::decode`; the core takes it as an
/// argument, since an override patches a document and the result must be decoded anew.
pub type Decode = fn(&Document) -> Decoded;
