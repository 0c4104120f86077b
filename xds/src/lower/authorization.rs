//! Who may call a port of the proxy's own workload: the policies of all services that the workload is behind, joined.
//!
//! They add up, as all policies do: a denial of one service holds whatever name was called. Rules that cannot hold at
//! the port allow nothing and deny everything.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use skerry_core::bundle::v1;

use super::{Scope, port};
use crate::envoy::rbac;

pub(crate) mod filter;
mod permission;
mod principal;
mod unenforced;

pub use unenforced::unenforced;

/// Rules by name, as Envoy has them.
type Policies = BTreeMap<String, rbac::Policy>;

/// What a port carries, as far as rules can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carries {
    /// HTTP requests.
    Requests,
    /// Connections.
    Bytes,
}

/// What a rule is for. Where it cannot be kept in full, the call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// What it matches passes.
    Permits,
    /// What it matches is refused, or would be.
    Refuses,
}

/// What stands before a port. The default lets everything in.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Guard {
    /// What is counted, by policy.
    audits: BTreeMap<String, Policies>,
    deny: Policies,
    /// What alone is allowed; `None`: whatever is not denied.
    allow: Option<Policies>,
    /// Whether a rule that is enforced looks at paths.
    has_paths: bool,
}

impl Guard {
    /// Joins what holds for a port of the workload. One that no service has is reached by rules without ports alone.
    pub(crate) fn of(scope: &Scope<'_>, at: NonZeroU16, carries: Carries) -> Self {
        let settings = &scope.bundle.settings;
        let (mut guard, mut allow, mut closed) = (Self::default(), Policies::new(), settings.deny_by_default);
        for service in scope.bundle.services.values().filter(|service| port::selects(service, scope.owner)) {
            let Some(authorization) = &service.authorization else { continue };
            let is_here = |port: &&v1::ServicePort| port::resolve(port, scope.owner) == Some(at);
            let ports = service.ports.iter().filter(is_here).map(|port| port.port).collect();
            let here = Here { ports, carries, trust_domain: &settings.trust_domain };
            closed |= authorization.closed;
            guard.has_paths |= here.has_paths(&authorization.deny) || here.has_paths(&authorization.allow);
            here.join(&authorization.deny, Effect::Refuses, &mut guard.deny);
            here.join(&authorization.allow, Effect::Permits, &mut allow);
            for audit in &authorization.audits {
                here.join(&audit.rules, Effect::Refuses, guard.audits.entry(audit.name.clone()).or_default());
            }
        }
        guard.audits.retain(|_, rules| !rules.is_empty());
        guard.allow = closed.then_some(allow);
        guard
    }

    /// Says whether it may refuse anybody.
    pub(crate) fn refuses(&self) -> bool {
        self.allow.is_some() || !self.deny.is_empty()
    }

    /// Says whether paths must be unambiguous here.
    pub(crate) fn has_paths(&self) -> bool {
        self.has_paths
    }
}

/// A service at a port of the workload.
struct Here<'a> {
    /// The ports of the service that stand for it.
    ports: BTreeSet<u32>,
    carries: Carries,
    trust_domain: &'a str,
}

impl Here<'_> {
    /// Adds rules to those of other services. A rule of one name is one of the same policy: it holds for all of them.
    fn join(&self, rules: &[v1::AuthorizationRule], effect: Effect, policies: &mut Policies) {
        for rule in rules {
            let permissions = permission::of_rule(rule, self, effect);
            let principals = principal::of_rule(rule, self.trust_domain);
            if permissions.is_empty() || principals.is_empty() {
                continue;
            }
            let policy = policies
                .entry(rule.name.clone())
                .or_insert_with(|| rbac::Policy { principals, ..rbac::Policy::default() });
            for permission in permissions {
                if !policy.permissions.contains(&permission) {
                    policy.permissions.push(permission);
                }
            }
        }
    }

    fn has_paths(&self, rules: &[v1::AuthorizationRule]) -> bool {
        let mut operations = rules.iter().flat_map(|rule| &rule.operations);
        self.carries == Carries::Requests && operations.any(|to| self.is_meant(to) && !to.paths.is_empty())
    }

    /// Says whether an operation is one at this port.
    fn is_meant(&self, operation: &v1::Operation) -> bool {
        operation.ports.is_empty() || operation.ports.iter().any(|port| self.ports.contains(port))
    }
}
