//! A core's answers as text for people. Every figure of a site stands beside its age.

use crate::fleet::view::{FleetView, SiteView};

use super::age::age_or_never;
use super::paint::Paint;
use super::table::{Cell, Tone, table};

mod detail;
mod source;

pub use detail::detail;
pub use source::{Extent, source};

/// Renders the fleet: the source, then all sites.
pub fn status(view: &FleetView, paint: Paint) -> String {
    format!("{}\n{}", source(&view.source, Extent::Glance, paint), sites(&view.sites, paint))
}

fn sites(sites: &[SiteView], paint: Paint) -> String {
    if sites.is_empty() {
        return "no sites\n".to_owned();
    }
    let heading =
        ["SITE", "STATE", "REVISION", "GENERATION", "PROXIES", "REPORTED", "LAST SEEN", "RUNS FROM"];
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
    let heading = ["SITE", "STATE", "GENERATION", "LAST SEEN", "LABELS"];
    let row = |site: &SiteView| {
        let [name, state, _, generation, _, _, last_seen, _] = cells(site);
        vec![name, state, generation, last_seen, labels(site).into()]
    };
    table(paint, &heading, sites.iter().map(row))
}

fn row(site: &SiteView) -> Vec<Cell> {
    cells(site).into()
}

fn cells(site: &SiteView) -> [Cell; 8] {
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
    let tone = if site.connected { Tone::Plain } else { Tone::Dim };
    [
        site.site.clone().into(),
        Cell::toned(site.state.word(), site.state.tone()),
        Cell::toned(revision, tone),
        Cell::toned(generation, tone),
        Cell::toned(proxies, tone),
        age_or_never(running.and_then(|running| running.observed.as_ref())).into(),
        age_or_never(site.last_seen.as_ref()).into(),
        Cell::toned(running.map_or("-", |running| &running.runs_from), tone),
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
