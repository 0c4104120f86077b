//! What policies attach to (GEP-713): one order for all kinds of policies.

use crate::id::NamespacedName;

/// What a policy attaches to, from the widest to the narrowest: the order is the precedence (GEP-713).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// All services, by the name of the fleet's `Mesh`.
    Mesh(String),
    /// All services of the policy's own namespace.
    Namespace(String),
    /// One service.
    Service(NamespacedName),
    /// All rules of one route.
    Route(NamespacedName),
    /// The rule of this name in one route.
    Rule(NamespacedName, String),
}
