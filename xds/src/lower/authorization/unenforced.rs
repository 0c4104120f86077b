//! Policies that nobody enforces: the proxy of the called workload decides who may call and whether in plain text, and there is none
//! in front of what is called.

use std::collections::BTreeSet;

use skerry_core::bundle::v1::MtlsMode;
use skerry_core::bundle::{Bundle, v1};
use skerry_core::workload::Workload;

use crate::lower::port;

/// How many workloads of one service are named.
const NAMED: usize = 3;

/// Says for people which services of a bundle have policies that no proxy of these workloads enforces, in the order of
/// their names; one line for each service and reason.
pub fn unenforced(bundle: &Bundle, workloads: &[Workload]) -> Vec<String> {
    let is_default = bundle.settings.deny_by_default;
    let services = bundle.services.values().filter_map(|service| {
        let is_strict = match service.mtls() {
            MtlsMode::Unspecified => bundle.settings.mtls() == MtlsMode::Strict,
            mode => mode == MtlsMode::Strict,
        };
        let demand = match (&service.authorization, is_default) {
            (Some(_), _) => "has a policy",
            (None, true) => "is closed by the mesh's default",
            (None, false) if is_strict => "takes mutual TLS alone",
            (None, false) => return None,
        };
        Some(of_service(service, demand, workloads))
    });
    services.flatten().collect()
}

fn of_service(service: &v1::Service, demand: &str, workloads: &[Workload]) -> Vec<String> {
    let selected = || workloads.iter().filter(|workload| port::selects(service, workload));
    let bare = selected().filter(|workload| workload.proxy.is_none());
    let bare: BTreeSet<String> = bare.map(|workload| format!("`{}`", workload.name)).collect();
    let past: BTreeSet<String> = selected().flat_map(|workload| past_proxy(service, workload)).collect();
    let line = |found: BTreeSet<String>, what: &str, help: &str| {
        let (shown, more) =
            (found.iter().take(NAMED).cloned().collect::<Vec<_>>(), found.len().saturating_sub(NAMED));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (namespace, name, shown) = (&service.namespace, &service.name, shown.join(", "));
        (!found.is_empty()).then(|| {
            format!("service {namespace}/{name} {demand}, and {what} {shown}{more}: nobody enforces it there (help: {help})")
        })
    };
    let bare =
        line(bare, "there is no proxy in front of workload", "give it `spec.proxy` in its Workload file");
    let past = line(past, "it leads past the proxy to", "add the port to `spec.ports` of the Workload");
    bare.into_iter().chain(past).collect()
}

/// Lists the ports of a workload with a proxy that the service leads to and that are not behind it.
fn past_proxy(service: &v1::Service, workload: &Workload) -> Vec<String> {
    if workload.proxy.is_none() {
        return Vec::new();
    }
    let is_known = |at| workload.ports.iter().any(|known| known.port == at);
    let led_to = service.ports.iter().filter_map(|port| port::resolve(port, workload));
    led_to.filter(|at| !is_known(*at)).map(|at| format!("port {at} of `{}`", workload.name)).collect()
}
