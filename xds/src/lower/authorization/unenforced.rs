//! Policies that nobody enforces: the proxy of the called workload decides, and there is none in front of what is called.

use std::collections::BTreeSet;

use skerry_core::bundle::{Bundle, v1};
use skerry_core::workload::Workload;

use crate::lower::port;

/// How many workloads of one service are named.
const NAMED: usize = 3;

/// Says for people which services of a bundle have policies that no proxy of these workloads enforces, in the order of
/// their names; one line for each service and reason.
pub fn unenforced(bundle: &Bundle, workloads: &[Workload]) -> Vec<String> {
    let is_default = bundle.settings.deny_by_default;
    let guarded = bundle.services.values().filter(|service| is_default || service.authorization.is_some());
    guarded.flat_map(|service| of_service(service, workloads)).collect()
}

fn of_service(service: &v1::Service, workloads: &[Workload]) -> Vec<String> {
    let selected = || workloads.iter().filter(|workload| port::selects(service, workload));
    let bare = selected().filter(|workload| workload.proxy.is_none());
    let bare: BTreeSet<String> = bare.map(|workload| format!("`{}`", workload.name)).collect();
    let past: BTreeSet<String> = selected().flat_map(|workload| past_proxy(service, workload)).collect();
    let policy = match service.authorization {
        Some(_) => "has a policy",
        None => "is closed by the mesh's default",
    };
    let line = |found: BTreeSet<String>, what: &str, help: &str| {
        let (shown, more) =
            (found.iter().take(NAMED).cloned().collect::<Vec<_>>(), found.len().saturating_sub(NAMED));
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (namespace, name, shown) = (&service.namespace, &service.name, shown.join(", "));
        (!found.is_empty()).then(|| {
            format!("service {namespace}/{name} {policy}, and {what} {shown}{more}: nobody enforces it there (help: {help})")
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
