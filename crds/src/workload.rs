//! `Workload` files of a site → the workloads that an agent serves.
//!
//! Works on bytes and documents; reading and watching the folder is the agent's part. A bad file hurts
//! no other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::LazyLock;

use skerry_core::diagnostic::{Code, Diagnostic, Diagnostics, Location};
use skerry_core::document::Document;
use skerry_core::id::NamespacedName;
use skerry_core::workload::{DEFAULT_INBOUND_PORT, Proxy, ProxyRole, Workload, WorkloadPort};

use crate::api;
use crate::api::workload::{Port, Role, WorkloadSpec};
use crate::decode::metadata::Name;
use crate::decode::ports::Ports;
use crate::decode::subject::{Subject, Unusable};
use crate::decode::{dns, metadata, network, spec};
use crate::findings::Findings;
use crate::shape::Shape;

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_crd::<api::workload::Workload>);

/// The account of a workload that names none (as the Kubernetes API).
const DEFAULT_SERVICE_ACCOUNT: &str = "default";

/// Reads every workload in the files (name, content), sorted by namespace and name.
///
/// Of two with one name, the first by file name and place counts; the other is a `DuplicateObject`.
/// Documents of other kinds are ignored; unreadable ones and bad workloads are in the diagnostics, sorted.
pub fn load_workloads(files: &[(String, Vec<u8>)]) -> (Vec<Workload>, Vec<Diagnostic>) {
    let mut files: Vec<&(String, Vec<u8>)> = files.iter().collect();
    files.sort();
    let mut loaded: BTreeMap<NamespacedName, (Workload, Location)> = BTreeMap::new();
    let mut diagnostics = Diagnostics::new();
    for (name, bytes) in files {
        let parsed = crate::yaml::parse(name, bytes);
        diagnostics.extend(parsed.diagnostics);
        for document in &parsed.documents {
            match load(document) {
                None => {}
                Some(Err(errors)) => diagnostics.extend(errors),
                Some(Ok(workload)) => match loaded.get(&workload.name) {
                    Some((_, first)) => {
                        diagnostics.insert(duplicate(document, &workload.name, first));
                    }
                    None => {
                        loaded.insert(workload.name.clone(), (workload, document.location.clone()));
                    }
                },
            }
        }
    }
    (loaded.into_values().map(|(workload, _)| workload).collect(), diagnostics.into_iter().collect())
}

/// `None`: the document is of a kind that an agent does not read.
fn load(document: &Document) -> Option<Result<Workload, Vec<Diagnostic>>> {
    match Subject::of(document) {
        Subject::Unusable(Unusable::Workload) => Some(decode_workload(document)),
        Subject::Unusable(
            unknown @ (Unusable::UnknownKind(_) | Unusable::UnknownVersion(_) | Unusable::Misspelt(_)),
        ) => {
            let mut findings = Findings::new(document);
            unknown.explain(document, &mut findings);
            Some(Err(findings.into_diagnostics()))
        }
        _ => None,
    }
}

fn duplicate(document: &Document, name: &NamespacedName, first: &Location) -> Diagnostic {
    let message = format!("Workload {name} is there twice; this one is ignored");
    let diagnostic = Diagnostic::error(Code::DuplicateObject, document.locate("/metadata/name"), message);
    diagnostic.field("metadata.name").help(format!("the first is at {first}: rename or remove one"))
}

/// Reads one workload.
///
/// Errors: another kind, or a field that is missing, unknown or out of bounds; each with its place.
pub fn decode_workload(document: &Document) -> Result<Workload, Vec<Diagnostic>> {
    let mut findings = Findings::new(document);
    let workload = convert(document, &mut findings);
    match workload {
        Some(workload) if findings.errors() == 0 => Ok(workload),
        _ => Err(findings.into_diagnostics()),
    }
}

fn convert(document: &Document, findings: &mut Findings<'_>) -> Option<Workload> {
    if Subject::of(document) != Subject::Unusable(Unusable::Workload) {
        let help = format!("write apiVersion: {}/{} and kind: Workload", api::GROUP, api::VERSION);
        findings.error(Code::UnknownValue, "/kind", "the document is not a Workload", help);
        return None;
    }
    spec::check_envelope(findings);
    let name = metadata::read_name(false, findings);
    let labels = metadata::read_labels(findings);
    let spec: WorkloadSpec = spec::read(&SHAPE, findings)?;
    let ports = convert_ports(spec.ports.as_deref().unwrap_or_default(), findings);
    let address = address(&spec.address, findings);
    let proxy = match &spec.proxy {
        None => None,
        Some(given) => Some(proxy(given, &ports, findings)?),
    };
    let Name { namespace, name } = name?;
    let service_account = spec.service_account.unwrap_or_else(|| DEFAULT_SERVICE_ACCOUNT.to_owned());
    if !dns::is_subdomain(&service_account) {
        let help = format!("use {}", dns::SUBDOMAIN_RULE);
        let message = format!("`{service_account}` is not the name of a service account");
        findings.error(Code::InvalidValue, "/spec/serviceAccount", message, help);
    }
    let name = NamespacedName::new(namespace, name);
    // The shape has checked the bounds.
    let uid = spec.uid.and_then(|uid| u32::try_from(uid).ok());
    Some(Workload { name, labels, service_account, address: address?, ports, uid, proxy })
}

/// The address of one host: neither "every address" nor a group of hosts.
fn address(text: &str, findings: &mut Findings<'_>) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.filter(|address| !address.is_unspecified() && !address.is_multicast());
    if address.is_none() {
        let message = format!("`{text}` is not the address of a host");
        let help = "write the IPv4 or IPv6 address at which it listens, such as 127.0.0.1";
        findings.error(Code::InvalidValue, "/spec/address", message, help);
    }
    address
}

fn convert_ports(given: &[Port], findings: &mut Findings<'_>) -> Vec<WorkloadPort> {
    let mut known = Ports::default();
    let mut converted = Vec::new();
    for (at, port) in given.iter().enumerate() {
        let pointer = format!("/spec/ports/{at}");
        let Some(number) = to_port(port.port) else { continue };
        known.add_number(number, &pointer, findings);
        let name = port.name.as_deref().unwrap_or_default();
        known.add_name(name, &pointer, findings);
        converted.push(WorkloadPort { name: name.to_owned(), port: number });
    }
    converted
}

/// The shape has checked the bounds.
fn to_port(number: i32) -> Option<NonZeroU16> {
    u16::try_from(number).ok().and_then(NonZeroU16::new)
}

fn proxy(given: &api::workload::Proxy, ports: &[WorkloadPort], findings: &mut Findings<'_>) -> Option<Proxy> {
    let role = match given.role {
        None | Some(Role::Sidecar) => ProxyRole::Sidecar,
        Some(other @ (Role::Node | Role::Gateway)) => {
            let message = format!("a proxy of role {other:?} is not supported yet");
            findings.error(Code::Unsupported, "/spec/proxy/role", message, "use Sidecar");
            return None;
        }
    };
    let outbound_cidr = match &given.outbound_cidr {
        None => None,
        Some(text) => Some(network::outbound_cidr(text, "/spec/proxy/outboundCIDR", findings)?),
    };
    let inbound_port = to_port(given.inbound_port.unwrap_or(i32::from(DEFAULT_INBOUND_PORT)))?;
    check_inbound(inbound_port, ports, findings);
    Some(Proxy { role, outbound_cidr, inbound_port })
}

/// The proxy takes as many ports as the workload has, one after the other, at the workload's own address.
fn check_inbound(inbound: NonZeroU16, ports: &[WorkloadPort], findings: &mut Findings<'_>) {
    let pointer = "/spec/proxy/inboundPort";
    let first = u32::from(inbound.get());
    let taken = first..first.saturating_add(u32::try_from(ports.len()).unwrap_or(u32::MAX));
    if taken.end > u32::from(u16::MAX) + 1 {
        let message = format!("{} ports from {first} on go beyond 65535", ports.len());
        findings.error(Code::InvalidValue, pointer, message, "give a lower number");
    }
    for port in ports.iter().filter(|port| taken.contains(&u32::from(port.port.get()))) {
        let message = format!("the proxy would take port {}, which is the workload's own", port.port);
        let help = format!(
            "the proxy takes {} port{}, one after the other: start elsewhere",
            ports.len(),
            if ports.len() == 1 { "" } else { "s" }
        );
        findings.error(Code::InvalidValue, pointer, message, help);
    }
}
