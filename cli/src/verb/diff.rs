//! `skerry diff`: which sites a change of policy reaches, and what it costs on the link. Needs no server.

use clap::ValueEnum;
use skerry_core::diagnostic::{Code, Diagnostic, Diagnostics};
use skerry_core::world::{Age, ServiceIndexes};

use crate::args::range::RangeArgs;
use crate::args::source::SourceArgs;
use crate::diff::{Comparison, diff, new_diagnostics};
use crate::error::{CliError, ErrorKind};
use crate::outcome::Outcome;
use crate::output::progress::Progress;
use crate::output::{Output, difference, markdown, serialized};
use crate::source::policy::Policy;
use crate::source::{Loaded, Reading, Source};

const EXAMPLES: &str = "\
Examples:
  skerry diff                                    # what your changes do, before you commit
  skerry diff origin/main..HEAD -o markdown      # for a pull request
  skerry diff --base v1.2 --head v1.3 --source policies.git
  skerry diff --source new --against old --exit-code

An object that is broken in the new state stays as it was at a core that has the old one in
force (its last good version is held): it is listed under `Held`, and no site changes for it.
A core that starts anew has nothing to hold.

Exits with 0, or with 10 if `--exit-code` is given and a site changes.";

/// Show which sites a change of policy reaches, grouped by identical change
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to compare with what.
    #[command(flatten)]
    pub range: RangeArgs,
    /// Where policies are read from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// Exit with 10 if a site changes
    #[arg(long)]
    pub exit_code: bool,
}

/// Forms of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For programs, and pleasant to read.
    Yaml,
    /// For the description of a pull request.
    Markdown,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let comparison = compare(args, output.progress())?;
    let text = match args.output {
        Format::Text => difference::render(&comparison, output.paint()),
        Format::Json => serialized::json(&comparison)?,
        Format::Yaml => serialized::yaml(&comparison)?,
        Format::Markdown => markdown::render(&comparison),
    };
    output.result(&text)?;
    let differs = !comparison.fleet.groups.is_empty();
    Ok(if args.exit_code && differs { Outcome::Changes } else { Outcome::Done })
}

fn compare(args: &Args, progress: Progress) -> Result<Comparison, CliError> {
    let (base, mut head) = progress.during("reading policies", || read(args))?;
    keep_ages(&base, &mut head);
    progress.during("compiling policies", || {
        let base = Policy::compile(base, ServiceIndexes::default());
        let head = Policy::compile(head, base.index.indexes().clone());
        let is_held = |diagnostic: &Diagnostic| diagnostic.code == Code::Held;
        let (held, rest): (Diagnostics, Diagnostics) = head.diagnostics.iter().cloned().partition(is_held);
        Ok(Comparison {
            base: base.loaded.name(),
            head: head.loaded.name(),
            fleet: diff(&base.compiled, &head.compiled),
            held: held.into_iter().collect(),
            new_diagnostics: new_diagnostics(&base.diagnostics, &rest),
        })
    })
}

/// Reads both states. One of them may be empty, so that a change can bring a policy or take it away. What a core with
/// the old one in force would hold of the new one is held.
fn read(args: &Args) -> Result<(Loaded, Loaded), CliError> {
    let (base, head) = read_both(args)?;
    let is_nothing = base.files() == 0 && head.files() == 0;
    let (head, base): (Loaded, Loaded) = (head.after(&base).into(), base.into());
    if is_nothing { Err(head.no_policy(&args.source)) } else { Ok((base, head)) }
}

fn read_both(args: &Args) -> Result<(Reading, Reading), CliError> {
    let source = Source::find(&args.source)?;
    if let Some(against) = &args.range.against {
        let old = Source::find(&SourceArgs { source: against.clone(), path: args.source.path.clone() })?;
        let base = old.followed(old.read_or_nothing(None)?)?;
        return Ok((base, source.read_or_nothing(None)?));
    }
    let (base, head) = revisions(&args.range)?;
    let base = source.read_or_nothing(Some(&base)).map_err(|error| match source.is_folder() {
        true => error.hint("two plain folders are compared with `--source NEW --against OLD`"),
        false => error,
    })?;
    Ok((source.followed(base)?, source.read_or_nothing(head.as_deref())?))
}

fn revisions(range: &RangeArgs) -> Result<(String, Option<String>), CliError> {
    let Some(text) = &range.range else {
        return Ok((range.base.clone().unwrap_or_else(|| "HEAD".to_owned()), range.head.clone()));
    };
    if text.contains("...") {
        let error = CliError::new(ErrorKind::Usage, format!("`{text}` has three dots"));
        return Err(
            error.hint("write `BASE..HEAD`; for what a branch did: `$(git merge-base main HEAD)..HEAD`")
        );
    }
    let or_head = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
    Ok(match text.split_once("..") {
        Some((base, head)) => (or_head(base), Some(or_head(head))),
        None => (text.clone(), None),
    })
}

/// An object of a folder without history keeps the age that it has in the history: it is no other one.
fn keep_ages(base: &Loaded, head: &mut Loaded) {
    for (key, aged) in &mut head.world.objects {
        if let Some(before) = base.world.objects.get(key)
            && aged.age == Age::Unknown
        {
            aged.age = before.age;
        }
    }
}
