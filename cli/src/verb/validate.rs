//! `skerry validate`: everything that is wrong with a policy, with file, line and field. Needs no server.

use clap::ValueEnum;
use serde::Serialize;
use skerry_core::diagnostic::{Diagnostic, Severity};
use skerry_core::id::Kind;

use crate::args::source::RevisionArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::{Output, diagnostics, github, serialized};
use crate::source::commit::Lookup;
use crate::source::count;
use crate::source::policy::Policy;

const EXAMPLES: &str = "\
Examples:
  skerry validate                                    # the folder that you are in
  skerry validate --source policies --rev origin/main --path sites
  skerry validate --source policies -o github        # in a workflow: notes beside the lines
  skerry validate -o json | jq '.diagnostics[].code'";

/// Check a policy: print every error and warning with file, line and field
///
/// Exits with 1 if there are errors. Documents of other systems are counted and passed over. Files are read that end in
/// `.yaml`, `.yml` or `.json`, in a clone also those that Git ignores; files and folders with a dot before their name are
/// passed over. Links, pipes, submodules and endings in capitals are warned about.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where policies are read from.
    #[command(flatten)]
    pub source: RevisionArgs,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub output: Format,
}

/// Forms of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people, with the lines in question.
    Text,
    /// For programs.
    Json,
    /// For programs, and pleasant to read.
    Yaml,
    /// Workflow commands, which GitHub and Forgejo show beside the lines.
    Github,
}

/// The answer for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    revision: &'a str,
    summary: Summary,
    diagnostics: Vec<&'a Diagnostic>,
}

#[derive(Debug, Serialize)]
struct Summary {
    files: usize,
    /// How many of the objects are sites.
    sites: usize,
    objects: usize,
    foreign: usize,
    errors: usize,
    warnings: usize,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let policy = Policy::read(&args.source, output.progress())?;
    let summary = summarize(&policy);
    let report = || Report {
        revision: policy.loaded.revision.as_str(),
        summary: summarize(&policy),
        diagnostics: policy.diagnostics.iter().collect(),
    };
    let text = match args.output {
        Format::Json => serialized::json(&report())?,
        Format::Yaml => serialized::yaml(&report())?,
        Format::Github => github::render(&policy.diagnostics, policy.loaded.folder()),
        Format::Text => {
            let lookup = Lookup::open(&policy.loaded.origin);
            let read = |file: &str| lookup.text(file);
            let folder = policy.loaded.folder();
            diagnostics::render(&policy.diagnostics, folder, &read, output.paint()) + &line(&summary)
        }
    };
    if policy.compiled.sites().next().is_none() {
        let warning = output.paint_stderr().warning("warning:");
        let why = if policy.diagnostics.iter().any(is_broken_site) {
            "no site that the policy declares is right"
        } else {
            "the policy declares no site"
        };
        output.note(&format!("{warning} {why}, so no site runs any of it\n"));
    }
    output.result(&text)?;
    Ok(policy.outcome())
}

fn is_broken_site(diagnostic: &Diagnostic) -> bool {
    let is_site = diagnostic.object.as_ref().is_some_and(|object| object.kind == Kind::Site);
    is_site && diagnostic.severity == Severity::Error
}

fn summarize(policy: &Policy) -> Summary {
    Summary {
        files: policy.loaded.files,
        sites: policy.compiled.sites().count(),
        objects: policy.loaded.world.objects.len(),
        foreign: policy.loaded.foreign.values().sum(),
        errors: count(&policy.diagnostics, Severity::Error),
        warnings: count(&policy.diagnostics, Severity::Warning),
    }
}

fn line(summary: &Summary) -> String {
    let Summary { files, objects, foreign, errors, warnings, sites: _ } = summary;
    let plural = |count: &usize, word: &str| format!("{count} {word}{}", if *count == 1 { "" } else { "s" });
    let (files, objects) = (plural(files, "file"), plural(objects, "object"));
    let (errors, warnings) = (plural(errors, "error"), plural(warnings, "warning"));
    format!("{files}, {objects}, {foreign} foreign, {errors}, {warnings}\n")
}
