//! What somebody should look at: why a site is not well, and what it refused. Must not print.

use serde::Serialize;
use skerry_proto::limits::BOOT_STORE_BYTES;
use skerry_proto::v1::proxy_state::Phase;
use skerry_proto::v1::{Claimant, EnrolmentRefused, EventRow, SiteSummary, TurnedAway};

use super::runway::{RunwayView, waits_for_root};
use super::state::{Evidence, State, is_ready, is_revoked, phase};
use super::view::kind;
use crate::output::age::{AHEAD_MS, Moment, span};

/// A clock that is off by less is not worth a word: a request may take that long. Milliseconds.
const CLOCK_MS: u64 = 30_000;

/// Something at a site that somebody should look at. Each is shown until it is over: a refusal until the site has
/// applied something after it, everything else as long as it is so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// `BundleRefused`, `RolledBack`, `ReportDropped`, `ProxyRefused`, `WorkloadProblem`, `EventsDropped`, `ClockWrong`,
    /// `TwoAgents`, `AgentTurnedAway`, `EnrolmentRefused`, `Revoked`, `IdentityOver`, `RunwayShort`, `WaitsForRoot`,
    /// `OtherTrustRoot`, `LeftBehind` or `WaitsForPolicy`.
    pub kind: &'static str,
    /// When it was observed, as far as that can be told.
    pub observed: Option<Moment>,
    /// When the core heard of it.
    pub received: Option<Moment>,
    /// The generation that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// The revision that was refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// What happened, in words.
    pub detail: String,
}

/// Lists what is wrong at a site. Two agents come first: with two, the rest may be of either.
pub(super) fn problems(site: &SiteSummary, now: u64) -> Vec<Problem> {
    let rival = site.rival.as_ref().map(|rival| two_agents(site.agent.as_ref(), rival, now));
    let refusals = site.open.iter().map(|row| refusal(row, now));
    let turned_away = site.turned_away.as_ref().map(|one| turned_away(one, now));
    let strangers = site.enrolment_refused.iter().map(|refused| stranger(refused, now));
    let enrolled = site.enrolled.as_ref().filter(|_| !is_revoked(site));
    let astray = enrolled.and_then(|enrolled| enrolled.astray.as_ref());
    let astray = astray.map(|astray| super::astray::problem(&site.site, astray, now));
    let first =
        rival.into_iter().chain(turned_away).chain(astray).chain(identity(site, now)).chain(strangers);
    first.chain(refusals).chain(waits(site, now)).chain(reported(site, now)).collect()
}

/// Somebody was refused that wanted to be the site: another box, or the one that was.
fn stranger(refused: &EnrolmentRefused, now: u64) -> Problem {
    let key: String = refused.key.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let times = if refused.times > 1 { format!(" {} times", refused.times) } else { String::new() };
    Problem {
        kind: "EnrolmentRefused",
        observed: Moment::at(refused.at_ms, now),
        received: Moment::at(refused.at_ms, now),
        generation: None,
        revision: String::new(),
        detail: format!("a box with key {key} from {} was refused{times}: {}", refused.peer, refused.reason),
    }
}

/// What it shall run is not offered to it: the core itself says so, now.
fn waits(site: &SiteSummary, now: u64) -> Option<Problem> {
    site.waits_for_policy.then(|| Problem {
        kind: "WaitsForPolicy",
        observed: Moment::at(now, now),
        received: Moment::at(now, now),
        generation: Some(site.desired_generation),
        revision: site.desired_revision.clone(),
        detail: "what it shall run waits for a policy signature: `skerry bundle sign` makes one, `skerry bundle attach` \
                 hands it over"
            .to_owned(),
    })
}

/// A box that was revoked, or a runway that is too short.
fn identity(site: &SiteSummary, now: u64) -> Option<Problem> {
    let enrolled = site.enrolled.as_ref()?;
    let (kind, detail, observed, received) = if is_revoked(site) {
        let detail = "the site was revoked: it is spoken to again when it is enrolled with a new token";
        ("Revoked", detail.to_owned(), enrolled.revoked_at_ms, enrolled.revoked_at_ms)
    } else if waits_for_root(enrolled) {
        let detail = "the mesh root is kept offline, and has not signed for its box yet: `skerry root requests` has what waits";
        ("WaitsForRoot", detail.to_owned(), enrolled.enrolled_at_ms, enrolled.enrolled_at_ms)
    } else {
        let (kind, detail) = RunwayView::of(site, now)?.trouble(Evidence::of(site, now))?;
        (kind, detail, site.observed_at_ms, site.received_at_ms)
    };
    Some(Problem {
        kind,
        observed: Moment::at(observed, now),
        received: Moment::at(received, now),
        generation: None,
        revision: String::new(),
        detail,
    })
}

fn turned_away(agent: &TurnedAway, now: u64) -> Problem {
    Problem {
        kind: "AgentTurnedAway",
        observed: Moment::at(agent.last_seen_ms, now),
        received: Moment::at(agent.last_seen_ms, now),
        generation: None,
        revision: String::new(),
        detail: format!("the agent from {} cannot be talked to: {}", agent.peer, agent.reason),
    }
}

fn refusal(row: &EventRow, now: u64) -> Problem {
    let event = row.event.clone().unwrap_or_default();
    Problem {
        kind: kind(event.kind()),
        observed: Moment::at(row.observed_at_ms, now),
        received: Moment::at(row.received_at_ms, now),
        generation: Some(event.generation).filter(|generation| *generation > 0),
        revision: event.revision,
        detail: event.detail,
    }
}

/// What the site's last report says: as old as that is.
fn reported(site: &SiteSummary, now: u64) -> Vec<Problem> {
    let Some(state) = &site.state else { return Vec::new() };
    let problem = |kind, detail| Problem {
        kind,
        observed: Moment::at(site.observed_at_ms, now),
        received: Moment::at(site.received_at_ms, now),
        generation: None,
        revision: String::new(),
        detail,
    };
    let refused = state.proxies.iter().filter(|proxy| proxy.phase() == Phase::Refused);
    let refused =
        refused.map(|proxy| problem("ProxyRefused", format!("{}: {}", proxy.workload, proxy.detail)));
    let workloads = state.workload_problems.iter().map(|text| problem("WorkloadProblem", text.clone()));
    let dropped = (state.events_dropped > 0).then(|| {
        let count = state.events_dropped;
        problem(
            "EventsDropped",
            format!("{count} of the oldest, since more waited for a link than the site keeps"),
        )
    });
    let ahead = site.clock_ahead_ms.unsigned_abs();
    let clock = (ahead >= CLOCK_MS).then(|| {
        let way = if site.clock_ahead_ms > 0 { "ahead of" } else { "behind" };
        problem("ClockWrong", format!("the site's clock is {} {way} the core's", span(ahead)))
    });
    refused.chain(workloads).chain(dropped).chain(clock).collect()
}

fn two_agents(served: Option<&Claimant>, rival: &Claimant, now: u64) -> Problem {
    let ago = |ms| Moment::at(ms, now).map_or_else(|| "?".to_owned(), |moment| moment.age());
    let name = |agent: &Claimant| {
        // The last bytes are those of the run, and so differ even where a data folder was copied.
        let run = agent.boot.iter().skip(BOOT_STORE_BYTES);
        let run: String = run.map(|byte| format!("{byte:02x}")).collect();
        let (first, last) = (ago(agent.first_seen_ms), ago(agent.last_seen_ms));
        format!("{run} from {} (first {first} ago, last {last} ago)", agent.peer)
    };
    let served = served.map_or_else(|| "nobody".to_owned(), name);
    Problem {
        kind: "TwoAgents",
        observed: Moment::at(rival.last_seen_ms, now),
        received: Moment::at(rival.last_seen_ms, now),
        generation: None,
        revision: String::new(),
        detail: format!("two agents claim this site: served is {served}; sent away is {}", name(rival)),
    }
}

/// Says in a few words why a site is in its state; nothing when all is well.
pub(super) fn reason(site: &SiteSummary, now: u64) -> String {
    let age = |ms| Moment::at(ms, now).map_or_else(|| "?".to_owned(), |moment| moment.age());
    if is_revoked(site) {
        let at = site.enrolled.as_ref().map_or(0, |enrolled| enrolled.revoked_at_ms);
        return format!("cut off {} ago; it serves what it has", age(at));
    }
    match Evidence::of(site, now) {
        Evidence::NeverSeen | Evidence::Dark if site.turned_away.is_some() => {
            "its agent cannot be talked to".to_owned()
        }
        Evidence::NeverSeen => "no agent has come yet".to_owned(),
        Evidence::Dark => format!("dark: not connected, heard from {} ago", age(site.last_seen_ms)),
        Evidence::Silent => format!("dark: connected, but silent for {}", age(site.last_seen_ms)),
        Evidence::NoReport => match site.open.first().map(|row| refusal(row, now)) {
            Some(refusal) => format!("{}, and it has not reported what it runs yet", refusal.kind),
            None => "it has not reported yet".to_owned(),
        },
        Evidence::Old if site.received_at_ms > now.saturating_add(AHEAD_MS) => {
            "its last report is from the future: the core's clock was set back".to_owned()
        }
        Evidence::Old => format!("its last report is {} old", age(site.observed_at_ms)),
        Evidence::Fresh if State::of(site, now) == State::InSync => String::new(),
        Evidence::Fresh => lagging(site, now),
    }
}

fn lagging(site: &SiteSummary, now: u64) -> String {
    let state = site.state.clone().unwrap_or_default();
    if let Some(proxy) = state.proxies.iter().find(|proxy| proxy.phase() == Phase::Refused) {
        return format!("proxy {} refused what it was given", proxy.workload);
    }
    if site.desired.is_empty() {
        return "the core has not compiled it yet".to_owned();
    }
    if state.manifest != site.desired {
        let newest = site.open.first().map(|row| refusal(row, now));
        return match newest.filter(|refusal| refusal.generation == Some(site.desired_generation)) {
            Some(refusal) => {
                let age = refusal.observed.map_or_else(|| "?".to_owned(), |moment| moment.age());
                format!("{} generation {}, {age} ago", refusal.kind, site.desired_generation)
            }
            None if site.waits_for_policy => {
                format!("generation {} waits for a policy signature", site.desired_generation)
            }
            None => format!("it does not run generation {} yet", site.desired_generation),
        };
    }
    let late = state.proxies.iter().find(|proxy| !is_ready(proxy));
    late.map_or_else(String::new, |proxy| format!("proxy {} is {}", proxy.workload, phase(proxy)))
}
