//! Compiles one service, as one class of sites sees it, into its fragment. Pure and total: what
//! cannot be applied becomes a diagnostic and the rest is compiled (invariant 1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::{EncodedFragment, MAX_FRAGMENT_BYTES, v1};
use crate::diagnostic::{Code, Diagnostic};
use crate::id::{NamespacedName, ObjectKey};
use crate::policy::{HttpRoute, Mesh, Object, Service, Spec, TrafficPolicy, site::DataPlane};
use crate::world::Aged;

mod backends;
pub mod order;
mod routes;
pub mod traffic;

/// All that the fragment of one service depends on. Equal inputs give equal bytes.
#[derive(Debug)]
pub struct ServiceInputs<'a> {
    /// The service's object and typed form.
    pub object: &'a Object,
    /// Its typed form.
    pub service: &'a Service,
    /// Another service that has the address which this one declares: it gets one by index then.
    pub address_holder: Option<&'a ObjectKey>,
    /// Its address index.
    pub index: u32,
    /// The routes that attach to it, in any order.
    pub routes: Vec<RouteInput<'a>>,
    /// The policies that may say something about it, in any order.
    pub policies: Vec<PolicyInput<'a>>,
    /// The backends that its routes name, as far as they exist at this site.
    pub backends: BTreeMap<NamespacedName, &'a Service>,
}

/// A route with its age.
#[derive(Debug, Clone, Copy)]
pub struct RouteInput<'a> {
    /// The object, with overrides applied.
    pub aged: &'a Aged,
    /// Its typed form.
    pub route: &'a HttpRoute,
}

/// A policy with its age.
#[derive(Debug, Clone, Copy)]
pub struct PolicyInput<'a> {
    /// The object, with overrides applied.
    pub aged: &'a Aged,
    /// Its typed form.
    pub policy: &'a TrafficPolicy,
}

/// A compiled service.
#[derive(Debug)]
pub struct CompiledService {
    /// Its fragment.
    pub fragment: Arc<EncodedFragment>,
    /// What could not be applied.
    pub diagnostics: Vec<Diagnostic>,
}

/// Compiles a service.
pub fn compile_service(inputs: &ServiceInputs<'_>) -> CompiledService {
    let mut diagnostics = Vec::new();
    let (ports, tables) = routes::compile_ports(inputs, &mut diagnostics);
    let cluster = traffic::cluster_policy(inputs, &mut diagnostics);
    let service = v1::Service {
        namespace: inputs.object.key.namespace.clone(),
        name: inputs.object.key.name.clone(),
        index: inputs.index,
        cluster_ip: cluster_ip(inputs, &mut diagnostics),
        selector: inputs.service.selector.clone(),
        ports,
        tables,
        cluster,
    };
    let fragment = Arc::new(encode_bounded(service, inputs.object, &mut diagnostics));
    CompiledService { fragment, diagnostics }
}

fn cluster_ip(inputs: &ServiceInputs<'_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let Some(address) = inputs.service.cluster_ip else { return String::new() };
    let Some(holder) = inputs.address_holder else { return address.to_string() };
    let object = inputs.object;
    let message = format!("{holder} has {address} already; this service gets another address");
    diagnostics.push(
        Diagnostic::error(Code::Conflicted, object.document.locate("/spec/clusterIP"), message)
            .object(object.key.clone())
            .field("spec.clusterIP")
            .help("leave `clusterIP` out, or give each service its own"),
    );
    String::new()
}

/// A service that is over the limit is left without consumers' routes, and if that is not enough without
/// any, and says so: no agent would take it whole.
fn encode_bounded(
    mut service: v1::Service,
    object: &Object,
    diagnostics: &mut Vec<Diagnostic>,
) -> EncodedFragment {
    let whole = EncodedFragment::service(service.clone());
    if whole.bytes.len() <= MAX_FRAGMENT_BYTES {
        return whole;
    }
    service.tables.retain(|table| table.client_namespace.is_empty());
    let mut fragment = EncodedFragment::service(service.clone());
    let mut left_out = "until then consumers' routes are left out";
    if fragment.bytes.len() > MAX_FRAGMENT_BYTES {
        service.tables.clear();
        fragment = EncodedFragment::service(service);
        left_out = "until then its HTTP ports answer 404";
    }
    let message = format!("compiles to {} bytes; the limit is {MAX_FRAGMENT_BYTES}", whole.bytes.len());
    diagnostics.push(
        Diagnostic::error(Code::BudgetExceeded, object.document.location.clone(), message)
            .object(object.key.clone())
            .help(format!("attach fewer routes to the Service, or split it; {left_out}")),
    );
    fragment
}

/// Compiles what holds for a whole site.
pub fn compile_settings(mesh: &Mesh, data_plane: &DataPlane) -> EncodedFragment {
    EncodedFragment::settings(v1::Settings {
        trust_domain: mesh.trust_domain.clone(),
        supervision: data_plane.supervision.into(),
        drain_seconds: data_plane.drain_seconds,
        outbound_cidr: mesh.outbound_cidr.to_string(),
        stale_after_seconds: mesh.stale_after_seconds,
    })
}

impl<'a> RouteInput<'a> {
    /// Takes an object as a route.
    pub fn new(aged: &'a Aged) -> Option<Self> {
        match &aged.object.spec {
            Spec::HttpRoute(route) => Some(Self { aged, route }),
            _ => None,
        }
    }
}

impl<'a> PolicyInput<'a> {
    /// Takes an object as a traffic policy.
    pub fn new(aged: &'a Aged) -> Option<Self> {
        match &aged.object.spec {
            Spec::TrafficPolicy(policy) => Some(Self { aged, policy }),
            _ => None,
        }
    }
}
