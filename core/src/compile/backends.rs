//! Resolves the backends of a rule. A backend that cannot be used keeps its share, which is then
//! answered 500 (Gateway API v1, `HTTPBackendRef`).

use crate::bundle::v1;
use crate::diagnostic::{Code, Diagnostic};
use crate::form::Input;
use crate::policy::http_route::BackendRef;
use crate::policy::{HttpRoute, Service};

use super::{Backend, ServiceInputs};

/// Resolves backends by weight; those of weight 0 are left out.
pub(super) fn resolve(
    inputs: &ServiceInputs<'_>,
    route: Input<'_, HttpRoute>,
    backends: &[BackendRef],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<v1::Backend> {
    let mut resolved = Vec::new();
    for backend in backends {
        let target = resolve_one(inputs, route, backend, diagnostics);
        if backend.weight > 0 {
            resolved.push(target);
        }
    }
    resolved
}

fn resolve_one(
    inputs: &ServiceInputs<'_>,
    route: Input<'_, HttpRoute>,
    backend: &BackendRef,
    diagnostics: &mut Vec<Diagnostic>,
) -> v1::Backend {
    let mut resolved = v1::Backend {
        weight: backend.weight,
        request_headers: backend.request_headers.clone(),
        response_headers: backend.response_headers.clone(),
        invalid: true,
        ..v1::Backend::default()
    };
    let Ok(target) = &backend.target else { return resolved };
    resolved.namespace.clone_from(&target.service.namespace);
    resolved.name.clone_from(&target.service.name);
    let mut dangling = |field: &str, message: String, help: String| {
        let pointer = format!("{}/{field}", backend.pointer);
        diagnostics.push(route.form.error(Code::DanglingReference, &pointer, message).help(help));
    };
    match inputs.backends.get(&target.service) {
        Some(Backend::Here(service)) => match pick_port(service, target.port) {
            Ok(port) => {
                resolved.port = port.into();
                resolved.invalid = false;
            }
            Err((message, help)) => dangling("port", format!("Service {} {message}", target.service), help),
        },
        Some(Backend::Elsewhere(sites)) => dangling(
            "name",
            format!(
                "Service {} is at sites with `{sites}` only, and this route is at others too",
                target.service
            ),
            "give both the same sites; where the Service is not, its share is answered 500".to_owned(),
        ),
        None => dangling(
            "name",
            format!("Service {} is not in the policy", target.service),
            "add the Service, or correct the name or namespace; its share is answered 500".to_owned(),
        ),
    }
    resolved
}

fn pick_port(service: &Service, wanted: Option<u16>) -> Result<u16, (String, String)> {
    let numbers: Vec<String> = service.ports.iter().map(|port| port.port.to_string()).collect();
    let help = || {
        format!("its ports are {}", if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") })
    };
    match wanted {
        Some(port) if service.port(port).is_some() => Ok(port),
        Some(port) => Err((format!("has no port {port}"), help())),
        None => match service.ports.as_slice() {
            [only] => Ok(only.port),
            _ => Err(("has several ports or none, and the backend names none".to_owned(), help())),
        },
    }
}
