//! The names of resources: what people see in Envoy's statistics and in `skerry describe`.

use std::num::NonZeroU16;

use skerry_core::bundle::v1;

/// The cluster of backends that must not be used. No set ever has it: Envoy answers 500 instead.
pub const INVALID_CLUSTER: &str = "invalid-backend";

/// Names the cluster and the endpoints of a service's port: `<namespace>/<service>/<port>`.
pub fn cluster(namespace: &str, service: &str, port: u32) -> String {
    format!("{namespace}/{service}/{port}")
}

/// Names the listener and the routes of a service's port: `outbound/<namespace>/<service>/<port>`.
pub fn outbound(service: &v1::Service, port: u32) -> String {
    format!("outbound/{}", cluster(&service.namespace, &service.name, port))
}

/// Names the listener and the cluster of the workload's own port: `inbound/<port>`.
pub fn inbound(port: NonZeroU16) -> String {
    format!("inbound/{port}")
}

/// Names a service in a problem.
pub(crate) fn subject(service: &v1::Service) -> String {
    format!("service {}/{}", service.namespace, service.name)
}
