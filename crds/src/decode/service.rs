//! `Service` (core/v1) → a mesh service: its TCP ports, what each speaks, and what selects its workloads.

use std::net::IpAddr;
use std::sync::LazyLock;

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use skerry_core::bundle::v1::Protocol;
use skerry_core::bundle::v1::service_port::Target;
use skerry_core::diagnostic::Code;
use skerry_core::policy::Spec;
use skerry_core::policy::service::{Port, Service};

use crate::findings::{Findings, below};
use crate::shape::{self, Shape};

use super::metadata::{MAX_LABEL_KEY, MAX_LABEL_VALUE};
use super::ports::Ports;
use super::{Body, dns, invalid, ports, sites, spec};

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_type::<ServiceSpec>);

pub(super) fn convert(findings: &mut Findings<'_>) -> Option<Body> {
    let spec: ServiceSpec = spec::read_on(&SHAPE, findings)?;
    let sites = sites::of_annotation(findings);
    if spec.type_.as_deref() == Some("ExternalName") {
        let message = "a service that is an ExternalName has no effect";
        let help = "services of the mesh have workloads: call the other name directly";
        findings.warning(Code::Unsupported, "/spec/type", message, help);
        return None;
    }
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        let message = "session affinity is not supported; it has no effect";
        findings.warning(Code::Unsupported, "/spec/sessionAffinity", message, "remove it");
    }
    let selector = spec.selector.unwrap_or_default();
    for (key, value) in &selector {
        if key.len() > MAX_LABEL_KEY || value.len() > MAX_LABEL_VALUE {
            let help = format!("a key has at most {MAX_LABEL_KEY} characters, a value {MAX_LABEL_VALUE}");
            invalid(findings, &below("/spec/selector", key), "the label is too long", help);
        }
    }
    if spec.ports.as_ref().is_none_or(Vec::is_empty) {
        let message = "the service has no port, so nobody can call it";
        findings.warning(Code::InvalidValue, "/spec/ports", message, "add `ports`");
    }
    let service = Service {
        cluster_ip: cluster_ip(spec.cluster_ip.as_deref(), findings),
        selector,
        ports: convert_ports(&spec.ports.unwrap_or_default(), findings),
    };
    Some(Body { spec: Spec::Service(service), sites: sites.ok()? })
}

/// `None` (headless) and empty are no address.
fn cluster_ip(text: Option<&str>, findings: &mut Findings<'_>) -> Option<IpAddr> {
    let text = text.filter(|text| !text.is_empty() && *text != "None")?;
    let Ok(address) = text.parse::<IpAddr>() else {
        let help = "write an IP address, \"None\", or leave it out";
        invalid(findings, "/spec/clusterIP", format!("`{text}` is not an IP address"), help);
        return None;
    };
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || is_broadcast {
        let help = "take an address that one service alone can have, or leave it out";
        invalid(findings, "/spec/clusterIP", format!("`{text}` is no single host's address"), help);
        return None;
    }
    Some(address)
}

/// The most ports of a service, so that its fragment stays far below its limit without routes.
const MAX_PORTS: usize = 250;

fn convert_ports(given: &[ServicePort], findings: &mut Findings<'_>) -> Vec<Port> {
    let mut known = Ports::default();
    let mut converted = Vec::new();
    if given.len() > MAX_PORTS {
        let message = format!("the service has {} ports; at most {MAX_PORTS} are taken", given.len());
        invalid(findings, "/spec/ports", message, "split the service");
        return converted;
    }
    for (at, port) in given.iter().enumerate() {
        let pointer = format!("/spec/ports/{at}");
        let name = port.name.as_deref().unwrap_or_default();
        if name.is_empty() && given.len() > 1 {
            // Kubernetes API: `ServicePort.name`.
            let message = "one of several ports has no name";
            invalid(findings, &below(&pointer, "name"), message, "name every port");
        }
        known.add_name(name, &pointer, findings);
        let Some(number) = ports::number(port.port, &below(&pointer, "port"), findings) else { continue };
        if !is_tcp(port, &pointer, findings) {
            continue;
        }
        known.add_number(number, &pointer, findings);
        let number = number.get();
        let Some(target) = target(port, number, &below(&pointer, "targetPort"), findings) else { continue };
        let (protocol, server_first) = (protocol(port), is_server_first(port));
        converted.push(Port { name: name.to_owned(), port: number, target, protocol, server_first });
    }
    converted
}

fn is_tcp(port: &ServicePort, pointer: &str, findings: &mut Findings<'_>) -> bool {
    let pointer = below(pointer, "protocol");
    match port.protocol.as_deref() {
        None | Some("TCP" | "") => true,
        Some(other @ ("UDP" | "SCTP")) => {
            let message = format!("{other} is not supported; the port is left out");
            findings.warning(
                Code::Unsupported,
                &pointer,
                message,
                "the mesh carries TCP: call this port directly",
            );
            false
        }
        Some(other) => {
            let help = shape::one_of(["TCP", "UDP", "SCTP"].into_iter());
            findings.error(Code::UnknownValue, &pointer, format!("`{other}` is not a protocol"), help);
            false
        }
    }
}

/// The workload's port; left out, the same number.
fn target(port: &ServicePort, number: u16, pointer: &str, findings: &mut Findings<'_>) -> Option<Target> {
    match &port.target_port {
        None => Some(Target::TargetNumber(u32::from(number))),
        Some(IntOrString::Int(target)) => ports::number(*target, pointer, findings)
            .map(|target| Target::TargetNumber(u32::from(target.get()))),
        Some(IntOrString::String(name)) if dns::is_port_name(name) => Some(Target::TargetName(name.clone())),
        Some(IntOrString::String(name)) => {
            let help = "give a number, or the name of a workload's port: at most 15 lower-case letters, digits and `-`";
            invalid(findings, pointer, format!("`{name}` is not a port"), help);
            None
        }
    }
}

/// `appProtocol` (KEP-3726) decides; one that is not known says nothing, and then the first word of the
/// name does (`http-admin`). `None` leaves it to the routes.
fn protocol(port: &ServicePort) -> Option<Protocol> {
    let by_app_protocol = match port.app_protocol.as_deref().unwrap_or_default().to_ascii_lowercase().as_str()
    {
        "http" | "kubernetes.io/ws" | "grpc-web" => Some(Protocol::Http),
        "kubernetes.io/h2c" | "http2" | "grpc" | "h2c" => Some(Protocol::Http2),
        "tcp" | "https" | "tls" | "kubernetes.io/wss" | "mongo" | "mysql" | "redis" => Some(Protocol::Tcp),
        _ => None,
    };
    by_app_protocol.or_else(|| {
        let name = port.name.as_deref().unwrap_or_default();
        match name.split('-').next().unwrap_or_default() {
            "http" => Some(Protocol::Http),
            "grpc" if name.starts_with("grpc-web") => Some(Protocol::Http),
            "http2" | "grpc" | "h2c" => Some(Protocol::Http2),
            "tcp" | "tls" | "https" | "mongo" | "mysql" | "redis" => Some(Protocol::Tcp),
            _ => None,
        }
    })
}

/// Protocols in which the server greets before the client says anything. Only `appProtocol` says so: a name is too
/// easily given for another reason.
const SERVER_FIRST: [&str; 5] = ["mysql", "smtp", "ftp", "pop3", "imap"];

fn is_server_first(port: &ServicePort) -> bool {
    let app_protocol = port.app_protocol.as_deref().unwrap_or_default().to_ascii_lowercase();
    SERVER_FIRST.contains(&app_protocol.as_str())
}
