//! Which workloads a service selects, and which of their ports it means.

use std::num::NonZeroU16;

use skerry_core::bundle::v1;
use skerry_core::bundle::v1::service_port::Target;
use skerry_core::workload::Workload;

/// Says whether a workload is one of a service's: same namespace, all labels of the selector.
///
/// A service without a selector selects nothing, as in Kubernetes.
pub(crate) fn selects(service: &v1::Service, workload: &Workload) -> bool {
    let has = |(key, value): (&String, &String)| workload.labels.get(key) == Some(value);
    workload.name.namespace == service.namespace
        && !service.selector.is_empty()
        && service.selector.iter().all(has)
}

/// Finds the port of a workload that a service's port stands for; `None` if the workload lacks it.
///
/// In this order: the workload's port of the target's name; the target's number if the workload
/// declares it; the workload's port that is named like the service's (a laptop's processes cannot
/// all listen on 8080); the target's number as it is (Kubernetes needs no declared ports).
pub(crate) fn resolve(port: &v1::ServicePort, workload: &Workload) -> Option<NonZeroU16> {
    let named = |name: &str| workload.ports.iter().find(|known| known.name == name).map(|known| known.port);
    let number = match &port.target {
        Some(Target::TargetName(name)) => return named(name),
        Some(Target::TargetNumber(number)) => *number,
        None => port.port,
    };
    let number = u16::try_from(number).ok().and_then(NonZeroU16::new)?;
    let is_declared = workload.ports.iter().any(|known| known.port == number);
    if is_declared || port.name.is_empty() {
        return Some(number);
    }
    Some(named(&port.name).unwrap_or(number))
}
