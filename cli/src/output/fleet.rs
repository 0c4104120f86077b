//! A core's answers as text for people. Every figure of a site stands beside its age.

use crate::fleet::problem::Problem;
use crate::fleet::stranger::StrangerView;
use crate::fleet::view::{FleetView, SiteView};

use super::age::age_or_never;
use super::paint::Paint;
use super::printable::on_one_line;
use super::table::{Cell, Tone, table};

mod detail;
mod source;

pub use detail::detail;
pub use source::{Extent, source};

/// How many problems are shown of the whole fleet: a screen of them.
const PROBLEMS: usize = 20;

/// The most characters of a problem in a table; JSON has all of them.
const DETAIL: usize = 200;

/// Renders the fleet: the source, all sites, and what is wrong with them.
pub fn status(view: &FleetView, paint: Paint) -> String {
    let source = source(&view.source, Extent::Glance, paint);
    format!("{source}\n{}{}", sites(&view.sites, paint), problems(view, paint))
}

/// An agent that nobody knows comes first: nothing else tells why its site stays dark.
fn stranger(stranger: &StrangerView) -> Vec<Cell> {
    let detail = format!("an agent from {} asks for it, and it is not in the policy", stranger.peer);
    let age = age_or_never(stranger.last_seen.as_ref());
    let kind = Cell::toned("UnknownSite", Tone::Error);
    vec![stranger.site.as_str().into(), age.into(), kind, "-".into(), on_one_line(&detail).into()]
}

fn problems(FleetView { sites, strangers, .. }: &FleetView, paint: Paint) -> String {
    let all = sites.iter().flat_map(|site| site.problems.iter().map(move |problem| (site, problem)));
    let of_sites = all.clone().map(|(site, problem)| {
        let mut row = vec![site.site.as_str().into()];
        row.extend(problem_cells(problem));
        row
    });
    let rows: Vec<Vec<Cell>> = strangers.iter().map(stranger).chain(of_sites).take(PROBLEMS).collect();
    if rows.is_empty() {
        return String::new();
    }
    let heading = ["SITE", "AGE", "PROBLEM", "GENERATION", "DETAIL"];
    let mut text = format!("\n{}\n{}", paint.bold("Problems"), table(paint, &heading, rows));
    let older: usize = sites.iter().map(|site| site.problems_older as usize).sum();
    let more = (strangers.len() + all.count()).saturating_sub(PROBLEMS) + older;
    if more > 0 {
        text.push_str(&format!("  … and {more} more: skerry site describe SITE\n"));
    }
    text
}

/// The cells of a problem: age, kind, generation, detail.
fn problem_cells(problem: &Problem) -> [Cell; 4] {
    let detail = problem.detail.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let detail = on_one_line(&match detail.char_indices().nth(DETAIL) {
        Some((cut, _)) => format!("{}…", &detail[..cut]),
        None => detail,
    });
    let generation = problem.generation.map_or_else(|| "-".to_owned(), |generation| generation.to_string());
    [
        age_or_never(problem.observed.as_ref()).into(),
        Cell::toned(problem.kind, Tone::Error),
        generation.into(),
        detail.into(),
    ]
}

fn sites(sites: &[SiteView], paint: Paint) -> String {
    if sites.is_empty() {
        return "no sites\n".to_owned();
    }
    let heading = [
        "SITE",
        "STATE",
        "REVISION",
        "GENERATION",
        "PROXIES",
        "REPORTED",
        "LAST SEEN",
        "RUNWAY",
        "RUNS FROM",
        "WHY",
    ];
    table(paint, &heading, sites.iter().map(row))
}

/// Renders sites with their labels.
pub fn labelled_sites(sites: &[SiteView], paint: Paint) -> String {
    if sites.is_empty() {
        return "no sites\n".to_owned();
    }
    let labels = |site: &SiteView| {
        let labels: Vec<String> = site.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if labels.is_empty() { "-".to_owned() } else { labels.join(",") }
    };
    let heading = ["SITE", "STATE", "GENERATION", "REPORTED", "LAST SEEN", "LABELS"];
    let row = |site: &SiteView| {
        let [name, state, _, generation, _, reported, last_seen, ..] = cells(site);
        vec![name, state, generation, reported, last_seen, labels(site).into()]
    };
    table(paint, &heading, sites.iter().map(row))
}

fn row(site: &SiteView) -> Vec<Cell> {
    cells(site).into()
}

fn cells(site: &SiteView) -> [Cell; 10] {
    let (revision, generation) = running(site);
    let running = site.running.as_ref();
    let proxies = running.map_or_else(
        || "-".to_owned(),
        |running| {
            let ready = running.proxies.iter().filter(|proxy| proxy.is_ready).count();
            format!("{ready}/{}", running.proxies.len())
        },
    );
    // What a dark site said last is shown, but never as if it held now.
    let tone = if site.state.tone() == Tone::Dim { Tone::Dim } else { Tone::Plain };
    [
        site.site.clone().into(),
        Cell::toned(site.state.word(), site.state.tone()),
        Cell::toned(revision, tone),
        Cell::toned(generation, tone),
        Cell::toned(proxies, tone),
        age_or_never(running.and_then(|running| running.observed.as_ref())).into(),
        age_or_never(site.last_seen.as_ref()).into(),
        site.runway.as_ref().map_or_else(
            || "-".into(),
            |runway| {
                let (left, tone) = runway.cell();
                Cell::toned(left, tone)
            },
        ),
        Cell::toned(running.map_or("-", |running| &running.runs_from), tone),
        site.reason.as_str().into(),
    ]
}

/// What a site runs, and with an arrow what it shall run, if that is another thing.
fn running(site: &SiteView) -> (String, String) {
    let desired = (site.desired.short_revision(), site.desired.short_generation());
    let running = match &site.running {
        Some(running) => (running.manifest.short_revision(), running.manifest.short_generation()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let arrow = |has: String, shall: String| if has == shall { has } else { format!("{has} → {shall}") };
    (arrow(running.0, desired.0), arrow(running.1, desired.1))
}

/// Lays names and values out under each other.
fn fields(rows: &[(&str, String)], paint: Paint) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| {
        let blank = " ".repeat(width - name.len() + 2);
        let value = value.replace('\n', &format!("\n{}", " ".repeat(width + 2)));
        format!("{}{blank}{value}\n", paint.bold(name))
    };
    rows.iter().map(line).collect()
}
