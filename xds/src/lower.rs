//! Lowering: a bundle plus what is known at the site becomes the resources of one proxy.
//!
//! A pure function: equal inputs give equal bytes. What cannot be lowered is left out and said in
//! [`ResourceSet::problems`]; it never takes anything else with it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use ipnet::Ipv4Net;
use skerry_core::bundle::Bundle;
use skerry_core::id::NamespacedName;
use skerry_core::workload::{Proxy, Workload};

use crate::resource::{Problem, ResourceSet};
use piece::Piece;

pub mod address;
pub(crate) mod authorization;
pub(crate) mod cluster;
pub(crate) mod endpoint;
mod identity;
pub(crate) mod listener;
pub mod name;
mod piece;
mod port;
mod route;
mod tls;

pub(crate) use authorization::filter::AUDIT as AUDIT_PREFIX;
pub use authorization::unenforced;
pub use identity::{Domain, Identity};
pub use listener::dns::DNS_PORT;
pub use route::timeout::DEFAULT_REQUEST_TIMEOUT_MS;

/// What is configured and known at the site about the proxy and its peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LowerOptions {
    /// Whether the proxy answers names.
    pub dns: Dns,
    /// Addresses that the proxy cannot bind, and why: their listeners are left out.
    pub unbound: BTreeMap<SocketAddr, String>,
    /// Inbound addresses at which no proxy listens yet: their workloads are reached directly.
    pub silent: BTreeSet<SocketAddr>,
    /// What the proxy's workload can prove who it is with.
    pub identity: Identity,
    /// Inbound addresses at which no proxy takes mutual TLS yet: they are called in plain text.
    pub plain: BTreeSet<SocketAddr>,
    /// Inbound addresses that take plain text for now, whatever the policy says: not all who call them know that they can
    /// do otherwise.
    pub lenient: BTreeSet<SocketAddr>,
}

/// Whether a proxy answers the names of services over DNS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dns {
    /// At the proxy's own virtual address, UDP port [`DNS_PORT`].
    #[default]
    Serve,
    /// Not at all: something else knows the names.
    Off,
}

/// Why nothing can be lowered for a proxy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// The site has no workload of this name.
    #[error("no workload `{0}` is known at this site")]
    UnknownWorkload(NamespacedName),
    /// The workload is reached directly.
    #[error("workload `{0}` has no proxy")]
    NoProxy(NamespacedName),
    /// The settings hold something that is not an IPv4 CIDR.
    #[error("`{0}` is not an IPv4 CIDR (outbound CIDR of the mesh)")]
    InvalidCidr(String),
}

/// Lowers a bundle for the proxy of one workload.
///
/// `workloads` are those of the site, in any order. Errors say that there is no such proxy or that
/// the settings are unusable; everything smaller is a problem in the result.
pub fn lower(
    bundle: &Bundle,
    workloads: &[Workload],
    proxy: &NamespacedName,
    options: &LowerOptions,
) -> Result<ResourceSet, LowerError> {
    Lowering::default().lower(bundle, workloads, proxy, options)
}

/// Lowers one bundle after the other for a proxy: what is the same as before is not made anew. The
/// result is that of [`lower`], whatever was lowered before.
#[derive(Debug, Default)]
pub struct Lowering {
    facts: Option<Facts>,
    pieces: BTreeMap<NamespacedName, Piece>,
    inbound: listener::inbound::Memory,
    dns: listener::dns::Memory,
}

/// What every piece depends on besides the bundle's services.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    workloads: Vec<Workload>,
    proxy: NamespacedName,
    cidr: Option<Ipv4Net>,
    silent: BTreeSet<SocketAddr>,
    identity: Identity,
    plain: BTreeSet<SocketAddr>,
}

impl Lowering {
    /// Lowers as the function [`lower`] does.
    pub fn lower(
        &mut self,
        bundle: &Bundle,
        workloads: &[Workload],
        proxy: &NamespacedName,
        options: &LowerOptions,
    ) -> Result<ResourceSet, LowerError> {
        let scope = Scope::resolve(bundle, workloads, proxy, options)?;
        let knows = |facts: &Facts| {
            facts.workloads == workloads
                && facts.proxy == *proxy
                && facts.cidr == scope.cidr
                && facts.silent == options.silent
                && facts.identity == options.identity
                && facts.plain == options.plain
        };
        if !self.facts.as_ref().is_some_and(knows) {
            let facts = Facts {
                workloads: workloads.to_vec(),
                proxy: proxy.clone(),
                cidr: scope.cidr,
                silent: options.silent.clone(),
                identity: options.identity.clone(),
                plain: options.plain.clone(),
            };
            *self = Self { facts: Some(facts), ..Self::default() };
        }
        self.refresh(&scope);
        Ok(self.assemble(&scope, options))
    }

    /// Makes the pieces that are new or do not hold any more, and drops those of services that went.
    fn refresh(&mut self, scope: &Scope<'_>) {
        self.pieces.retain(|name, _| scope.bundle.services.contains_key(name));
        for (name, service) in &scope.bundle.services {
            if !self.pieces.get(name).is_some_and(|piece| piece.holds(service, scope.bundle)) {
                self.pieces.insert(name.clone(), Piece::of(scope, service));
            }
        }
    }

    fn assemble(&mut self, scope: &Scope<'_>, options: &LowerOptions) -> ResourceSet {
        let mut draft = Draft { unbound: options.unbound.clone(), ..Draft::default() };
        scope.warn_of_shared_addresses(&mut draft);
        // The workload's own ports come first: a service must never take them.
        listener::inbound::lower(scope, &mut self.inbound, &mut draft);
        // An address that was given by index is never taken by a service that declares it as its own.
        let pieces = || self.pieces.values();
        pieces().filter(|piece| !piece.declares_address()).for_each(|piece| piece.place(&mut draft));
        pieces().filter(|piece| piece.declares_address()).for_each(|piece| piece.place(&mut draft));
        if options.dns == Dns::Serve {
            listener::dns::lower(scope, &mut self.dns, &mut draft);
        }
        draft.set
    }
}

/// What lowering looks things up in.
pub(crate) struct Scope<'a> {
    /// The policy.
    pub(crate) bundle: &'a Bundle,
    /// The workloads of the site, by name.
    pub(crate) workloads: BTreeMap<&'a NamespacedName, &'a Workload>,
    /// The workload that the proxy is for.
    pub(crate) owner: &'a Workload,
    /// Where virtual addresses are taken from; none when neither proxy nor mesh names a CIDR.
    pub(crate) cidr: Option<Ipv4Net>,
    /// Inbound addresses at which no proxy listens yet.
    pub(crate) silent: &'a BTreeSet<SocketAddr>,
    /// What the owner can prove who it is with.
    pub(crate) identity: &'a Identity,
    /// Inbound addresses that are called in plain text.
    pub(crate) plain: &'a BTreeSet<SocketAddr>,
    /// Inbound addresses that take plain text for now.
    pub(crate) lenient: &'a BTreeSet<SocketAddr>,
}

impl<'a> Scope<'a> {
    fn resolve(
        bundle: &'a Bundle,
        workloads: &'a [Workload],
        name: &NamespacedName,
        options: &'a LowerOptions,
    ) -> Result<Self, LowerError> {
        let workloads: BTreeMap<_, _> = workloads.iter().map(|workload| (&workload.name, workload)).collect();
        let owner = workloads.get(name).copied().ok_or_else(|| LowerError::UnknownWorkload(name.clone()))?;
        let proxy = owner.proxy.as_ref().ok_or_else(|| LowerError::NoProxy(name.clone()))?;
        let cidr = address::outbound_cidr(&bundle.settings, proxy)?;
        let LowerOptions { silent, identity, plain, lenient, .. } = options;
        Ok(Self { bundle, workloads, owner, cidr, silent, identity, plain, lenient })
    }

    /// Two proxies of one host that bind the same addresses would share them without an error, since
    /// Envoy sets `SO_REUSEPORT`. Loopback addresses tell that they are on one host.
    fn warn_of_shared_addresses(&self, draft: &mut Draft) {
        let Some(cidr) = self.cidr.filter(|cidr| cidr.network().is_loopback()) else { return };
        let overlaps = |proxy: &Proxy| {
            let other = address::outbound_cidr(&self.bundle.settings, proxy).ok().flatten();
            other.is_some_and(|other| other.contains(&cidr) || cidr.contains(&other))
        };
        let others = self.workloads.values().filter(|other| other.name != self.owner.name);
        for other in others.filter(|other| other.address.is_loopback()) {
            if other.proxy.as_ref().is_some_and(overlaps) {
                let message =
                    format!("its outbound CIDR {cidr} overlaps that of `{}`; give each its own", other.name);
                draft.report(format!("workload {}", self.owner.name), message);
            }
        }
    }
}

/// The result in the making.
#[derive(Default)]
pub(crate) struct Draft {
    /// What is done so far.
    pub(crate) set: ResourceSet,
    listening: BTreeMap<SocketAddr, String>,
    unbound: BTreeMap<SocketAddr, String>,
}

impl Draft {
    /// Says why an address cannot be bound, if it cannot.
    pub(crate) fn can_bind(&self, at: SocketAddr) -> Result<(), String> {
        match self.unbound.get(&at) {
            Some(reason) => Err(format!("{at} cannot be bound: {reason}; it is tried again now and then")),
            None => Ok(()),
        }
    }

    /// Takes a TCP address for a listener; says why it cannot be had.
    pub(crate) fn claim(&mut self, at: SocketAddr, listener: &str) -> Result<(), String> {
        self.can_bind(at)?;
        match self.listening.get(&at) {
            Some(owner) => Err(format!("{at} is already that of `{owner}`")),
            None => {
                self.listening.insert(at, listener.to_owned());
                Ok(())
            }
        }
    }

    /// Notes what is left out.
    pub(crate) fn report(&mut self, subject: String, message: impl Into<String>) {
        self.set.problems.push(Problem { subject, message: message.into() });
    }
}
