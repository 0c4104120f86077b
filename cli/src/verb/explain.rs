//! `skerry explain`: why a site has the values that it has: file, line, commit, override. Needs no server.

use std::collections::BTreeSet;
use std::path::PathBuf;

use skerry_core::diagnostic::Severity;
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::index::Explanation;

use crate::args::TableFormat;
use crate::args::source::RevisionArgs;
use crate::clock;
use crate::error::{CliError, ErrorKind};
use crate::explained::{Explained, is_below};
use crate::nearest;
use crate::outcome::Outcome;
use crate::output::{Output, diagnostics, explanation, serialized};
use crate::source::commit::Lookup;
use crate::source::count;
use crate::source::policy::Policy;
use crate::source::signature::{self, Vouched};

const EXAMPLES: &str = "\
Examples:
  skerry explain HTTPRoute shop/reviews --site store-1
  skerry explain httproute shop/reviews 'spec.rules[0].backendRefs' --site store-1 --rev HEAD~1
  skerry explain service shop/reviews --site store-1      # with effective timeouts and retries, and who may call it
  skerry explain mesh fleet --site store-1 -o json
  skerry explain mesh fleet --site store-1 --policy-source source.yaml   # who signed it

An object whose document is broken is shown in its last good version, as a core holds it that
followed the history; up to 1,000 commits are walked back for that.";

/// Explain an object at a site: every field with the file, line, override and commit that it comes from
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Mesh, Site, Service, HTTPRoute, TrafficPolicy, AuthorizationPolicy or SiteOverride, in any case, also as plural
    #[arg(value_name = "KIND")]
    pub kind: Kind,
    /// The object; NAME alone for a Mesh or Site, or in the namespace `default`
    #[arg(value_name = "NAMESPACE/NAME")]
    pub name: String,
    /// Only this field and what is below it
    #[arg(value_name = "FIELD", default_value = "", hide_default_value = true)]
    pub field: String,
    /// Where policies are read from.
    #[command(flatten)]
    pub source: RevisionArgs,
    /// A file with the PolicySource: its `spec.verify` says who may sign the commit that is explained
    #[arg(long, value_name = "FILE")]
    pub policy_source: Option<PathBuf>,
    /// The site; if the policy declares none, any name stands for a site without labels
    #[arg(long, value_name = "SITE")]
    pub site: String,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let policy = Policy::read_followed(&args.source, output.progress())?;
    let site = policy.choose(&args.site)?.site;
    let key = key(args)?;
    let found = policy.index.explain(&site, &key).ok_or_else(|| not_found(&policy, &key))?;
    check_field(&args.field, &found)?;
    let vouched = vouched(args, &policy, output)?;
    let lookup = Lookup::open(&policy.loaded.origin);
    let found = output.progress().during("looking for commits", || {
        Explained::of(found, &policy.loaded, vouched, &site, &args.field, &lookup)
    });
    let text = serialized::in_form(&found, args.output, |found| explanation::render(found, output.paint()))?;
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

/// Finds out who vouches for the commit, and says what is wrong with the signers.
fn vouched(args: &Args, policy: &Policy, output: &mut Output) -> Result<Option<Vouched>, CliError> {
    let loaded = args.policy_source.as_deref().map(signature::load).transpose()?;
    for diagnostic in loaded.iter().flat_map(|loaded| &loaded.diagnostics) {
        output.say(&format!("{}\n", diagnostics::line(diagnostic, "", output.paint_stderr())));
    }
    let signers = loaded.as_ref().map(|loaded| &loaded.signers);
    signature::vouched(&policy.loaded.origin, signers, clock::now())
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
