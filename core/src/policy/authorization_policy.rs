//! `AuthorizationPolicy`: who may call what, attached per GEP-713 and shaped after GEP-3779.
//!
//! What could not be read of a policy is here already what it costs: `crds` makes it match nothing where the policy
//! allows, and everything where it denies, so that a mistake never opens anything.

use crate::bundle::v1::{Operation, Source};

use super::target::Target;

/// Says who may call what it targets. All policies on a service count together, whatever their targets.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizationPolicy {
    /// What it attaches to, at least one: `Mesh`, `Namespace` or `Service`.
    pub targets: Vec<Target>,
    /// What is done with calls that it matches.
    pub action: Action,
    /// A call matches the policy when it matches one of them. A policy without any matches nothing.
    pub rules: Vec<Rule>,
}

impl AuthorizationPolicy {
    /// Lists the sites that it names as those of callers, each with its field as a JSON pointer.
    pub fn named_sites(&self) -> impl Iterator<Item = (String, &str)> {
        self.rules.iter().flat_map(|rule| {
            let sources = match &rule.from {
                Part::Any => &[][..],
                Part::Of(sources) => sources,
            };
            sources.iter().enumerate().flat_map(move |(source, from)| {
                let pointer = move |site| format!("/spec/rules/{}/from/{source}/sites/{site}", rule.at);
                from.sites.iter().enumerate().map(move |(site, name)| (pointer(site), name.as_str()))
            })
        })
    }
}

/// What is done with calls that a policy matches. The order is that in which actions are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// They are refused, whatever else allows them.
    Deny,
    /// They pass; and what no policy allows is refused at all that this one targets.
    Allow,
    /// They are counted.
    Audit,
}

/// What becomes of a call that no policy speaks of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// It passes.
    #[default]
    Allow,
    /// It is refused.
    Deny,
}

/// Matches a call that both parts match.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its place in the document: its name, and where diagnostics point.
    pub at: usize,
    /// Who calls.
    pub from: Part<Source>,
    /// What is called. Lists in here and in `from` are as the document has them; `compile` sorts them.
    pub to: Part<Operation>,
}

/// One side of a rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Part<T> {
    /// It is left out: everything matches.
    Any,
    /// One of them must match. An empty list matches nothing.
    Of(Vec<T>),
}
