//! A guard → filters of a listener: what counts, then what denies, then what allows.
//!
//! Rules about requests that are enforced stand in the routes of their listener: other routes hold for the next request
//! on a connection that is open. Another listener would close every connection, and let each go on until then.

use std::collections::BTreeMap;

use prost::{Message, Name as _};

use super::{Guard, Policies};
use crate::envoy::hcm::{HttpFilter, http_filter};
use crate::envoy::listener::Filter;
use crate::envoy::listener::filter::ConfigType;
use crate::envoy::rbac::rbac::Action;
use crate::envoy::route::RouteConfiguration;
use crate::envoy::{Any, http_rbac, network_rbac, rbac};

/// The filters' statistics are `…rbac.audit/<policy>.…`, `…deny…` and `…allow…`: see [`crate::audit`].
pub(crate) const AUDIT: &str = "audit/";
const DENY: &str = "deny";
const ALLOW: &str = "allow";

/// `envoy.config.rbac.v3.RBAC` with its policies in order. The generated type has a hash map, whose bytes would be
/// others each time.
#[derive(Clone, PartialEq, Message)]
struct Rules {
    #[prost(enumeration = "Action", tag = "1")]
    action: i32,
    #[prost(btree_map = "string, message", tag = "2")]
    policies: BTreeMap<String, rbac::Policy>,
}

/// `envoy.extensions.filters.http.rbac.v3.RBAC`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct HttpRbac {
    #[prost(message, optional, tag = "1")]
    rules: Option<Rules>,
    #[prost(message, optional, tag = "2")]
    shadow_rules: Option<Rules>,
    #[prost(string, tag = "3")]
    shadow_rules_stat_prefix: String,
    #[prost(string, tag = "6")]
    rules_stat_prefix: String,
}

/// `envoy.extensions.filters.http.rbac.v3.RBACPerRoute`.
#[derive(Clone, PartialEq, Message)]
struct RouteRbac {
    #[prost(message, optional, tag = "2")]
    rbac: Option<HttpRbac>,
}

/// `envoy.extensions.filters.network.rbac.v3.RBAC`, as far as it is used.
#[derive(Clone, PartialEq, Message)]
struct NetworkRbac {
    #[prost(message, optional, tag = "1")]
    rules: Option<Rules>,
    #[prost(message, optional, tag = "2")]
    shadow_rules: Option<Rules>,
    #[prost(string, tag = "3")]
    stat_prefix: String,
    #[prost(string, tag = "5")]
    shadow_rules_stat_prefix: String,
}

impl Guard {
    /// Lists the filters of an HTTP connection manager that stand before its router: the same ones whatever is enforced.
    pub(crate) fn to_http_filters(&self) -> Vec<HttpFilter> {
        let audits = self.audits.iter().map(|(name, policies)| {
            let rbac = HttpRbac {
                shadow_rules: Some(rules(Action::Deny, policies)),
                shadow_rules_stat_prefix: format!("{AUDIT}{name}."),
                ..HttpRbac::default()
            };
            (format!("{AUDIT}{name}"), rbac)
        });
        let enforced = [DENY, ALLOW].map(|name| {
            (name.to_owned(), HttpRbac { rules_stat_prefix: format!("{name}."), ..HttpRbac::default() })
        });
        let to_filter = |(name, rbac): (String, HttpRbac)| HttpFilter {
            name: filter_name(&name),
            config_type: Some(http_filter::ConfigType::TypedConfig(Any {
                type_url: http_rbac::Rbac::type_url(),
                value: rbac.encode_to_vec(),
            })),
            ..Default::default()
        };
        audits.chain(enforced).map(to_filter).collect()
    }

    /// Puts what is enforced into the routes of a listener with these filters. Each is on a level of its own: the
    /// generated types have hash maps, whose bytes would be others each time if they held two.
    pub(crate) fn enforce_in(&self, routes: &mut RouteConfiguration) {
        if !self.deny.is_empty() {
            let deny = of_route(rules(Action::Deny, &self.deny));
            routes.typed_per_filter_config.insert(filter_name(DENY), deny);
        }
        if let (Some(allow), Some(host)) = (&self.allow, routes.virtual_hosts.first_mut()) {
            let allow = of_route(rules(Action::Allow, allow));
            host.typed_per_filter_config.insert(filter_name(ALLOW), allow);
        }
    }

    /// Lists the filters that stand before a listener's TCP proxy.
    pub(crate) fn to_network_filters(&self, stat_prefix: &str) -> Vec<Filter> {
        let audits = self.audits.iter().map(|(name, policies)| {
            let rbac = NetworkRbac {
                shadow_rules: Some(rules(Action::Deny, policies)),
                stat_prefix: format!("{stat_prefix}."),
                shadow_rules_stat_prefix: format!("{AUDIT}{name}."),
                ..NetworkRbac::default()
            };
            (format!("{AUDIT}{name}"), rbac)
        });
        let enforced = |name: &str, rules: Rules| {
            let stat_prefix = format!("{stat_prefix}.{name}.");
            (name.to_owned(), NetworkRbac { rules: Some(rules), stat_prefix, ..NetworkRbac::default() })
        };
        let deny = Some(&self.deny).filter(|deny| !deny.is_empty());
        let deny = deny.map(|deny| enforced(DENY, rules(Action::Deny, deny)));
        let allow = self.allow.as_ref().map(|allow| enforced(ALLOW, rules(Action::Allow, allow)));
        let to_filter = |(name, rbac): (String, NetworkRbac)| Filter {
            name: filter_name(&name),
            config_type: Some(ConfigType::TypedConfig(Any {
                type_url: network_rbac::Rbac::type_url(),
                value: rbac.encode_to_vec(),
            })),
        };
        audits.chain(deny).chain(allow).map(to_filter).collect()
    }
}

fn filter_name(name: &str) -> String {
    format!("authorization/{name}")
}

/// Rules that allow, and there is none, refuse everything.
fn rules(action: Action, policies: &Policies) -> Rules {
    Rules { action: action.into(), policies: policies.clone() }
}

fn of_route(rules: Rules) -> Any {
    let rbac = HttpRbac { rules: Some(rules), ..HttpRbac::default() };
    Any {
        type_url: http_rbac::RbacPerRoute::type_url(),
        value: RouteRbac { rbac: Some(rbac) }.encode_to_vec(),
    }
}

/// The messages of this file are the generated ones, but for the order of their bytes.
#[cfg(test)]
mod tests {
    use crate::envoy::route::VirtualHost;

    use super::*;

    fn policies() -> Policies {
        ["b", "a"].map(|name| (name.to_owned(), rbac::Policy::default())).into()
    }

    fn plain(action: Action) -> rbac::Rbac {
        let policies = policies().into_iter().collect();
        rbac::Rbac { action: action.into(), policies, ..Default::default() }
    }

    fn guard() -> Guard {
        let audits = [("shop/a".to_owned(), policies())].into();
        Guard { audits, deny: policies(), allow: Some(policies()), has_paths: false }
    }

    #[test]
    fn filters_of_requests_are_what_envoy_reads() {
        let read = |filter: HttpFilter| match filter.config_type.unwrap() {
            http_filter::ConfigType::TypedConfig(any) => {
                (filter.name, http_rbac::Rbac::decode(any.value.as_slice()).unwrap())
            }
            _ => panic!("another type"),
        };
        let audit = http_rbac::Rbac {
            shadow_rules: Some(plain(Action::Deny)),
            shadow_rules_stat_prefix: "audit/shop/a.".to_owned(),
            ..Default::default()
        };
        let empty =
            |prefix: &str| http_rbac::Rbac { rules_stat_prefix: prefix.to_owned(), ..Default::default() };
        let named = |name: &str, rbac: http_rbac::Rbac| (format!("authorization/{name}"), rbac);
        let expected =
            [named("audit/shop/a", audit), named("deny", empty("deny.")), named("allow", empty("allow."))];
        assert_eq!(guard().to_http_filters().into_iter().map(read).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rules_in_routes_are_what_envoy_reads() {
        let hosts = vec![VirtualHost::default()];
        let mut routes = RouteConfiguration { virtual_hosts: hosts, ..Default::default() };
        guard().enforce_in(&mut routes);
        let read = |any: &Any| {
            assert_eq!(any.type_url, http_rbac::RbacPerRoute::type_url());
            http_rbac::RbacPerRoute::decode(any.value.as_slice()).unwrap().rbac.unwrap().rules
        };
        let (deny, allow) =
            (&routes.typed_per_filter_config, &routes.virtual_hosts[0].typed_per_filter_config);
        assert_eq!((deny.len(), allow.len()), (1, 1), "more than one has no order");
        assert_eq!(read(&deny["authorization/deny"]), Some(plain(Action::Deny)));
        assert_eq!(read(&allow["authorization/allow"]), Some(plain(Action::Allow)));
    }

    #[test]
    fn filters_of_connections_are_what_envoy_reads() {
        let read = |filter: Filter| match filter.config_type.unwrap() {
            ConfigType::TypedConfig(any) => network_rbac::Rbac::decode(any.value.as_slice()).unwrap(),
            ConfigType::ConfigDiscovery(_) => panic!("another type"),
        };
        let enforced = |action: Action, stat_prefix: &str| network_rbac::Rbac {
            rules: Some(plain(action)),
            stat_prefix: stat_prefix.to_owned(),
            ..Default::default()
        };
        let audit = network_rbac::Rbac {
            shadow_rules: Some(plain(Action::Deny)),
            stat_prefix: "in.".to_owned(),
            shadow_rules_stat_prefix: "audit/shop/a.".to_owned(),
            ..Default::default()
        };
        let expected = [audit, enforced(Action::Deny, "in.deny."), enforced(Action::Allow, "in.allow.")];
        assert_eq!(guard().to_network_filters("in").into_iter().map(read).collect::<Vec<_>>(), expected);
    }
}
