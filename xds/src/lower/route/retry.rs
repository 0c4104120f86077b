//! When a request is tried again (GEP-1731).

use skerry_core::bundle::v1::Retry;

use crate::envoy::previous_hosts::PreviousHostsPredicate;
use crate::envoy::route::RetryPolicy;
use crate::envoy::route::retry_policy::{RetryBackOff, RetryHostPredicate, retry_host_predicate::ConfigType};
use crate::envoy::{UInt32Value, millis, pack};

/// No connection, a stream that the backend refused, and everything that ends a try before a
/// response begins: a reset, a lost connection, the limit of one try.
const ALWAYS: &str = "connect-failure,refused-stream,reset";

/// How often another endpoint is looked for before one that failed is used again.
const HOST_ATTEMPTS: i64 = 3;

/// The longest pause is ten times the first, as in Envoy's own default.
const MAX_BACKOFF_FACTOR: u64 = 10;

/// Lowers a retry; without attempts there is none.
pub(super) fn to_policy(retry: Option<&Retry>, per_try_ms: Option<u64>) -> Option<RetryPolicy> {
    let retry = retry.filter(|retry| retry.attempts > 0)?;
    let retry_on =
        if retry.codes.is_empty() { ALWAYS.to_owned() } else { format!("{ALWAYS},retriable-status-codes") };
    Some(RetryPolicy {
        retry_on,
        num_retries: Some(UInt32Value { value: retry.attempts }),
        per_try_timeout: per_try_ms.map(millis),
        retry_host_predicate: vec![another_host()],
        host_selection_retry_max_attempts: HOST_ATTEMPTS,
        retriable_status_codes: retry.codes.clone(),
        retry_back_off: (retry.backoff_ms > 0).then(|| backoff(retry.backoff_ms.into())),
        ..Default::default()
    })
}

fn another_host() -> RetryHostPredicate {
    RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(ConfigType::TypedConfig(pack(&PreviousHostsPredicate {}))),
    }
}

fn backoff(base_ms: u64) -> RetryBackOff {
    RetryBackOff {
        base_interval: Some(millis(base_ms)),
        max_interval: Some(millis(base_ms * MAX_BACKOFF_FACTOR)),
    }
}
