//! An explanation of an object at a site, with the commit of each line, as people and programs see it.
//!
//! Must not print; what the fields mean is the core's part.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use skerry_core::diagnostic::{Code, Diagnostic, Location};
use skerry_core::id::{ObjectKey, SiteId};
use skerry_core::index::Explanation;
use skerry_gitops::oid::CommitId;
use skerry_gitops::snapshot::hold::Hold;

use crate::output::age;
use crate::source::Loaded;
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
    /// Objects behind this answer that are broken and shown in their last good version, as a core has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    pub diagnostics: Vec<Diagnostic>,
}

/// An object that is broken, and which version of it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// The object.
    pub object: ObjectKey,
    /// The broken document, or the file that cannot be read.
    pub location: Location,
    /// The commit and the place of the last good version.
    pub last_good: String,
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
        loaded: &Loaded,
        revision: Option<Vouched>,
        site: &SiteId,
        asked: &str,
        lookup: &Lookup,
    ) -> Self {
        let mut origins = Origins { lookup, holds: &loaded.holds, known: BTreeMap::new() };
        let fields = found.fields.into_iter().filter(|field| is_below(&field.field, asked));
        let fields = fields.map(|field| {
            let origin = origins.find(field.by, field.location);
            Field { field: field.field, value: field.value, origin }
        });
        let fields: Vec<Field> = fields.collect();
        let settings = found.settings.into_iter().filter(|setting| is_below(&setting.field, asked));
        let settings = settings.map(|setting| {
            let origin = origins.find(setting.by, setting.location);
            let (scope, field, value, level) = (setting.scope, setting.field, setting.value, setting.level);
            Setting { scope, field, value, level, overridden_by: setting.overridden_by, origin }
        });
        let settings: Vec<Setting> = settings.collect();
        let behind = fields.iter().map(|field| &field.origin).chain(settings.iter().map(|one| &one.origin));
        let behind: BTreeSet<&ObjectKey> = behind.map(|origin| &origin.by).chain([&found.object]).collect();
        let held = loaded.diagnostics.iter().filter(|one| one.code == Code::Held).filter_map(|one| {
            let object = one.object.clone().filter(|object| behind.contains(object))?;
            let last_good = loaded.holds.get(&object)?.version();
            Some(Held { object, location: one.location.clone(), last_good })
        });
        Self {
            site: site.clone(),
            held: held.collect(),
            object: found.object,
            revision,
            selected: found.selected,
            overrides: found.overrides,
            settings,
            fields,
            diagnostics: found.diagnostics,
        }
    }
}

/// Looks each line up once: a look walks the history of its file.
struct Origins<'a> {
    lookup: &'a Lookup,
    holds: &'a BTreeMap<ObjectKey, Hold>,
    /// By place, and by the commit whose text it is where that is an earlier one.
    known: BTreeMap<(String, u32, Option<CommitId>), Provenance>,
}

impl Origins<'_> {
    fn find(&mut self, by: ObjectKey, location: Location) -> Origin {
        let held = self.holds.get(&by).map(|hold| hold.commit);
        let provenance = self.known.entry((location.file.clone(), location.line, held));
        let provenance = provenance.or_insert_with(|| match held {
            Some(commit) => self.lookup.provenance_at(commit, &location),
            None => self.lookup.provenance(&location),
        });
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
