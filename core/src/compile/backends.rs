//! Resolves the backends of a rule. A backend that cannot be used keeps its share, which is then
//! answered 500 (Gateway API v1, `HTTPBackendRef`).

use crate::bundle::v1;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::field_path;
use crate::policy::Service;
use crate::policy::http_route::BackendRef;

use super::{RouteInput, ServiceInputs};

/// Resolves backends by weight; those of weight 0 are left out.
pub(super) fn resolve(
    inputs: &ServiceInputs<'_>,
    route: RouteInput<'_>,
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
    route: RouteInput<'_>,
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
    match inputs.backends.get(&target.service).map(|service| pick_port(service, target.port)) {
        Some(Ok(port)) => {
            resolved.port = port.into();
            resolved.invalid = false;
        }
        Some(Err((message, help))) => {
            diagnostics.push(dangling(
                route,
                backend,
                "port",
                format!("Service {} {message}", target.service),
                help,
            ));
        }
        None => {
            let message = format!("Service {} is not in the policy at this site", target.service);
            let help =
                "add the Service, or correct the name or namespace; its share is answered 500".to_owned();
            diagnostics.push(dangling(route, backend, "name", message, help));
        }
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

fn dangling(
    route: RouteInput<'_>,
    backend: &BackendRef,
    field: &str,
    message: String,
    help: String,
) -> Diagnostic {
    let pointer = format!("{}/{field}", backend.pointer);
    let object = &route.aged.object;
    Diagnostic::error(Code::DanglingReference, object.document.locate(&pointer), message)
        .object(object.key.clone())
        .field(field_path(&pointer))
        .help(help)
}
