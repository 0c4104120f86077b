//! A model of what proxies do with an authorization: every call of a small world, and whether it passes.
//!
//! Written from `bundle.proto` alone, so that lowering can be held against it.

use std::fmt;

use skerry_core::bundle::v1;
use skerry_core::bundle::v1::path_match::Kind as Path;
use skerry_core::bundle::v1::spiffe_id_match::Kind as Id;

/// Who calls, by certificate.
#[derive(Debug, Clone)]
pub struct Peer {
    pub site: &'static str,
    pub namespace: &'static str,
    pub account: &'static str,
}

/// One call of a port of a service.
#[derive(Debug, Clone)]
pub struct Call {
    pub peer: Option<Peer>,
    pub port: u32,
    pub method: &'static str,
    pub path: &'static str,
}

impl Call {
    /// Says whether it comes from there; an empty text is any.
    pub fn is_from(&self, site: &str, namespace: &str, account: &str) -> bool {
        let is = |wanted: &str, given: &str| wanted.is_empty() || wanted == given;
        self.peer.as_ref().is_some_and(|peer| {
            is(site, peer.site) && is(namespace, peer.namespace) && is(account, peer.account)
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.peer {
            Some(Peer { site, namespace, account }) => write!(f, "{account}.{namespace}@{site}")?,
            None => f.write_str("anonymous")?,
        }
        write!(f, " {} {}:{}", self.method, self.port, self.path)
    }
}

/// Every call: from two sites, two namespaces and two accounts, and from nobody that is known.
pub fn calls() -> impl Iterator<Item = Call> {
    let peer = |at: usize| {
        let (site, namespace, account) =
            (["a", "b"][at & 1], ["shop", "office"][at >> 1 & 1], ["x", "y"][at >> 2]);
        Peer { site, namespace, account }
    };
    let peers = (0..8).map(move |at| Some(peer(at))).chain([None]);
    peers.flat_map(|peer| {
        let call = move |at: usize| {
            let (method, path) = (["GET", "PUT"][at & 1], ["/", "/a", "/a/b", "/ab"][at >> 1 & 3]);
            Call { peer: peer.clone(), port: [80, 81][at >> 3], method, path }
        };
        (0..16).map(call)
    })
}

/// Says whether a call passes.
pub fn is_allowed(service: &v1::Service, settings: &v1::Settings, call: &Call) -> bool {
    let none = v1::Authorization::default();
    let authorization = service.authorization.as_ref().unwrap_or(&none);
    let port = service.ports.iter().find(|port| port.port == call.port).unwrap();
    let judge = Judge { domain: &settings.trust_domain, call, is_tcp: port.protocol() == v1::Protocol::Tcp };
    if authorization.deny.iter().any(|rule| judge.matches(rule, true)) {
        return false;
    }
    let is_closed = authorization.closed || settings.deny_by_default;
    !is_closed || authorization.allow.iter().any(|rule| judge.matches(rule, false))
}

struct Judge<'a> {
    domain: &'a str,
    call: &'a Call,
    is_tcp: bool,
}

impl Judge<'_> {
    fn matches(&self, rule: &v1::AuthorizationRule, refuses: bool) -> bool {
        let from = rule.any_source || rule.sources.iter().any(|source| self.is_source(source));
        from && (rule.any_operation || rule.operations.iter().any(|to| self.is_operation(to, refuses)))
    }

    fn is_source(&self, source: &v1::Source) -> bool {
        let Some(peer) = &self.call.peer else { return false };
        let id = format!("spiffe://{}.{}/ns/{}/sa/{}", peer.site, self.domain, peer.namespace, peer.account);
        if !source.spiffe_ids.is_empty() {
            return source.spiffe_ids.iter().any(|wanted| match wanted.kind.as_ref().unwrap() {
                Id::Exact(wanted) => *wanted == id,
                Id::Prefix(prefix) => is_below(&id, prefix),
                Id::Regex(_) => panic!("the model knows no expressions"),
            });
        }
        let of_account = |account: &v1::ServiceAccount| {
            account.namespace == peer.namespace && account.name == peer.account
        };
        let named = match (source.service_accounts.as_slice(), source.namespaces.as_slice()) {
            ([], []) => true,
            ([], namespaces) => namespaces.iter().any(|namespace| namespace == peer.namespace),
            (accounts, _) => accounts.iter().any(of_account),
        };
        named && (source.sites.is_empty() || source.sites.iter().any(|site| site == peer.site))
    }

    fn is_operation(&self, operation: &v1::Operation, refuses: bool) -> bool {
        let v1::Operation { ports, methods, paths } = operation;
        if !ports.is_empty() && !ports.contains(&self.call.port) {
            return false;
        }
        if self.is_tcp {
            return refuses || (methods.is_empty() && paths.is_empty());
        }
        let is_path = |path: &v1::PathMatch| match path.kind.as_ref().unwrap() {
            Path::Exact(path) => path == self.call.path,
            Path::Prefix(prefix) => is_below(self.call.path, prefix.trim_end_matches('/')),
            Path::Regex(_) => panic!("rules have no expressions for paths"),
        };
        (methods.is_empty() || methods.iter().any(|method| method == self.call.method))
            && (paths.is_empty() || paths.iter().any(is_path))
    }
}

fn is_below(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
