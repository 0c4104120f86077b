//! An explanation as tables for people.

use serde_json::Value;
use skerry_core::id::{Kind, Revision};

use crate::explained::{Explained, Origin};

use super::paint::Paint;
use super::printable::on_one_line;
use super::table::{Cell, Tone, table};

/// The most characters of a value; JSON has all of them.
const VALUE: usize = 60;

/// Renders an explanation.
pub fn render(explained: &Explained, paint: Paint) -> String {
    let mut text = format!("{} at site {}\n", paint.bold(&explained.object.to_string()), explained.site);
    if let Some(revision) = &explained.revision {
        let name = Revision::from_text(&revision.name).short();
        let line = match (&revision.uncommitted, &revision.signature) {
            (Some(files), _) => format!("the files in {files}, not committed, on top of {name}"),
            (None, Some(signature)) => format!("at commit {name}: {}", signature.words()),
            (None, None) => format!("at commit {name}"),
        };
        text.push_str(&format!("{}\n", on_one_line(&line)));
    }
    for held in &explained.held {
        let (object, place, version) = (&held.object, &held.location, &held.last_good);
        let line = format!(
            "{object} is broken at {place}; a core that had it in good order keeps that version, shown here: {version}"
        );
        text.push_str(&format!("{}\n", paint.warning(&on_one_line(&line))));
    }
    if !explained.selected {
        let field = match explained.object.kind {
            Kind::Service | Kind::HttpRoute => "its annotation `skerry.dev/sites`",
            _ => "`spec.sites`",
        };
        let line = format!("it is not for this site: {field} does not match the site's labels");
        text.push_str(&format!("{}\n", paint.warning(&line)));
    }
    if !explained.overrides.is_empty() {
        let overrides: Vec<String> = explained.overrides.iter().map(ToString::to_string).collect();
        text.push_str(&format!("overridden by {}, in this order\n", overrides.join(", ")));
    }
    text.push('\n');
    if !explained.fields.is_empty() {
        text.push_str(&fields(explained, paint));
    }
    if !explained.settings.is_empty() {
        if !explained.fields.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("{}\n{}", paint.bold("Effective settings"), settings(explained, paint)));
    }
    text
}

fn fields(explained: &Explained, paint: Paint) -> String {
    let rows = explained.fields.iter().map(|field| -> Vec<Cell> {
        let [from, by, commit] = origin(&field.origin, explained);
        vec![field.field.as_str().into(), value(&field.value).into(), from, by, commit]
    });
    table(paint, &["FIELD", "VALUE", "FROM", "BY", "COMMIT"], rows)
}

fn settings(explained: &Explained, paint: Paint) -> String {
    let rows = explained.settings.iter().map(|setting| -> Vec<Cell> {
        let [from, by, commit] = origin(&setting.origin, explained);
        let by = match &setting.overridden_by {
            Some(over) => Cell::toned(format!("{over} on {}", setting.origin.by), Tone::Warning),
            None => by,
        };
        let (scope, field) = (setting.scope.as_str().into(), setting.field.as_str().into());
        vec![scope, field, value(&setting.value).into(), setting.level.into(), from, by, commit]
    });
    table(paint, &["SCOPE", "FIELD", "VALUE", "LEVEL", "FROM", "BY", "COMMIT"], rows)
}

fn origin(origin: &Origin, explained: &Explained) -> [Cell; 3] {
    let place = match origin.location.line {
        0 => origin.location.file.clone(),
        line => format!("{}:{line}", origin.location.file),
    };
    // What the object says itself is the rule; anything else is worth a look.
    let tone = if origin.by == explained.object { Tone::Plain } else { Tone::Warning };
    let commit = match &origin.commit {
        Some(commit) => format!("{} {}", commit.id.get(..8).unwrap_or(&commit.id), commit.date),
        None if origin.uncommitted => "not committed".to_owned(),
        None => "-".to_owned(),
    };
    [place.into(), Cell::toned(origin.by.to_string(), tone), commit.into()]
}

fn value(value: &Value) -> String {
    let text = match value {
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => text.replace('\n', "⏎"),
        other => other.to_string(),
    };
    match text.char_indices().nth(VALUE) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
