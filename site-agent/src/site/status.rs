//! The site's state, as it is reported and as it is written for people.

use skerry_core::bundle::v1::Supervision;
use skerry_core::id::NamespacedName;
use skerry_proto::limits::{MAX_AUDITS, MAX_WORKLOAD_PROBLEMS};
use skerry_proto::v1::proxy_state::Phase as WirePhase;
use skerry_proto::v1::{AuditCount, Counted, ProxyState, SiteState};
use skerry_xds::audit::{Audited, Counts};
use skerry_xds::lower::unenforced;
use tracing::warn;

use super::{Held, Site};
use crate::clock::{Now, Stamp, wall_ms};
use crate::launcher::Mode;
use crate::layout::replace_file;
use crate::machine::Phase;
use crate::report;

impl Site {
    /// Keeps a state report if one is due.
    pub(super) fn report_state(&mut self, now: Now) {
        let mut reporter = std::mem::take(&mut self.reporter);
        let state = reporter.poll_state(now, || self.state(self.current.as_ref()));
        self.reporter = reporter;
        let Some(state) = state else { return };
        self.show(&state);
        self.keep_reports(vec![report::of_state(state, Stamp::now())]);
    }

    /// Takes note of a state that was kept together with what it came from.
    pub(super) fn note_reported(&mut self, state: SiteState) {
        self.show(&state);
        self.reporter.handle_reported(self.clock.now(), state);
    }

    /// Writes a state for people.
    fn show(&self, state: &SiteState) {
        if let Err(error) = replace_file(&self.status_file, &to_json(state)) {
            warn!("cannot write {}: {error}", self.status_file.display());
        }
    }

    /// The site's state when it runs this bundle.
    pub(super) fn state(&self, runs: Option<&Held>) -> SiteState {
        let manifest = runs.map(|held| held.bundle.manifest.clone()).unwrap_or_default();
        let problems = self.workload_problems.iter().chain(self.publisher.problems()).cloned();
        let (identity_until, budget) = self.identities.minter.runway().unwrap_or_default();
        SiteState {
            manifest: runs.map(|held| held.bundle.digest.as_bytes().to_vec()).unwrap_or_default(),
            epoch: manifest.epoch,
            generation: manifest.generation,
            revision: manifest.revision,
            proxies: self.proxies(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            workload_problems: self
                .store_trouble()
                .into_iter()
                .chain(self.identities.troubles(self.clock.now()).iter().cloned())
                .chain(self.lacks_envoy(runs))
                .chain(self.identities.minter.problems(self.clocks()))
                .chain(self.other_mesh(runs))
                .chain(self.identities.unserved.clone())
                .chain(problems)
                .chain(runs.into_iter().flat_map(|held| unenforced(&held.bundle, &self.workloads)))
                .take(MAX_WORKLOAD_PROBLEMS)
                .collect(),
            workloads: u32::try_from(self.workloads.len()).unwrap_or(u32::MAX),
            identity_until_ms: identity_until.0,
            offline_budget_seconds: budget.as_secs(),
            // A store that cannot be read is told otherwise.
            counted: counted(&self.counts),
            events_dropped: self.store.waiting().map_or(0, |waiting| waiting.dropped),
        }
    }

    fn store_trouble(&self) -> Option<String> {
        let words = |error| {
            format!(
                "the agent's disk takes nothing, so newer bundles are refused, and what happens here is told from memory: \
                 {error} (help: see that it has room and may be written; the agent tries again by itself)"
            )
        };
        self.store.trouble().map(words)
    }

    fn lacks_envoy(&self, runs: Option<&Held>) -> Option<String> {
        let asks = runs?.bundle.settings.supervision() == Supervision::Agent;
        let help = "the site asks the agent to run its proxies, and the agent has no Envoy (help: start it with --envoy)";
        (asks && self.envoy.is_none()).then(|| help.to_owned())
    }

    /// Policies name callers by the trust domain of the bundle, and certificates by that of the enrolment.
    fn other_mesh(&self, runs: Option<&Held>) -> Option<String> {
        let (bundle, own) = (&runs?.bundle.settings.trust_domain, self.identities.minter.mesh()?.as_str());
        let words = || {
            format!(
                "the policy is for trust domain {bundle}, and the site is enrolled in {own}: no policy knows its callers (help: \
                 set `trustDomain` of the Mesh back, or enrol the site anew)"
            )
        };
        (bundle != own).then(words)
    }

    fn proxies(&self) -> Vec<ProxyState> {
        let state = |(name, phase, acked): (&NamespacedName, Phase, Option<skerry_core::id::Digest>)| {
            let launcher = self.launchers.get(name);
            let is_static = launcher.is_some_and(|state| {
                state
                    .processes
                    .first()
                    .is_some_and(|process| process.mode == Mode::Static && process.is_alive())
            });
            let (phase, detail) = match phase {
                Phase::Absent if is_static => (WirePhase::Detached, String::new()),
                Phase::Absent => (WirePhase::Absent, String::new()),
                Phase::Pending => (WirePhase::Pending, String::new()),
                Phase::Ready => (WirePhase::Ready, String::new()),
                Phase::Refused(detail) => (WirePhase::Refused, detail),
            };
            ProxyState {
                workload: name.to_string(),
                phase: phase.into(),
                detail,
                config_hash: acked.map(|hash| hash.prefix().as_bytes().to_vec()).unwrap_or_default(),
                restarts: launcher.map_or(0, |launcher| launcher.restarts),
            }
        };
        self.machine.proxies().phases().map(state).collect()
    }
}

fn counted(counts: &Counts) -> Option<Counted> {
    if *counts == Counts::default() {
        return None;
    }
    let audit = |(policy, audited): (&String, &Audited)| AuditCount {
        policy: policy.clone(),
        matched: audited.matched,
        unmatched: audited.unmatched,
    };
    Some(Counted {
        audits: counts.audits.iter().take(MAX_AUDITS).map(audit).collect(),
        denied: counts.denied,
        not_allowed: counts.not_allowed,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn to_json(state: &SiteState) -> Vec<u8> {
    let proxies = state.proxies.iter().map(|proxy| {
        serde_json::json!({
            "workload": proxy.workload,
            "phase": proxy.phase().as_str_name().trim_start_matches("PHASE_").to_lowercase(),
            "detail": proxy.detail,
            "configHash": hex(&proxy.config_hash),
            "restarts": proxy.restarts,
        })
    });
    let value = serde_json::json!({
        "epoch": state.epoch,
        "generation": state.generation,
        "revision": state.revision,
        "workloads": state.workloads,
        "workloadProblems": state.workload_problems,
        "proxies": proxies.collect::<Vec<_>>(),
        "agentVersion": state.agent_version,
        "identityUntilMs": state.identity_until_ms,
        "writtenAtMs": wall_ms(),
    });
    format!("{value:#}\n").into_bytes()
}
