//! How long a request may take (GEP-1742): the whole of it, and each try.

use skerry_core::bundle::v1::{Protocol, Retry, Timeouts};

/// The limit of a request to an HTTP port whose route names none: 15 s, also Envoy's default.
///
/// A request to an HTTP/2 port has none, since gRPC streams are as long as they are and gRPC carries
/// deadlines of its own.
pub const DEFAULT_REQUEST_TIMEOUT_MS: u64 = 15_000;

/// The limits of a route in milliseconds; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// From the end of the request to the end of the response, over all tries.
    pub(super) whole: Option<u64>,
    /// The same of one try; only where there is more than one.
    pub(super) per_try: Option<u64>,
}

impl Limits {
    /// Resolves a route's timeouts.
    ///
    /// A route that limits only its tries gets room for all of them, and no less than the default.
    /// Without retries the one try is the whole, so the smaller limit holds.
    pub(super) fn of(timeouts: Option<Timeouts>, retry: Option<&Retry>, protocol: Protocol) -> Self {
        let timeouts = timeouts.unwrap_or_default();
        let per_try = timeouts.backend_request_ms.and_then(limit);
        let tries = 1 + u64::from(retry.map_or(0, |retry| retry.attempts));
        let whole = match timeouts.request_ms {
            Some(milliseconds) => limit(milliseconds),
            None => default(protocol).map(|default| default.max(per_try.unwrap_or(0) * tries)),
        };
        if tries > 1 {
            Self { whole, per_try }
        } else {
            Self { whole: smaller(whole, per_try), per_try: None }
        }
    }
}

fn limit(milliseconds: u32) -> Option<u64> {
    (milliseconds != 0).then_some(milliseconds.into())
}

fn default(protocol: Protocol) -> Option<u64> {
    match protocol {
        Protocol::Tcp | Protocol::Http => Some(DEFAULT_REQUEST_TIMEOUT_MS),
        Protocol::Http2 => None,
    }
}

fn smaller(left: Option<u64>, right: Option<u64>) -> Option<u64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (limit, None) | (None, limit) => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Protocol, Retry, Timeouts};

    fn limits(request: Option<u32>, backend: Option<u32>, attempts: u32, protocol: Protocol) -> (u64, u64) {
        let timeouts = Timeouts { request_ms: request, backend_request_ms: backend };
        let retry = Retry { attempts, ..Default::default() };
        let limits = Limits::of(Some(timeouts), Some(&retry), protocol);
        (limits.whole.unwrap_or(0), limits.per_try.unwrap_or(0))
    }

    #[test]
    fn the_table_of_limits() {
        let http = Protocol::Http;
        assert_eq!(limits(None, None, 0, http), (15_000, 0), "the default");
        assert_eq!(limits(Some(0), None, 0, http), (0, 0), "0 is no limit");
        assert_eq!(limits(Some(500), None, 2, http), (500, 0));
        assert_eq!(limits(Some(500), Some(200), 2, http), (500, 200));
        assert_eq!(limits(Some(500), Some(200), 0, http), (200, 0), "one try is the whole");
        assert_eq!(limits(Some(0), Some(200), 0, http), (200, 0));
        assert_eq!(limits(None, Some(30_000), 0, http), (30_000, 0), "a wish beyond the default");
        assert_eq!(limits(None, Some(10_000), 2, http), (30_000, 10_000), "room for every try");
        assert_eq!(limits(None, Some(0), 1, http), (15_000, 0));
        assert_eq!(limits(None, None, 0, Protocol::Http2), (0, 0), "streams are as long as they are");
        assert_eq!(limits(Some(500), None, 0, Protocol::Http2), (500, 0));
    }
}
