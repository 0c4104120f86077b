//! The source of a fleet: where from, how fresh, and what is wrong.

use crate::fleet::view::{DiagnosticView, HeldView, SourceView};
use crate::output::age::age_or_never;
use crate::output::paint::Paint;
use crate::output::printable::{on_one_line, printable};
use crate::signature::{Check, SignatureView};

use super::fields;

/// How many diagnostics are shown at a glance.
const FIRST_DIAGNOSTICS: usize = 5;

/// How much is shown of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The first diagnostics, a line each.
    Glance,
    /// All diagnostics, with what would help.
    Whole,
}

/// Renders a source.
pub fn source(source: &SourceView, extent: Extent, paint: Paint) -> String {
    let mut rows =
        vec![("Source", place(source)), ("Revision", revision(source)), ("Fetched", fetched(source))];
    rows.extend(source.signature.as_ref().map(|found| ("Signature", signature(found, paint))));
    rows.extend(source.error.as_ref().map(|error| {
        let help = if error.help.is_empty() {
            String::new()
        } else {
            format!("\n{} {}", paint.help("help:"), printable(&error.help))
        };
        ("Error", format!("{}{help}", paint.error(&printable(&error.message))))
    }));
    rows.extend(source.held.as_ref().map(|held| ("Held", held_head(held, paint))));
    rows.push(("Policy", policy(source, paint)));
    let mut text = fields(&rows, paint);
    let shown = if extent == Extent::Glance { FIRST_DIAGNOSTICS } else { usize::MAX };
    text.extend(source.diagnostics.iter().take(shown).map(|diagnostic| line(diagnostic, extent, paint)));
    if source.diagnostics.len() > shown {
        text.push_str("  … all of them: skerry source get\n");
    }
    text
}

fn signature(found: &SignatureView, paint: Paint) -> String {
    let words = on_one_line(&found.words());
    if found.check == Check::Verified { words } else { paint.warning(&words) }
}

/// A confirmation ends a hold, unless the core says what else does.
fn held_head(held: &HeldView, paint: Paint) -> String {
    let (waits, help) = match held.help.as_str() {
        "" => ("waits for a confirmation", format!("skerry source confirm {}", held.revision)),
        help => ("waits for a signature that is trusted", printable(help)),
    };
    let what = paint.warning(&format!("{} {waits}: {}", held.revision, printable(&held.reason)));
    format!("{what}\n{} {help}", paint.help("help:"))
}

fn place(source: &SourceView) -> String {
    if source.url.is_empty() {
        return "none".to_owned();
    }
    let path = if source.path.is_empty() { String::new() } else { format!(", folder {}", source.path) };
    on_one_line(&format!("{} {}{path}", source.url, source.reference))
}

fn revision(source: &SourceView) -> String {
    match &source.compiled {
        Some(compiled) => format!("{}, compiled {} ago", source.revision, compiled.age()),
        None => "none yet".to_owned(),
    }
}

fn fetched(source: &SourceView) -> String {
    match &source.fetched {
        Some(fetched) => format!("{} ago", fetched.age()),
        None => age_or_never(None),
    }
}

fn policy(source: &SourceView, paint: Paint) -> String {
    if source.compiled.is_none() && source.errors == 0 && source.warnings == 0 {
        return "not read yet".to_owned();
    }
    let count = |count: u32, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let (errors, warnings) = (count(source.errors, "error"), count(source.warnings, "warning"));
    let errors = if source.errors > 0 { paint.error(&errors) } else { errors };
    let warnings = if source.warnings > 0 { paint.warning(&warnings) } else { warnings };
    let foreign: u32 = source.foreign.values().sum();
    format!("{errors}, {warnings}, {foreign} foreign")
}

fn line(diagnostic: &DiagnosticView, extent: Extent, paint: Paint) -> String {
    let DiagnosticView { file, line, column, severity, code, object, field, message, help } = diagnostic;
    let place = match (line, column) {
        (0, _) => file.clone(),
        (line, 0) => format!("{file}:{line}"),
        (line, column) => format!("{file}:{line}:{column}"),
    };
    let head = format!("{severity}[{code}]");
    let head = match severity.as_str() {
        "error" => paint.error(&head),
        "warning" => paint.warning(&head),
        _ => paint.help(&head),
    };
    let part = |text: &str| if text.is_empty() { String::new() } else { format!("{text}: ") };
    let help = match extent {
        Extent::Whole if !help.is_empty() => format!("    {} {}\n", paint.help("help:"), on_one_line(help)),
        Extent::Whole | Extent::Glance => String::new(),
    };
    let what = on_one_line(&format!("{}{}{message}", part(object), part(field)));
    format!("  {}: {head}: {what}\n{help}", on_one_line(&place))
}
