//! A comparison of policies as text for people.

use skerry_core::id::Revision;

use crate::diff::{Comparison, Fate, FragmentChange, Group, NO_SITE};

use super::diagnostics;
use super::paint::Paint;
use super::table::{Cell, Tone, table};

/// How many sites of a group are named.
pub const SITES: usize = 8;

/// Renders a comparison.
pub fn render(comparison: &Comparison, paint: Paint) -> String {
    let mut text = format!("{}: {}\n", title(comparison), summary(comparison));
    for group in &comparison.fleet.groups {
        text.push_str(&format!(
            "\n{}\n{}",
            paint.bold(&group_title(group)),
            fragments(&group.fragments, paint)
        ));
    }
    for (title, list) in [("Held", &comparison.held), ("New diagnostics", &comparison.new_diagnostics)] {
        if !list.is_empty() {
            text.push_str(&format!("\n{}\n", paint.bold(title)));
            let lines = list.iter().map(|diagnostic| diagnostics::line(diagnostic, "", paint));
            text.extend(lines.map(|line| format!("  {line}")));
        }
    }
    text
}

/// Names the two states, hashes cut.
pub fn title(comparison: &Comparison) -> String {
    let short = |text: &str| Revision::from_text(text).short();
    format!("{} → {}", short(&comparison.base), short(&comparison.head))
}

/// Says in one sentence what changes.
pub fn summary(comparison: &Comparison) -> String {
    let fleet = &comparison.fleet;
    match (fleet.groups.is_empty(), fleet.sites) {
        (true, 0) => "nothing changes (the policy declares no site)".to_owned(),
        (true, sites) => format!("none of {} changes", count(sites, "site")),
        (false, 0) => {
            format!("the policy declares no site; one without labels would get {}", bytes(fleet.bytes))
        }
        (false, sites) => {
            let verb = if fleet.changed == 1 { "changes" } else { "change" };
            format!(
                "{} of {} {verb}, {} to ship in all",
                fleet.changed,
                count(sites, "site"),
                bytes(fleet.bytes)
            )
        }
    }
}

/// Names a group: how many sites, what becomes of them, which they are, and what each costs.
pub fn group_title(group: &Group) -> String {
    let what = match group.fate {
        Fate::Changed => "",
        Fate::Added => " new",
        Fate::Removed => " gone",
    };
    let cost = match group.fate {
        Fate::Removed => "nothing to ship: they keep what they run".to_owned(),
        Fate::Added | Fate::Changed => format!("{} each", bytes(group.bytes_each)),
    };
    if group.sites == [NO_SITE] {
        return format!("{NO_SITE} ({})", bytes(group.bytes_each));
    }
    let shown = group.sites.iter().take(SITES).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = group.sites.len().saturating_sub(SITES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{what}: {shown}{more} ({cost})", count(group.sites.len(), "site"))
}

fn fragments(changes: &[FragmentChange], paint: Paint) -> String {
    let row = |change: &FragmentChange| -> Vec<Cell> {
        let (word, tone) = match change.fate {
            Fate::Changed => ("changed", Tone::Warning),
            Fate::Added => ("added", Tone::Good),
            Fate::Removed => ("removed", Tone::Error),
        };
        let size = if change.fate == Fate::Removed { "-".to_owned() } else { bytes(change.bytes) };
        vec!["".into(), Cell::toned(word, tone), about(&change.key).into(), size.into()]
    };
    table(paint, &["", "CHANGE", "ABOUT", "BYTES"], changes.iter().map(row))
}

/// Names what a fragment is about, in words.
pub fn about(key: &str) -> String {
    match key.strip_prefix("service/") {
        Some(name) => format!("service {name}"),
        None => "settings of the site".to_owned(),
    }
}

/// Writes a number of bytes.
pub fn bytes(number: usize) -> String {
    match number {
        0..1024 => format!("{number} B"),
        1024..1_048_576 => format!("{}.{} KiB", number / 1024, number % 1024 * 10 / 1024),
        _ => format!("{}.{} MiB", number / 1_048_576, number % 1_048_576 * 10 / 1_048_576),
    }
}

fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
