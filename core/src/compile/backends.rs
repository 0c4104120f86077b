//! Resolves the backends of a rule. A backend that cannot be used keeps its share, which is then
//! answered 500 (Gateway API v1, `HTTPBackendRef`).

use crate::bundle::v1;
use crate::diagnostic::{Code, Diagnostic};
use crate::form::{Form, Input};
use crate::policy::http_route::{BackendRef, BackendTarget};
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
    let found = match inputs.backends.get(&target.service) {
        Some(Backend::Here(service)) => match find_port(target, Some(service.spec)) {
            Err(flaw) if let Some(blamed) = blame_override(*service, route.form, backend, &flaw) => {
                diagnostics.push(blamed);
                return resolved;
            }
            found => found,
        },
        Some(Backend::Elsewhere(sites)) => Err(Flaw {
            field: "name",
            message: format!(
                "Service {} is at sites with `{sites}` only, and this route is at others too",
                target.service
            ),
            help: "give both the same sites; where the Service is not, its share is answered 500".to_owned(),
        }),
        None => find_port(target, None),
    };
    match found {
        Ok(port) => {
            resolved.port = port.into();
            resolved.invalid = false;
        }
        Err(flaw) => diagnostics.push(flaw.tell(route.form, backend)),
    }
    resolved
}

/// Where an override took the port away, the override is named: the route may be as good as it was.
fn blame_override(
    service: Input<'_, Service>,
    route: &Form,
    backend: &BackendRef,
    flaw: &Flaw,
) -> Option<Diagnostic> {
    let sites = service.form.patched_at("/spec/ports")?;
    let place = route.origin(&backend.pointer).location;
    let own = format!("{} ", service.key());
    let flaw_message = flaw.message.strip_prefix(&own).unwrap_or(&flaw.message);
    let message = format!(
        "it {flaw_message}; {} sends there, at {place}, and its share is answered 500 {sites}",
        route.key()
    );
    let error = service.form.error(Code::DanglingReference, "/spec/ports", message);
    Some(error.help(format!("{}; patch the route at these sites too, or leave the port there", flaw.help)))
}

/// Why a backend leads nowhere.
pub(crate) struct Flaw {
    field: &'static str,
    message: String,
    help: String,
}

impl Flaw {
    /// Says it of a backend.
    pub(crate) fn tell(self, route: &Form, backend: &BackendRef) -> Diagnostic {
        let pointer = format!("{}/{}", backend.pointer, self.field);
        route.error(Code::DanglingReference, &pointer, self.message).help(self.help)
    }
}

/// Finds the port of a target whose service is as given, or is not in the policy.
pub(crate) fn find_port(target: &BackendTarget, service: Option<&Service>) -> Result<u16, Flaw> {
    let name = &target.service;
    let Some(service) = service else {
        let help = "add the Service, or correct the name or namespace; its share is answered 500".to_owned();
        return Err(Flaw { field: "name", message: format!("Service {name} is not in the policy"), help });
    };
    pick_port(service, target.port).map_err(|(message, help)| Flaw {
        field: "port",
        message: format!("Service {name} {message}"),
        help,
    })
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
