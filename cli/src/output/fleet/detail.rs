//! One site with all that is known of it.

use crate::fleet::counted::{AuditView, CountedView};
use crate::fleet::runway::RunwayView;
use crate::fleet::view::{EnrolmentView, EventView, ProxyView, SiteDetailView, SiteView};
use crate::output::age::{Moment, age_or_never, span};
use crate::output::paint::Paint;
use crate::output::printable::{on_one_line, printable};
use crate::output::table::{Cell, table};

use super::{fields, problem_cells, running};

/// Renders a site: state, problems, proxies, events, fragments.
pub fn detail(detail: &SiteDetailView, paint: Paint) -> String {
    let proxies = detail.site.running.iter().flat_map(|running| &running.proxies);
    let problems = detail.site.problems.iter().map(|problem| problem_cells(problem).into());
    let sections = [
        ("Problems", or_none(&["AGE", "PROBLEM", "GENERATION", "DETAIL"], problems.collect(), paint)),
        ("Proxies", proxies_table(proxies, paint)),
        ("Events, newest first", events_table(detail, paint)),
        ("Fragments", fragments_table(detail, paint)),
    ];
    let mut text = fields(&head(&detail.site), paint);
    let counted = detail.site.running.iter().filter_map(|running| running.counted.as_ref());
    let audits: Vec<Vec<Cell>> = counted.flat_map(|counted| &counted.audits).map(audit_cells).collect();
    if !audits.is_empty() {
        let heading = paint.bold("Audit policies, since the proxies were started");
        let body = table(paint, &["POLICY", "MATCHED", "NOT MATCHED"], audits);
        text.push_str(&format!("\n{heading}\n{body}"));
    }
    for (title, body) in sections {
        text.push_str(&format!("\n{}\n{body}", paint.bold(title)));
    }
    text
}

fn head(site: &SiteView) -> Vec<(&'static str, String)> {
    let labels: Vec<String> = site.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let (revision, generation) = running(site);
    let mut rows = vec![
        ("Site", site.site.clone()),
        ("Labels", if labels.is_empty() { "-".to_owned() } else { labels.join(", ") }),
        ("State", site.state.word().to_owned()),
        ("Why", if site.reason.is_empty() { "-".to_owned() } else { on_one_line(&site.reason) }),
        ("Connected", if site.connected { "yes" } else { "no" }.to_owned()),
        ("Last seen", ago(site.last_seen.as_ref())),
        ("Revision", revision),
        ("Generation", generation),
    ];
    let signature = site.desired.signature.as_ref();
    rows.extend(signature.map(|signature| ("Signature", on_one_line(&signature.words()))));
    if let Some(running) = &site.running {
        rows.push(("Reported", ago(running.observed.as_ref())));
        rows.push(("Received", ago(running.received.as_ref())));
        rows.push(("Runs from", running.runs_from.clone()));
        rows.push(("Agent", printable(&running.agent_version)));
        rows.push(("Workloads", running.workloads.to_string()));
        rows.extend(running.counted.as_ref().map(|counted| ("Refused calls", refused(counted))));
    }
    rows.extend(site.enrolment.as_ref().map(|enrolment| ("Identity", identity(enrolment))));
    rows.extend(site.runway.as_ref().map(|runway| ("Runway", self::runway(runway))));
    rows.extend(site.agent.as_ref().map(|agent| ("Served", format!("{} from {}", agent.boot, agent.peer))));
    rows
}

fn identity(enrolment: &EnrolmentView) -> String {
    let key = enrolment.key.get(..12).unwrap_or(&enrolment.key);
    match &enrolment.revoked_at {
        Some(at) => format!("key {key}, revoked at {at}"),
        None => format!("key {key}"),
    }
}

fn runway(runway: &RunwayView) -> String {
    let budget = match runway.budget_seconds {
        0 => String::new(),
        seconds => format!(", and shall be good for {}", span(seconds * 1000)),
    };
    match runway.seconds {
        0 => format!("over since {}", runway.until),
        seconds => {
            format!("good without the core for {} (until {}){budget}", span(seconds * 1000), runway.until)
        }
    }
}

/// Since the proxies were started.
fn refused(counted: &CountedView) -> String {
    format!("{} denied, {} allowed by nobody", counted.denied, counted.not_allowed)
}

fn ago(moment: Option<&Moment>) -> String {
    moment.map_or_else(|| age_or_never(None), |moment| format!("{} ago ({})", moment.age(), moment.at))
}

fn proxies_table<'a>(proxies: impl Iterator<Item = &'a ProxyView>, paint: Paint) -> String {
    let row = |proxy: &ProxyView| -> Vec<Cell> {
        let restarts = proxy.restarts.to_string();
        vec![
            proxy.workload.as_str().into(),
            proxy.phase.into(),
            restarts.into(),
            joined(&proxy.detail).into(),
        ]
    };
    or_none(&["WORKLOAD", "PHASE", "RESTARTS", "DETAIL"], proxies.map(row).collect(), paint)
}

fn audit_cells(audit: &AuditView) -> Vec<Cell> {
    vec![audit.policy.as_str().into(), audit.matched.to_string().into(), audit.unmatched.to_string().into()]
}

fn events_table(detail: &SiteDetailView, paint: Paint) -> String {
    let row = |event: &EventView| -> Vec<Cell> {
        let generation = if event.generation == 0 { "-".to_owned() } else { event.generation.to_string() };
        vec![
            age_or_never(event.observed.as_ref()).into(),
            age_or_never(event.received.as_ref()).into(),
            event.kind.into(),
            generation.into(),
            joined(&event.detail).into(),
        ]
    };
    let rows = detail.events.iter().map(row).collect();
    let table = or_none(&["AGE", "RECEIVED", "EVENT", "GENERATION", "DETAIL"], rows, paint);
    match detail.events_older {
        0 => table,
        older => format!("{table}  … and {older} older ones that are not kept\n"),
    }
}

fn fragments_table(detail: &SiteDetailView, paint: Paint) -> String {
    let rows = detail.fragments.iter().map(|fragment| -> Vec<Cell> {
        let id = fragment.id.get(..12).unwrap_or(&fragment.id);
        vec![fragment.key.as_str().into(), id.into(), fragment.length.to_string().into()]
    });
    or_none(&["KEY", "ID", "BYTES"], rows.collect(), paint)
}

fn or_none(heading: &[&str], rows: Vec<Vec<Cell>>, paint: Paint) -> String {
    if rows.is_empty() { "none\n".to_owned() } else { table(paint, heading, rows) }
}

fn joined(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
