//! The order of routes in a table (Gateway API v1, `HTTPRouteRule.matches`): the greater the match,
//! the earlier; then age, then name, then the order inside the route.

use std::cmp::Reverse;

use crate::bundle::v1::RouteMatch;
use crate::bundle::v1::path_match::Kind;
use crate::id::NamespacedName;
use crate::world::Age;

/// How great a match is. Lower sorts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Specificity {
    path: PathRank,
    lacks_method: bool,
    headers: Reverse<usize>,
    query_params: Reverse<usize>,
}

/// Exact before regular expression before prefix, the longer first. The place of regular
/// expressions is the implementation's choice; this is the one that Istio and Envoy Gateway made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PathRank {
    Exact,
    Regex(Reverse<usize>),
    Prefix(Reverse<usize>),
}

/// The whole sort key of a route. Lower sorts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteOrder {
    /// How great the match is.
    pub specificity: Specificity,
    /// The HTTPRoute's age.
    pub age: Age,
    /// The HTTPRoute's name.
    pub name: NamespacedName,
    /// The rule's place in the HTTPRoute.
    pub rule: usize,
    /// The match's place in the rule.
    pub at: usize,
}

impl Specificity {
    /// Ranks a match.
    pub fn of(route_match: &RouteMatch) -> Self {
        let path = match route_match.path.as_ref().and_then(|path| path.kind.as_ref()) {
            Some(Kind::Exact(_)) => PathRank::Exact,
            Some(Kind::Regex(regex)) => PathRank::Regex(Reverse(regex.len())),
            Some(Kind::Prefix(prefix)) => PathRank::Prefix(Reverse(prefix.len())),
            None => PathRank::Prefix(Reverse(1)),
        };
        Self {
            path,
            lacks_method: route_match.method.is_empty(),
            headers: Reverse(route_match.headers.len()),
            query_params: Reverse(route_match.query_params.len()),
        }
    }
}
