//! `timeouts` (GEP-1742) and `retry` (GEP-1731) of a rule.

use gateway_api::apis::experimental::httproutes::{HttpRouteRulesRetry, HttpRouteRulesTimeouts};
use skerry_core::bundle::v1::{Retry, Timeouts};

use crate::decode::traffic_policy::is_longer;
use crate::decode::{duration, invalid};
use crate::findings::{Findings, below};

/// The tries after the first of a rule that asks for retries without saying how many.
const DEFAULT_ATTEMPTS: i64 = 1;

/// The most tries after the first; more would turn an outage into a flood.
const MAX_ATTEMPTS: u32 = 10;

/// Converts timeouts; one with an error is left to policies and defaults. `None`: nothing is set.
pub(super) fn convert(
    timeouts: &HttpRouteRulesTimeouts,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<Timeouts> {
    let mut read = |text: &Option<String>, field| {
        let pointer = format!("{pointer}/timeouts/{field}");
        text.as_ref().and_then(|text| duration::milliseconds(text, 0, &pointer, findings))
    };
    let request_ms = read(&timeouts.request, "request");
    let mut backend_request_ms = read(&timeouts.backend_request, "backendRequest");
    if is_longer(backend_request_ms, request_ms) {
        let pointer = format!("{pointer}/timeouts/backendRequest");
        let help = "one try cannot take longer than the whole request (GEP-1742); it is ignored";
        invalid(findings, &pointer, "it is longer than `request`", help);
        backend_request_ms = None;
    }
    let timeouts = Timeouts { request_ms, backend_request_ms };
    (timeouts != Timeouts::default()).then_some(timeouts)
}

/// Converts retries. `None`: the findings say why, and policies decide.
pub(super) fn convert_retry(
    retry: &HttpRouteRulesRetry,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<Retry> {
    let pointer = below(pointer, "retry");
    let before = findings.errors();
    let given = retry.attempts.unwrap_or(DEFAULT_ATTEMPTS);
    let attempts = u32::try_from(given).ok().filter(|attempts| *attempts <= MAX_ATTEMPTS);
    if attempts.is_none() {
        let message = format!("{given} attempts are out of bounds");
        invalid(findings, &below(&pointer, "attempts"), message, format!("give 0 to {MAX_ATTEMPTS}"));
    }
    let mut codes = Vec::new();
    for (at, code) in retry.codes.iter().flatten().enumerate() {
        match u32::try_from(*code).ok().filter(|code| (400..=599).contains(code)) {
            Some(code) => codes.push(code),
            None => {
                let message = format!("{code} is not a status that can be tried again");
                invalid(findings, &format!("{pointer}/codes/{at}"), message, "give 400 to 599");
            }
        }
    }
    codes.sort_unstable();
    codes.dedup();
    let backoff = retry.backoff.as_ref();
    let backoff_ms =
        backoff.and_then(|text| duration::milliseconds(text, 1, &below(&pointer, "backoff"), findings));
    let is_sound = findings.errors() == before;
    let backoff_ms = backoff_ms.unwrap_or_default();
    attempts.filter(|_| is_sound).map(|attempts| Retry { attempts, codes, backoff_ms })
}
