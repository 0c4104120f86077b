//! `skerry trust`: whom sites believe, and how the core's keys are rotated.

use clap::Subcommand;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

pub mod bundle;
pub mod policy;
pub mod rotate;
pub mod show;

const EXAMPLES: &str = "\
Examples:
  skerry trust show                               # the core's keys, and where rotations are
  skerry trust rotate mesh-root --step begin      # then switch, then end
  skerry trust policy                             # who signs policy outside of the core, and whether they have to
  skerry trust bundle                             # the roots of the mesh, for other SPIFFE implementations";

/// Say whom sites believe, and rotate the core's keys
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[allow(missing_docs, reason = "clap would show it in place of each verb's own words")]
pub enum Verb {
    Show(show::Args),
    Rotate(rotate::Args),
    Policy(policy::Args),
    Bundle(bundle::Args),
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    match &args.verb {
        Verb::Show(args) => show::run(args, output),
        Verb::Rotate(args) => rotate::run(args, output),
        Verb::Policy(args) => policy::run(args, output),
        Verb::Bundle(args) => bundle::run(args, output),
    }
}
