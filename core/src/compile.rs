//! Compiles one service, as one class of sites sees it, into its fragment. Pure and total: what
//! cannot be applied becomes a diagnostic and the rest is compiled (invariant 1).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::bundle::{EncodedFragment, MAX_FRAGMENT_BYTES, v1};
use crate::diagnostic::{Code, Diagnostic};
use crate::form::Input;
use crate::id::{NamespacedName, ObjectKey};
use crate::pace::Pace;
use crate::policy::authorization_policy::Access;
use crate::policy::mesh::DEFAULT_MAX_REMOVAL_PERCENT;
use crate::policy::{AuthorizationPolicy, HttpRoute, Mesh, Service, TrafficPolicy, site::DataPlane};
use crate::selector::Selector;

pub mod authorization;
pub(crate) mod backends;
pub mod order;
mod routes;
pub mod traffic;

/// All that the fragment of one service depends on. Equal inputs give equal bytes.
#[derive(Debug)]
pub struct ServiceInputs<'a> {
    /// The service.
    pub service: Input<'a, Service>,
    /// Another service that has the address which this one declares: it gets one by index then.
    pub address_holder: Option<&'a ObjectKey>,
    /// Its address index.
    pub index: u32,
    /// The name of the fleet's `Mesh`: policies target it by that.
    pub mesh: &'a str,
    /// The routes that attach to it, in any order.
    pub routes: Vec<Input<'a, HttpRoute>>,
    /// The policies that may say something about it, in any order.
    pub policies: Vec<Input<'a, TrafficPolicy>>,
    /// The policies that may say who calls it, in any order.
    pub authorizations: Vec<Input<'a, AuthorizationPolicy>>,
    /// The backends that its routes name, as far as they are in the policy.
    pub backends: BTreeMap<NamespacedName, Backend<'a>>,
}

/// A service that a route names.
#[derive(Debug, Clone, Copy)]
pub enum Backend<'a> {
    /// It is at these sites.
    Here(Input<'a, Service>),
    /// It is at other sites only: those of its selector.
    Elsewhere(&'a Selector),
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
    let settings = traffic::for_service(inputs, &mut diagnostics).settings;
    let cluster = traffic::cluster_policy(&settings);
    let authorization = authorization::compile(inputs, &ports, &mut diagnostics);
    let service = v1::Service {
        namespace: inputs.service.key().namespace.clone(),
        name: inputs.service.key().name.clone(),
        index: inputs.index,
        cluster_ip: cluster_ip(inputs, &mut diagnostics),
        selector: inputs.service.spec.selector.clone(),
        ports,
        tables,
        cluster,
        authorization,
        mtls: settings.mtls.unwrap_or_default().into(),
    };
    let fragment = Arc::new(encode_bounded(service, inputs.service, &mut diagnostics));
    CompiledService { fragment, diagnostics }
}

fn cluster_ip(inputs: &ServiceInputs<'_>, diagnostics: &mut Vec<Diagnostic>) -> String {
    let Some(address) = inputs.service.spec.cluster_ip else { return String::new() };
    let Some(holder) = inputs.address_holder else { return address.to_string() };
    let message = format!("{holder} has {address} already; this service gets another address");
    diagnostics.push(
        inputs
            .service
            .form
            .error(Code::Conflicted, "/spec/clusterIP", message)
            .help("leave `clusterIP` out, or give each service its own"),
    );
    String::new()
}

/// A service that is over the limit is left without consumers' routes, and if that is not enough without
/// any, and says so: no agent would take it whole.
fn encode_bounded(
    mut service: v1::Service,
    input: Input<'_, Service>,
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
        input
            .form
            .error(Code::BudgetExceeded, "", message)
            .help(format!("attach fewer routes to the Service, or split it; {left_out}")),
    );
    fragment
}

/// Compiles what holds for a whole site.
pub fn compile_settings(
    mesh: &Mesh,
    data_plane: &DataPlane,
    pace: Pace,
    offline_seconds: u32,
) -> EncodedFragment {
    EncodedFragment::settings(v1::Settings {
        trust_domain: mesh.trust_domain.clone(),
        supervision: data_plane.supervision.into(),
        drain_seconds: data_plane.drain_seconds,
        outbound_cidr: mesh.outbound_cidr.to_string(),
        stale_after_seconds: mesh.stale_after_seconds,
        max_removal_percent: match mesh.max_removal_percent {
            DEFAULT_MAX_REMOVAL_PERCENT => 0,
            percent => percent.into(),
        },
        deny_by_default: mesh.default_access == Access::Deny,
        mtls: mesh.mtls.into(),
        link: pace.to_settings(),
        offline_seconds,
    })
}
