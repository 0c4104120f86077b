//! `TrafficPolicy` → targets and settings (GEP-713).

use std::sync::LazyLock;

use skerry_core::bundle::v1::RetryBudget;
use skerry_core::diagnostic::Code;
use skerry_core::policy::traffic_policy::{Target, TrafficSettings};
use skerry_core::policy::{Spec, TrafficPolicy};

use crate::api;
use crate::api::traffic_policy::{Retries, Timeouts, TrafficPolicySpec};
use crate::findings::Findings;
use crate::shape::Shape;

use super::metadata::Metadata;
use super::{Body, duration, invalid, mtls, sites, spec, target_refs};

static SHAPE: LazyLock<Shape> = LazyLock::new(spec::shape_of_crd::<api::traffic_policy::TrafficPolicy>);

/// The retry budget's share where the policy gives none (GEP-3388).
const DEFAULT_BUDGET_PERCENT: i32 = 20;
/// The retries that are always allowed where the policy does not say.
const DEFAULT_BUDGET_CONCURRENCY: i32 = 3;

pub(super) fn convert(metadata: &Metadata, findings: &mut Findings<'_>) -> Option<Body> {
    let spec: TrafficPolicySpec = spec::read_on(&SHAPE, findings)?;
    let sites = sites::of_selector(spec.sites.as_ref(), findings);
    let targets = target_refs::convert(&spec.target_refs, metadata, findings);
    let mut settings = TrafficSettings::default();
    if let Some(timeouts) = &spec.timeouts {
        read_timeouts(timeouts, &mut settings, findings);
    }
    if let Some(retries) = &spec.retries {
        read_retries(retries, &mut settings, findings);
    }
    settings.mtls = mtls::mode(spec.mtls.as_ref());
    if settings == TrafficSettings::default() && findings.errors() == 0 {
        findings.warning(
            Code::InvalidValue,
            "/spec",
            "the policy sets nothing",
            "give `timeouts`, `retries` or `mtls`",
        );
    }
    warn_without_effect(&targets, &settings, findings);
    Some(Body { spec: Spec::TrafficPolicy(TrafficPolicy { targets, settings }), sites })
}

fn read_timeouts(timeouts: &Timeouts, settings: &mut TrafficSettings, findings: &mut Findings<'_>) {
    let mut read = |duration: &Option<api::duration::Duration>, least, field| {
        let duration = duration.as_ref()?;
        duration::milliseconds(&duration.0, least, &format!("/spec/timeouts/{field}"), findings)
    };
    settings.request_timeout_ms = read(&timeouts.request, 0, "request");
    settings.backend_request_timeout_ms = read(&timeouts.backend_request, 0, "backendRequest");
    settings.connect_timeout_ms = read(&timeouts.connect, 1, "connect");
    if is_longer(settings.backend_request_timeout_ms, settings.request_timeout_ms) {
        let help = "one try cannot take longer than the whole request (GEP-1742)";
        invalid(findings, "/spec/timeouts/backendRequest", "it is longer than `request`", help);
    }
}

/// Says whether one try may take longer than the whole request; 0 is no limit.
pub(super) fn is_longer(backend_request: Option<u32>, request: Option<u32>) -> bool {
    matches!((backend_request, request), (Some(one), Some(whole)) if whole > 0 && one > whole)
}

fn read_retries(retries: &Retries, settings: &mut TrafficSettings, findings: &mut Findings<'_>) {
    settings.retry_attempts = retries.attempts.map(to_unsigned);
    settings.retry_codes = retries.codes.as_ref().map(|codes| {
        let mut codes: Vec<u32> = codes.iter().copied().map(to_unsigned).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    });
    let backoff = retries.backoff.as_ref();
    settings.retry_backoff_ms =
        backoff.and_then(|backoff| duration::milliseconds(&backoff.0, 1, "/spec/retries/backoff", findings));
    settings.retry_budget = retries.budget.as_ref().map(|budget| RetryBudget {
        percent: to_unsigned(budget.percent.unwrap_or(DEFAULT_BUDGET_PERCENT)),
        min_concurrency: to_unsigned(budget.min_concurrency.unwrap_or(DEFAULT_BUDGET_CONCURRENCY)),
    });
}

/// The shape has checked that no number is below 0.
fn to_unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn warn_without_effect(targets: &[Target], settings: &TrafficSettings, findings: &mut Findings<'_>) {
    let only_routes = targets.iter().all(|target| matches!(target, Target::Route(_) | Target::Rule(..)));
    if targets.is_empty() || !only_routes {
        return;
    }
    let help = "it belongs to connections: put it into a policy on the Service, Namespace or Mesh";
    if settings.connect_timeout_ms.is_some() {
        findings.warning(Code::InvalidValue, "/spec/timeouts/connect", "no effect on an HTTPRoute", help);
    }
    if settings.retry_budget.is_some() {
        findings.warning(Code::InvalidValue, "/spec/retries/budget", "no effect on an HTTPRoute", help);
    }
    if settings.mtls.is_some() {
        findings.warning(Code::InvalidValue, "/spec/mtls/mode", "no effect on an HTTPRoute", help);
    }
}
