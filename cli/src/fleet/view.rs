//! A core's answers as people and programs see them: every figure with its age.
//!
//! Ages count from the core's clock. Those of a site's own figures take the older of two times, when it made them (by
//! its own clock) and when they came in, so that nothing looks fresher than it is.

use std::collections::BTreeMap;

use serde::Serialize;
use skerry_core::id::Revision;
use skerry_proto::v1::{
    Claimant, Enrolled, EventRow, FleetStatus, SiteDetail, SiteSummary, SourceStatus, site_event,
};

use super::counted::CountedView;
use super::problem::{Problem, problems, reason};
use super::runway::RunwayView;
use super::state::{State, is_ready, phase, runs_from};
use super::stranger::StrangerView;
use crate::output::age::{Moment, rfc3339};
use crate::signature::SignatureView;

/// The whole fleet.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FleetView {
    /// The core's clock.
    pub now: String,
    /// Where policies come from.
    pub source: SourceView,
    /// All sites asked for, by name.
    pub sites: Vec<SiteView>,
    /// Agents that came lately for no site of the policy.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<StrangerView>,
}

/// Where policies come from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in fleet.proto, which says what each is")]
pub struct SourceView {
    pub url: String,
    pub reference: String,
    pub path: String,
    pub revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureView>,
    pub compiled: Option<Moment>,
    pub fetched: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldView>,
    pub errors: u32,
    pub warnings: u32,
    pub foreign: BTreeMap<String, u32>,
    pub diagnostics: Vec<DiagnosticView>,
}

/// Why the last fetch failed.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "named as in fleet.proto")]
pub struct ErrorView {
    pub message: String,
    pub help: String,
}

/// A head that waits: for a confirmation, or else for what `help` says.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "named as in fleet.proto")]
pub struct HeldView {
    pub revision: String,
    pub reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub help: String,
}

/// A diagnostic of the compiled revision. Kept as the core wrote it: it may be of a newer release.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "named as in fleet.proto")]
pub struct DiagnosticView {
    pub file: String,
    pub line: u32,
    pub column: u32,
    pub severity: String,
    pub code: String,
    pub object: String,
    pub field: String,
    pub message: String,
    pub help: String,
}

/// One site.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SiteView {
    /// Its name.
    pub site: String,
    /// In one word.
    pub state: State,
    /// Why it is that; empty when all is well.
    pub reason: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it is connected.
    pub connected: bool,
    /// When the core last heard from it.
    pub last_seen: Option<Moment>,
    /// What it shall run.
    pub desired: ManifestView,
    /// What it said that it runs.
    pub running: Option<RunningView>,
    /// What somebody should look at, the newest first of each kind.
    pub problems: Vec<Problem>,
    /// How many older refusals there were that are not among the problems.
    pub problems_older: u32,
    /// How far its clock was ahead of the core's when it last reported; behind is negative.
    pub clock_ahead_seconds: i64,
    /// The agent that is served, as far as it came since the core started.
    pub agent: Option<AgentView>,
    /// Another one that claims the site.
    pub rival: Option<AgentView>,
    /// The box that is the site's; `None` if none is enrolled.
    pub enrolment: Option<EnrolmentView>,
    /// How long it can go on renewing identity with no link; `None` if it is not enrolled.
    pub runway: Option<RunwayView>,
}

/// The box of a site.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnrolmentView {
    /// SHA-256 of its key, in hex.
    pub key: String,
    /// When it was enrolled.
    pub enrolled: Option<Moment>,
    /// When it was revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<String>,
    /// When the last certificate ends that the core has signed for the site's authority.
    pub authority_until: String,
    /// When the agent's own certificate ends.
    pub agent_until: String,
}

/// An agent of a site.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentView {
    /// Its data folder, and its run.
    pub boot: String,
    /// Where it came from.
    pub peer: String,
    /// When it came first.
    pub first_seen: Option<Moment>,
    /// When it was last heard from.
    pub last_seen: Option<Moment>,
}

/// A manifest by its numbers.
#[derive(Debug, Clone, Serialize)]
pub struct ManifestView {
    /// Its digest.
    pub digest: String,
    /// Its generation.
    pub generation: u64,
    /// Its revision.
    pub revision: String,
    /// What was found about the signature of that revision; `None` if nobody looked, or if it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<SignatureView>,
}

/// What a site said that it runs.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningView {
    /// When the site made this report, or when it came in, if its clock is ahead.
    pub observed: Option<Moment>,
    /// When it came in.
    pub received: Option<Moment>,
    /// The manifest.
    pub manifest: ManifestView,
    /// What its proxies run from.
    pub runs_from: String,
    /// Its proxies.
    pub proxies: Vec<ProxyView>,
    /// How many workloads it has.
    pub workloads: u32,
    /// Workload files that it could not use.
    pub workload_problems: Vec<String>,
    /// Events that it dropped over the life of its store, since more waited than it keeps.
    pub events_dropped: u64,
    /// What the authorization of its proxies counted since each was started; `None` if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counted: Option<CountedView>,
    /// The agent's version.
    pub agent_version: String,
}

/// One proxy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in sync.proto, which says what each is")]
pub struct ProxyView {
    pub workload: String,
    pub phase: &'static str,
    pub detail: String,
    pub config_hash: String,
    pub restarts: u32,
    #[serde(skip)]
    pub is_ready: bool,
}

/// One site with its history.
#[derive(Debug, Clone, Serialize)]
pub struct SiteDetailView {
    /// Its row.
    #[serde(flatten)]
    pub site: SiteView,
    /// What happened, newest first.
    pub events: Vec<EventView>,
    /// How many older ones are not kept any more.
    #[serde(rename = "eventsOlder")]
    pub events_older: u64,
    /// The fragments of its bundle.
    pub fragments: Vec<FragmentView>,
}

/// Something that happened at a site.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in sync.proto, which says what each is")]
pub struct EventView {
    pub kind: &'static str,
    pub observed: Option<Moment>,
    pub received: Option<Moment>,
    pub generation: u64,
    pub revision: String,
    pub detail: String,
}

/// One fragment.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "named as in fleet.proto")]
pub struct FragmentView {
    pub key: String,
    pub id: String,
    pub length: u32,
}

impl FleetView {
    /// Takes a core's answer.
    pub fn of(status: FleetStatus) -> Self {
        let now = status.now_ms;
        let source = SourceView::of(status.source.unwrap_or_default(), now);
        let sites = status.sites.into_iter().map(|site| SiteView::of(site, now)).collect();
        let strangers = status.strangers.into_iter().map(|one| StrangerView::of(one, now)).collect();
        Self { now: rfc3339(now), source, sites, strangers }
    }
}

impl SourceView {
    fn of(source: SourceStatus, now: u64) -> Self {
        let check = source.signature();
        let error = ErrorView { message: source.error, help: source.error_help };
        let (revision, reason, help) = (source.held_revision, source.held_reason, source.held_help);
        let held = HeldView { revision, reason, help };
        Self {
            signature: SignatureView::of_wire(check, source.signer, source.signature_detail),
            compiled: Moment::at(source.compiled_at_ms, now),
            fetched: Moment::at(source.fetched_at_ms, now),
            error: Some(error).filter(|error| !error.message.is_empty()),
            held: Some(held).filter(|held| !held.revision.is_empty()),
            url: source.url,
            reference: source.reference,
            path: source.path,
            revision: source.revision,
            errors: source.errors,
            warnings: source.warnings,
            foreign: source.foreign,
            diagnostics: source.diagnostics.into_iter().map(DiagnosticView::of).collect(),
        }
    }
}

impl DiagnosticView {
    fn of(wire: skerry_proto::v1::Diagnostic) -> Self {
        Self {
            file: wire.file,
            line: wire.line,
            column: wire.column,
            severity: wire.severity,
            code: wire.code,
            object: wire.object,
            field: wire.field,
            message: wire.message,
            help: wire.help,
        }
    }
}

impl SiteView {
    fn of(site: SiteSummary, now: u64) -> Self {
        let state = State::of(&site, now);
        let (reason, problems) = (reason(&site, now), problems(&site, now));
        let runway = RunwayView::of(&site, now);
        let enrolment = site.enrolled.as_ref().map(|enrolled| EnrolmentView::of(enrolled, now));
        let check = site.desired_signature();
        let desired = ManifestView {
            signature: SignatureView::of_wire(check, site.desired_signer, String::new()),
            ..ManifestView::of(&site.desired, site.desired_generation, site.desired_revision)
        };
        let observed = if site.observed_at_ms == 0 { site.received_at_ms } else { site.observed_at_ms };
        let (received, observed) = (site.received_at_ms, observed.min(site.received_at_ms));
        let running = site.state.map(|state| RunningView {
            observed: Moment::at(observed, now),
            received: Moment::at(received, now),
            manifest: ManifestView::of(&state.manifest, state.generation, state.revision),
            runs_from: runs_from(&state.proxies),
            proxies: state.proxies.into_iter().map(ProxyView::of).collect(),
            workloads: state.workloads,
            workload_problems: state.workload_problems,
            events_dropped: state.events_dropped,
            counted: state.counted.map(CountedView::of),
            agent_version: state.agent_version,
        });
        Self {
            site: site.site,
            state,
            reason,
            labels: site.labels,
            connected: site.connected,
            last_seen: Moment::at(site.last_seen_ms, now),
            desired,
            running,
            problems,
            problems_older: site.open_older,
            clock_ahead_seconds: site.clock_ahead_ms / 1000,
            agent: site.agent.map(|agent| AgentView::of(agent, now)),
            rival: site.rival.map(|rival| AgentView::of(rival, now)),
            enrolment,
            runway,
        }
    }
}

impl EnrolmentView {
    fn of(enrolled: &Enrolled, now: u64) -> Self {
        Self {
            key: hex(&enrolled.key),
            enrolled: Moment::at(enrolled.enrolled_at_ms, now),
            revoked_at: (enrolled.revoked_at_ms > 0).then(|| rfc3339(enrolled.revoked_at_ms)),
            authority_until: rfc3339(enrolled.authority_until_ms),
            agent_until: rfc3339(enrolled.agent_until_ms),
        }
    }
}

impl AgentView {
    fn of(agent: Claimant, now: u64) -> Self {
        Self {
            boot: hex(&agent.boot),
            peer: agent.peer,
            first_seen: Moment::at(agent.first_seen_ms, now),
            last_seen: Moment::at(agent.last_seen_ms, now),
        }
    }
}

impl ManifestView {
    fn of(digest: &[u8], generation: u64, revision: String) -> Self {
        Self { digest: hex(digest), generation, revision, signature: None }
    }

    /// Returns the revision for a table: the hash cut, `-` when there is none.
    pub fn short_revision(&self) -> String {
        if self.revision.is_empty() { "-".to_owned() } else { Revision::from_text(&self.revision).short() }
    }

    /// Returns the generation for a table: `-` when there is none.
    pub fn short_generation(&self) -> String {
        if self.generation == 0 { "-".to_owned() } else { self.generation.to_string() }
    }
}

impl ProxyView {
    fn of(proxy: skerry_proto::v1::ProxyState) -> Self {
        Self {
            phase: phase(&proxy),
            is_ready: is_ready(&proxy),
            workload: proxy.workload,
            detail: proxy.detail,
            config_hash: hex(&proxy.config_hash),
            restarts: proxy.restarts,
        }
    }
}

impl SiteDetailView {
    /// Takes a core's answer; `None` when it holds no site.
    pub fn of(detail: SiteDetail) -> Option<Self> {
        let now = detail.now_ms;
        let fragment = |row: skerry_proto::v1::FragmentRow| FragmentView {
            key: row.key,
            id: row.id,
            length: row.length,
        };
        Some(Self {
            site: SiteView::of(detail.summary?, now),
            events: detail.events.into_iter().map(|row| EventView::of(row, now)).collect(),
            events_older: detail.events_older,
            fragments: detail.fragments.into_iter().map(fragment).collect(),
        })
    }
}

impl EventView {
    fn of(row: EventRow, now: u64) -> Self {
        let event = row.event.unwrap_or_default();
        Self {
            kind: kind(event.kind()),
            observed: Moment::at(row.observed_at_ms, now),
            received: Moment::at(row.received_at_ms, now),
            generation: event.generation,
            revision: event.revision,
            detail: event.detail,
        }
    }
}

/// Names a kind of event.
pub(super) fn kind(kind: site_event::Kind) -> &'static str {
    match kind {
        site_event::Kind::Unknown => "Unknown",
        site_event::Kind::BundleRefused => "BundleRefused",
        site_event::Kind::RolledBack => "RolledBack",
        site_event::Kind::Applied => "Applied",
        site_event::Kind::ProxyExited => "ProxyExited",
        site_event::Kind::ReportDropped => "ReportDropped",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
