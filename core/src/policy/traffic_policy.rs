//! `TrafficPolicy`: timeouts, retries and mutual TLS, attached per GEP-713.

use crate::bundle::v1::{MtlsMode, RetryBudget};

pub use super::target::Target;

/// Settings for traffic to what it targets. A field that is not set leaves what a wider policy says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrafficPolicy {
    /// What it attaches to; at least one.
    pub targets: Vec<Target>,
    /// The settings.
    pub settings: TrafficSettings,
}

/// Settings for traffic; `None` is "not said here".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrafficSettings {
    /// Whole request with its retries: milliseconds; 0 is no limit.
    pub request_timeout_ms: Option<u32>,
    /// One try: milliseconds; 0 is no limit.
    pub backend_request_timeout_ms: Option<u32>,
    /// TCP connect: milliseconds, at least 1. Has an effect on mesh, namespace and service only.
    pub connect_timeout_ms: Option<u32>,
    /// Tries after the first, 0 to 10; 0 switches retries off.
    pub retry_attempts: Option<u32>,
    /// Status codes that are tried again, ascending, 400 to 599.
    pub retry_codes: Option<Vec<u32>>,
    /// Base of the exponential back-off: milliseconds, at least 1.
    pub retry_backoff_ms: Option<u32>,
    /// Share of requests under way that may be retries. Has an effect on mesh, namespace and service only.
    pub retry_budget: Option<RetryBudget>,
    /// What the proxies of the workloads take. Has an effect on mesh, namespace and service only.
    pub mtls: Option<MtlsMode>,
}
