//! `skerry explain`: why a site has the values that it has: file, line, commit, override. Needs no server.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use skerry_core::diagnostic::{Diagnostic, Location, Severity};
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::index::Explanation;

use crate::args::TableFormat;
use crate::args::source::RevisionArgs;
use crate::error::{CliError, ErrorKind};
use crate::nearest;
use crate::outcome::Outcome;
use crate::output::{Output, age, diagnostics, explanation, serialized};
use crate::source::commit::{Lookup, Provenance};
use crate::source::count;
use crate::source::policy::Policy;

const EXAMPLES: &str = "\
Examples:
  skerry explain HTTPRoute shop/reviews --site store-1
  skerry explain httproute shop/reviews 'spec.rules[0].backendRefs' --site store-1 --rev HEAD~1
  skerry explain service shop/reviews --site store-1      # with effective timeouts and retries, rule by rule
  skerry explain mesh fleet --site store-1 -o json";

/// Explain an object at a site: every field with the file, line, override and commit that it comes from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Mesh, Service, HTTPRoute, TrafficPolicy or SiteOverride, in any case, also as plural
    #[arg(value_name = "KIND")]
    pub kind: Kind,
    /// The object; NAME alone for a Mesh, or in the namespace `default`
    #[arg(value_name = "NAMESPACE/NAME")]
    pub name: String,
    /// Only this field and what is below it
    #[arg(value_name = "FIELD", default_value = "", hide_default_value = true)]
    pub field: String,
    /// Where policies are read from.
    #[command(flatten)]
    pub source: RevisionArgs,
    /// The site; if the policy declares none, any name stands for a site without labels
    #[arg(long, value_name = "SITE")]
    pub site: String,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
}

/// An explanation with the commit of each line.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in `Explanation`, which says what each is")]
pub struct Explained {
    pub site: String,
    pub object: ObjectKey,
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

/// Where an effective traffic setting came from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named as in `SettingOrigin`, which says what each is")]
pub struct Setting {
    pub scope: String,
    pub field: String,
    pub value: Value,
    pub level: &'static str,
    #[serde(flatten)]
    pub origin: Origin,
}

/// Whose text a value is, where it stands, and since which commit.
#[derive(Debug, Clone, Serialize)]
pub struct Origin {
    /// The object itself, or an override.
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

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mut policy = Policy::read(&args.source, output.progress())?;
    let site = policy.choose(&args.site)?.site;
    let key = key(args)?;
    let found = policy.index.explain(&site, &key).ok_or_else(|| not_found(&policy, &key))?;
    check_field(&args.field, &found)?;
    let lookup = Lookup::open(&policy.loaded.origin);
    let found = output.progress().during("looking for commits", || explain(args, found, &lookup));
    let text = match args.output {
        TableFormat::Table => explanation::render(&found, output.paint()),
        TableFormat::Json => serialized::json(&found)?,
        TableFormat::Yaml => serialized::yaml(&found)?,
    };
    let read = |file: &str| lookup.text(file);
    output.say(&diagnostics::render(
        &found.diagnostics,
        policy.loaded.folder(),
        &read,
        output.paint_stderr(),
    ));
    let errors = count(&policy.diagnostics, Severity::Error);
    if errors > 0 {
        let warning = output.paint_stderr().warning("warning:");
        output.note(&format!("{warning} the policy has errors ({errors}): `skerry validate` shows them\n"));
    }
    output.result(&text)?;
    Ok(Outcome::Done)
}

fn key(args: &Args) -> Result<ObjectKey, CliError> {
    let (namespace, name) =
        args.name.split_once('/').unwrap_or((skerry_core::id::DEFAULT_NAMESPACE, &args.name));
    if namespace.is_empty() || name.is_empty() || name.contains('/') {
        let error = CliError::new(ErrorKind::Usage, format!("`{}` is not the name of an object", args.name));
        return Err(error.hint("write NAMESPACE/NAME, or NAME alone"));
    }
    Ok(ObjectKey::new(args.kind, namespace, name))
}

fn not_found(policy: &Policy, key: &ObjectKey) -> CliError {
    let error = CliError::new(ErrorKind::NotFound, format!("{key} is not in the policy, or was refused"));
    let same_kind = policy.index.keys().filter(|other| other.kind == key.kind);
    let hint = match nearest::list(&key.to_string(), same_kind.map(ToString::to_string)) {
        list if list.is_empty() => format!("the policy has no {}", key.kind),
        list => format!("the policy has {list}"),
    };
    error.hint(hint).hint("`skerry validate` says what was refused and why")
}

/// A field that is nowhere was mistyped, or is not set.
fn check_field(asked: &str, found: &Explanation) -> Result<(), CliError> {
    let settings = found.settings.iter().map(|setting| &setting.field);
    let fields: BTreeSet<&String> = found.fields.iter().map(|field| &field.field).chain(settings).collect();
    if fields.iter().any(|field| is_below(field, asked)) {
        return Ok(());
    }
    let error =
        CliError::new(ErrorKind::NotFound, format!("{} has no field `{asked}` at this site", found.object));
    Err(error.hint(format!("it has {}", nearest::list(asked, fields.into_iter().cloned()))))
}

fn explain(args: &Args, found: Explanation, lookup: &Lookup) -> Explained {
    let mut known = BTreeMap::new();
    let mut origin = |by: ObjectKey, location: Location| {
        let provenance = known.entry((location.file.clone(), location.line));
        let provenance = provenance.or_insert_with(|| lookup.provenance(&location));
        let uncommitted = *provenance == Provenance::NotCommitted;
        Origin { by, commit: commit(provenance), uncommitted, location }
    };
    let fields = found.fields.into_iter().filter(|field| is_below(&field.field, &args.field));
    let fields = fields.map(|field| Field {
        field: field.field,
        value: field.value,
        origin: origin(field.by, field.location),
    });
    let fields: Vec<Field> = fields.collect();
    let settings = found.settings.into_iter().filter(|setting| is_below(&setting.field, &args.field));
    let settings = settings.map(|setting| Setting {
        scope: setting.scope,
        field: setting.field,
        value: setting.value,
        level: setting.level,
        origin: origin(setting.by, setting.location),
    });
    Explained {
        site: args.site.clone(),
        object: found.object,
        selected: found.selected,
        overrides: found.overrides,
        settings: settings.collect(),
        fields,
        diagnostics: found.diagnostics,
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
fn is_below(field: &str, asked: &str) -> bool {
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
