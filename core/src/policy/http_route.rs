//! `HTTPRoute` (Gateway API v1), as it attaches to a `Service` (GEP-1294).

use crate::bundle::v1::{HeaderModifier, Redirect, Retry, Rewrite, RouteMatch, Timeouts};
use crate::id::NamespacedName;

use super::service::Port;

/// Routes to one or more services.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HttpRoute {
    /// The services that it attaches to; parents of other kinds are left out by `crds`, with a diagnostic.
    pub parents: Vec<ParentRef>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// One service that a route attaches to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParentRef {
    /// The service.
    pub service: NamespacedName,
    /// The number of a port of it (`port`).
    pub port: Option<u16>,
    /// The name of a port of it (`sectionName`). With neither the route attaches to all its HTTP ports, with both to the one
    /// that has both.
    pub section: Option<String>,
    /// The field, as a JSON pointer.
    pub pointer: String,
}

impl ParentRef {
    /// Says whether it means this port of its service.
    pub fn means(&self, port: &Port) -> bool {
        self.port.is_none_or(|number| number == port.port)
            && self.section.as_ref().is_none_or(|name| *name == port.name)
    }
}

/// One rule of a route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// `name` (GEP-995), or empty. A policy can name it as `sectionName`.
    pub name: String,
    /// Any of them; a rule that names none has one that matches everything. Empty only when all that it
    /// named are invalid: then the rule keeps its place and matches nothing.
    pub matches: Vec<Match>,
    /// Changes to request headers.
    pub request_headers: Option<HeaderModifier>,
    /// Changes to response headers.
    pub response_headers: Option<HeaderModifier>,
    /// What it does with a request.
    pub action: Action,
    /// The rule's own timeouts (GEP-1742): they win over every policy.
    pub timeouts: Option<Timeouts>,
    /// The rule's own retries (GEP-1731): they win over every policy.
    pub retry: Option<Retry>,
}

/// One match of a rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    /// Its place in the document, where broken ones count too: its name, and where diagnostics point. `None`: the rule
    /// names no match, and this is the one that matches everything.
    pub at: Option<usize>,
    /// What it matches.
    pub route_match: RouteMatch,
}

/// What a rule does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Sends it on.
    Forward {
        /// By weight; none left, or all of weight 0, is answered 500.
        backends: Vec<BackendRef>,
        /// Changes to host and path.
        rewrite: Option<Rewrite>,
    },
    /// Answers with a redirect.
    Redirect(Redirect),
    /// The rule has a filter that is not supported: it must not be skipped, so the answer is 500.
    Fail,
}

impl Default for Action {
    fn default() -> Self {
        Self::Forward { backends: Vec::new(), rewrite: None }
    }
}

/// One backend of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct BackendRef {
    /// The service, or why it cannot be one (another kind, a port that is none, …).
    pub target: Result<BackendTarget, InvalidBackend>,
    /// Its share, 0 to 1,000,000.
    pub weight: u32,
    /// Changes to request headers, for this backend alone.
    pub request_headers: Option<HeaderModifier>,
    /// Changes to response headers, for this backend alone.
    pub response_headers: Option<HeaderModifier>,
    /// The field, as a JSON pointer.
    pub pointer: String,
}

/// The service and port of a backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackendTarget {
    /// The service.
    pub service: NamespacedName,
    /// The port; `None` means the service's only one.
    pub port: Option<u16>,
}

/// A backend that can never be used; `crds` has already said so in a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidBackend;
