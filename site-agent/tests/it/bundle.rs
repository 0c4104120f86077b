//! Bundles as a core would make them.

use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::v1::{self, Supervision};
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_core::id::Digest;

/// The port of every service.
pub(crate) const PORT: u32 = 8080;

/// A manifest with what it names.
#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) manifest: Vec<u8>,
    pub(crate) contents: Contents,
}

impl Published {
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

/// What a bundle holds.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) site: &'static str,
    pub(crate) generation: u64,
    pub(crate) supervision: Supervision,
    /// The path that the first service answers; a regular expression when it begins with `~`.
    pub(crate) path: &'static str,
    /// How many more services there are.
    pub(crate) more: u32,
    /// What the site's proxies take.
    pub(crate) mtls: v1::MtlsMode,
    /// What the port of every service carries.
    pub(crate) protocol: v1::Protocol,
    /// The service account that may call the first service; none: everybody.
    pub(crate) caller: Option<&'static str>,
}

/// A bundle with one service, `shop/echo`, for every path.
pub(crate) fn plan(generation: u64) -> Plan {
    Plan {
        site: "store-1",
        generation,
        supervision: Supervision::External,
        path: "/",
        more: 0,
        mtls: v1::MtlsMode::Unspecified,
        protocol: v1::Protocol::Http,
        caller: None,
    }
}

impl Plan {
    pub(crate) fn supervised(mut self) -> Self {
        self.supervision = Supervision::Agent;
        self
    }

    pub(crate) fn strict(mut self) -> Self {
        self.mtls = v1::MtlsMode::Strict;
        self
    }

    /// Ports carry bytes: each connection of a client is one to the server.
    pub(crate) fn bytes(mut self) -> Self {
        self.protocol = v1::Protocol::Tcp;
        self
    }

    /// Ports speak HTTP/2.
    pub(crate) fn http2(mut self) -> Self {
        self.protocol = v1::Protocol::Http2;
        self
    }

    /// Lets this service account (`account`, or `account@site`) call the first service, and nobody else.
    pub(crate) fn only_for(mut self, account: &'static str) -> Self {
        self.caller = Some(account);
        self
    }

    pub(crate) fn path(mut self, path: &'static str) -> Self {
        self.path = path;
        self
    }

    pub(crate) fn publish(&self) -> Published {
        let settings = v1::Settings {
            trust_domain: "mesh.local".into(),
            supervision: self.supervision.into(),
            drain_seconds: 1,
            mtls: self.mtls.into(),
            ..Default::default()
        };
        let mut fragments = vec![Arc::new(EncodedFragment::settings(settings))];
        let mut echo = self.service("echo", 1);
        echo.authorization = self.caller.map(only_for);
        fragments.push(Arc::new(EncodedFragment::service(echo)));
        let more =
            (0..self.more).map(|at| EncodedFragment::service(self.service(&format!("more-{at}"), at + 2)));
        fragments.extend(more.map(Arc::new));
        let contents = Contents::new(fragments);
        let manifest = v1::Manifest {
            site: self.site.into(),
            epoch: 1,
            generation: self.generation,
            revision: format!("main@sha1:{:040x}", self.generation),
            list: contents.digest.as_bytes().to_vec(),
            schema: 1,
            issued_at_ms: 1_700_000_000_000 + self.generation,
            ..Default::default()
        };
        Published { manifest: manifest.encode_to_vec(), contents }
    }

    fn service(&self, name: &str, index: u32) -> v1::Service {
        let backend = v1::Backend {
            namespace: "shop".into(),
            name: name.into(),
            port: PORT,
            weight: 1,
            ..Default::default()
        };
        let kind = match self.path.strip_prefix('~') {
            Some(regex) => v1::path_match::Kind::Regex(regex.into()),
            None => v1::path_match::Kind::Prefix(self.path.into()),
        };
        let route = v1::Route {
            name: "default".into(),
            r#match: Some(v1::RouteMatch {
                path: Some(v1::PathMatch { kind: Some(kind) }),
                ..Default::default()
            }),
            action: Some(v1::route::Action::Forward(v1::Forward {
                backends: vec![backend],
                ..Default::default()
            })),
            ..Default::default()
        };
        let table = v1::RouteTable { port: PORT, client_namespace: String::new(), routes: vec![route] };
        v1::Service {
            namespace: "shop".into(),
            name: name.into(),
            index,
            selector: [("app".to_owned(), name.to_owned())].into(),
            ports: vec![v1::ServicePort {
                name: "http".into(),
                port: PORT,
                protocol: self.protocol.into(),
                target: Some(v1::service_port::Target::TargetName("http".into())),
                server_first: false,
            }],
            tables: if self.protocol == v1::Protocol::Tcp { Vec::new() } else { vec![table] },
            ..Default::default()
        }
    }
}

fn only_for(account: &str) -> v1::Authorization {
    let (account, sites) = match account.split_once('@') {
        Some((account, site)) => (account, vec![site.to_owned()]),
        None => (account, Vec::new()),
    };
    let caller = v1::ServiceAccount { namespace: "shop".into(), name: account.into() };
    let rule = v1::AuthorizationRule {
        name: "shop/only/0".into(),
        sources: vec![v1::Source { sites, service_accounts: vec![caller], ..Default::default() }],
        any_operation: true,
        ..Default::default()
    };
    v1::Authorization { allow: vec![rule], closed: true, ..Default::default() }
}
