//! An explanation of an object at a site, with the commit of each line, as people and programs see it.
//!
//! Must not print; what the fields mean is the core's part.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use skerry_core::diagnostic::{Diagnostic, Location};
use skerry_core::id::{ObjectKey, SiteId};
use skerry_core::index::Explanation;

use crate::output::age;
use crate::source::commit::{Lookup, Provenance};
use crate::source::signature::Vouched;

/// An explanation with the commit of each line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in `Explanation`, which says what each is")]
pub struct Explained {
    pub site: SiteId,
    pub object: ObjectKey,
    /// The commit that it is explained at, and who vouches for it; `None` for a plain folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Vouched>,
    pub selected: bool,
    pub overrides: Vec<ObjectKey>,
    pub fields: Vec<Field>,
    pub settings: Vec<Setting>,
    pub diagnostics: Vec<Diagnostic>,
}

/// Where the value of a field came from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in `FieldOrigin`, which says what each is")]
pub struct Field {
    pub field: String,
    pub value: Value,
    #[serde(flatten)]
    pub origin: Origin,
}

/// Where an effective setting came from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in `SettingOrigin`, which says what each is")]
pub struct Setting {
    pub scope: String,
    pub field: String,
    pub value: Value,
    pub level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overridden_by: Option<ObjectKey>,
    #[serde(flatten)]
    pub origin: Origin,
}

/// Whose text a value is, where it stands, and since which commit.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// The object itself, or an override; of a setting the policy, whoever set it there.
    pub by: ObjectKey,
    /// File and line.
    pub location: Location,
    /// The commit that last changed the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// The line is not committed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub uncommitted: bool,
}

/// The commit that last changed a line.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "as in every Git log")]
pub struct Commit {
    pub id: String,
    pub date: String,
    pub author: String,
    pub summary: String,
}

impl Explained {
    /// Takes the core's answer, cut down to a field and what is below it.
    pub fn of(
        found: Explanation,
        revision: Option<Vouched>,
        site: &SiteId,
        asked: &str,
        lookup: &Lookup,
    ) -> Self {
        let mut origins = Origins { lookup, known: BTreeMap::new() };
        let fields = found.fields.into_iter().filter(|field| is_below(&field.field, asked));
        let fields = fields.map(|field| {
            let origin = origins.find(field.by, field.location);
            Field { field: field.field, value: field.value, origin }
        });
        let fields = fields.collect();
        let settings = found.settings.into_iter().filter(|setting| is_below(&setting.field, asked));
        let settings = settings.map(|setting| {
            let origin = origins.find(setting.by, setting.location);
            let (scope, field, value, level) = (setting.scope, setting.field, setting.value, setting.level);
            Setting { scope, field, value, level, overridden_by: setting.overridden_by, origin }
        });
        Self {
            site: site.clone(),
            object: found.object,
            revision,
            selected: found.selected,
            overrides: found.overrides,
            settings: settings.collect(),
            fields,
            diagnostics: found.diagnostics,
        }
    }
}

/// Looks each line up once: a look walks the history of its file.
struct Origins<'a> {
    lookup: &'a Lookup,
    known: BTreeMap<(String, u32), Provenance>,
}

impl Origins<'_> {
    fn find(&mut self, by: ObjectKey, location: Location) -> Origin {
        let provenance = self.known.entry((location.file.clone(), location.line));
        let provenance = provenance.or_insert_with(|| self.lookup.provenance(&location));
        let uncommitted = *provenance == Provenance::NotCommitted;
        Origin { by, commit: commit(provenance), uncommitted, location }
    }
}

fn commit(provenance: &Provenance) -> Option<Commit> {
    match provenance {
        Provenance::Commit(line) => Some(Commit {
            id: line.commit.to_string(),
            date: age::day(line.seconds),
            author: line.author.clone(),
            summary: line.summary.clone(),
        }),
        Provenance::NotCommitted | Provenance::Unknown => None,
    }
}

/// Says whether a field is the one that was asked for, or part of it.
pub fn is_below(field: &str, asked: &str) -> bool {
    let asked = asked.trim_start_matches('.');
    asked.is_empty()
        || field.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests {
    use super::is_below;

    #[test]
    fn a_field_is_below_itself_and_its_parents() {
        for asked in ["", "spec", ".spec.rules", "spec.rules[0]", "spec.rules[0].name"] {
            assert!(is_below("spec.rules[0].name", asked), "{asked}");
        }
        for asked in ["spe", "spec.rule", "spec.rules[1]", "spec.rules[0].name.x"] {
            assert!(!is_below("spec.rules[0].name", asked), "{asked}");
        }
    }
}
