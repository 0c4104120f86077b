//! What people are shown of source and sites: messages of the fleet service, made of values.
//!
//! Every figure carries the time at which it was true; nothing here says that a site is well. Must
//! not read stores or clocks.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::Contents;
use skerry_core::diagnostic::{Diagnostic, Severity};
use skerry_core::id::{SiteId, Timestamp};
use skerry_core::pace::Pace;
use skerry_core::selector::Labels;
use skerry_proto::diagnostic::to_wire;
use skerry_proto::limits::{MAX_DIAGNOSTICS, MAX_MESSAGE_BYTES, REPORT_SLACK_SECONDS};
use skerry_proto::v1::astray::Kind;
use skerry_proto::v1::{
    self, Diagnostic as WireDiagnostic, EventRow, FragmentRow, SiteSummary, SourceStatus,
};

use crate::identity::astray::{Astray, Versions, Why};
use crate::identity::roll::{Enrolled, Refused};
use crate::policy::Vouched;
use crate::presence::claim::Claim;
use crate::presence::{Seen, TurnedAway};
use crate::publish::{Entry, Published, World};
use crate::report::{Event, ReportRow};
use crate::source::status::SourceView;
use crate::store::Until;

/// How long the sites of one page may be together: three quarters of a message, so that diagnostics
/// of the source fit beside them.
pub const MAX_PAGE_BYTES: usize = MAX_MESSAGE_BYTES / 4 * 3;

/// How long the diagnostics of the source may be together: the rest of a message, less what else is in it.
const MAX_DIAGNOSTICS_BYTES: usize = MAX_MESSAGE_BYTES / 8;

/// The most kinds of foreign documents that are told apart: 100 × (253 name + 10) B = 26 KiB.
const MAX_FOREIGN_KINDS: usize = 100;

/// The longest name of a foreign kind.
const MAX_KIND_BYTES: usize = 253;

/// What is known of a site, from wherever it is kept.
#[derive(Debug, Default)]
pub struct SiteFacts {
    /// Its labels in the policy repository.
    pub labels: Labels,
    /// What it shall run.
    pub entry: Option<Entry>,
    /// Whether it is there, and when it was heard from since the core started.
    pub seen: Seen,
    /// When it was last heard from before that, as far as it was stored.
    pub stored_seen: Option<Timestamp>,
    /// What it reported.
    pub report: Option<ReportRow>,
    /// Why that cannot be read.
    pub unreadable: Option<Event>,
    /// The box that is the site's.
    pub enrolled: Option<Enrolled>,
    /// Who was refused that wanted to be.
    pub refused: Vec<Refused>,
}

/// Describes a site in one row.
pub fn to_summary(site: &SiteId, facts: SiteFacts, published: &Published) -> SiteSummary {
    let last_seen = match facts.seen.last_seen {
        Timestamp(0) => facts.stored_seen.unwrap_or_default(),
        since_start => since_start,
    };
    let mut summary = SiteSummary {
        site: site.to_string(),
        labels: facts.labels,
        connected: facts.seen.connected,
        pulls: facts.seen.pulls,
        last_seen_ms: last_seen.0,
        agent: facts.seen.agent.map(Claim::to_wire),
        rival: facts.seen.rival.map(Claim::to_wire),
        turned_away: facts.seen.turned_away.map(TurnedAway::to_wire),
        enrolled: facts.enrolled.map(|enrolled| to_enrolled(&enrolled)),
        enrolment_refused: facts.refused.into_iter().map(to_refused).collect(),
        ..SiteSummary::default()
    };
    if let Some(entry) = facts.entry {
        summary.desired = published.manifest(site, &entry.row).1.as_bytes().to_vec();
        summary.desired_generation = entry.row.generation.0;
        summary.desired_revision = entry.row.revision.to_string();
        summary.desired_signature = entry.row.provenance.check().into();
        summary.desired_signer = entry.row.provenance.signer().to_owned();
        summary.stale_after_seconds = stale_after_seconds(&entry);
        summary.waits_for_policy = waits_for_policy(site, &entry, &facts.report, published, &summary.desired);
    }
    summary.open.extend(facts.unreadable.map(to_event_row));
    let Some(report) = facts.report else { return summary };
    summary.clock_ahead_ms = report.clock_ahead_ms;
    summary.open = report.open.into_iter().rev().map(to_event_row).collect();
    summary.open_older = report.open_older;
    if let Some(observed) = report.observed {
        summary.received_at_ms = observed.received_at.0;
        summary.observed_at_ms = observed.observed_at.0;
        summary.state = Some(observed.state);
    }
    summary
}

fn to_enrolled(enrolled: &Enrolled) -> v1::Enrolled {
    v1::Enrolled {
        key: enrolled.key.as_bytes().to_vec(),
        enrolled_at_ms: enrolled.at.0,
        revoked_at_ms: enrolled.revoked.unwrap_or_default().0,
        authority_until_ms: enrolled.authority_until.0,
        agent_until_ms: enrolled.agent_until.0,
        astray: enrolled.astray.as_ref().map(to_astray),
    }
}

/// Describes what keeps a site from getting on with this core.
pub fn to_astray(astray: &Astray) -> v1::Astray {
    let (kind, versions) = match astray.why {
        Why::OtherRoot(versions) => (Kind::OtherRoot, Some(versions)),
        Why::NewerRoot(versions) => (Kind::NewerRoot, Some(versions)),
        Why::LeftBehind => (Kind::LeftBehind, None),
    };
    let Versions { site, core } = versions.unwrap_or(Versions { site: 0, core: 0 });
    v1::Astray { kind: kind.into(), at_ms: astray.at.0, site_version: site, core_version: core }
}

fn to_refused(refused: Refused) -> v1::EnrolmentRefused {
    v1::EnrolmentRefused {
        peer: refused.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        key: refused.key.as_bytes().to_vec(),
        reason: refused.reason,
        at_ms: refused.at.0,
        times: refused.times,
    }
}

/// Says whether what a site shall run, and by its last word does not, is not offered to it since no policy key has signed it.
fn waits_for_policy(
    site: &SiteId,
    entry: &Entry,
    report: &Option<ReportRow>,
    published: &Published,
    desired: &[u8],
) -> bool {
    let observed = report.as_ref().and_then(|report| report.observed.as_ref());
    let runs_it = observed.is_some_and(|observed| observed.state.manifest == desired);
    let missing = |contents: &Arc<Contents>| published.vouch(site, contents, None) == Vouched::Missing;
    !runs_it && entry.contents.as_ref().is_some_and(missing)
}

/// What the site's settings say, and never less than its uplink lets it be silent; 0 as long as nothing was
/// compiled since the core started.
pub fn stale_after_seconds(entry: &Entry) -> u32 {
    let Some(settings) = entry.settings() else { return 0 };
    settings.stale_after_seconds.max(Pace::of_settings(&settings).report_seconds + REPORT_SLACK_SECONDS)
}

/// Describes the source. Without a world nothing was compiled since the core started.
pub fn to_source_status(view: SourceView, world: Option<&World>) -> SourceStatus {
    let (error, error_help) = view.failure.map(|failure| (failure.error, failure.help)).unwrap_or_default();
    let held = view.held.map(|held| (held.revision.to_string(), held.reason, held.until));
    let (held_revision, held_reason, until) = held.unwrap_or_default();
    let held_help = match until {
        Until::Confirmed => String::new(),
        Until::Trusted { help } => help,
    };
    let mut status = SourceStatus {
        url: view.url,
        reference: view.reference,
        path: view.path,
        fetched_at_ms: view.fetched_at.0,
        error,
        error_help,
        held_revision,
        held_reason,
        held_help,
        ..SourceStatus::default()
    };
    if let Some(world) = world {
        status.revision = world.revision.to_string();
        status.compiled_at_ms = world.compiled_at.0;
        status.foreign = most_frequent(&world.foreign);
        let found = view.in_force.as_ref().filter(|(revision, _)| *revision == world.revision);
        let signature = found.map_or(&world.signature, |(_, signature)| signature);
        status.signature = signature.provenance.check().into();
        status.signer = signature.provenance.signer().to_owned();
        status.signature_detail.clone_from(&signature.reason);
    }
    // Those of the signers come first: there are few, and as long as there are, nothing new may come into force.
    let all =
        view.signers.iter().chain(&view.webhook).chain(world.iter().flat_map(|world| &world.diagnostics));
    let count = |severity| all.clone().filter(|one| one.severity == severity).count();
    status.errors = u32::try_from(count(Severity::Error)).unwrap_or(u32::MAX);
    status.warnings = u32::try_from(count(Severity::Warning)).unwrap_or(u32::MAX);
    status.diagnostics = first_diagnostics(all.clone());
    status
}

/// The first diagnostics, as many as may be and fit.
fn first_diagnostics<'a>(all: impl Iterator<Item = &'a Diagnostic>) -> Vec<WireDiagnostic> {
    let mut room = MAX_DIAGNOSTICS_BYTES;
    let all = all.take(MAX_DIAGNOSTICS).map(to_wire);
    all.take_while(|diagnostic| {
        let length = diagnostic.encoded_len();
        room = room.saturating_sub(length);
        room > 0
    })
    .collect()
}

/// The kinds with the most documents, and how many documents there are of `other` ones.
fn most_frequent(foreign: &BTreeMap<String, u32>) -> BTreeMap<String, u32> {
    let mut kinds: Vec<(&str, u32)> = foreign.iter().map(|(kind, number)| (kind.as_str(), *number)).collect();
    // Stable, so kinds with as many documents stay in the order of their names.
    kinds.sort_by_key(|(_, number)| Reverse(*number));
    let mut told = BTreeMap::new();
    for (place, (kind, number)) in kinds.into_iter().enumerate() {
        let name = if place < MAX_FOREIGN_KINDS { kind } else { "other" };
        let name = &name[..name.floor_char_boundary(MAX_KIND_BYTES)];
        let sum: &mut u32 = told.entry(name.to_owned()).or_default();
        *sum = sum.saturating_add(number);
    }
    told
}

/// Lists the fragments of a site's bundle.
pub fn to_fragment_rows(entry: &Entry) -> Vec<FragmentRow> {
    let fragments = entry.contents.iter().flat_map(|contents| &contents.fragments);
    fragments
        .map(|fragment| FragmentRow {
            key: fragment.key.to_string(),
            id: fragment.id.to_string(),
            length: u32::try_from(fragment.bytes.len()).unwrap_or(u32::MAX),
        })
        .collect()
}

/// Describes an event.
pub fn to_event_row(event: Event) -> EventRow {
    EventRow {
        seq: event.seq,
        observed_at_ms: event.observed_at.0,
        received_at_ms: event.received_at.0,
        event: Some(event.event),
    }
}

/// Takes rows until a page is full: `limit` of them, or as many bytes as a message holds. Returns the
/// rows and whether there are more.
pub fn page(rows: impl Iterator<Item = SiteSummary>, limit: usize) -> (Vec<SiteSummary>, bool) {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for row in rows {
        bytes += row.encoded_len();
        if taken.len() == limit || (bytes > MAX_PAGE_BYTES && !taken.is_empty()) {
            return (taken, true);
        }
        taken.push(row);
    }
    (taken, false)
}

#[cfg(test)]
mod tests;
