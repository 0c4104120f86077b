//! `skerry source`: the policy repository of a fleet, as its core sees it.

use clap::Subcommand;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

pub mod confirm;
pub mod get;

const EXAMPLES: &str = "\
Examples:
  skerry source get
  skerry source confirm 1a2b3c4d";

/// Show the core's policy repository, and confirm a rewritten branch
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
    Get(get::Args),
    Confirm(confirm::Args),
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    match &args.verb {
        Verb::Get(args) => get::run(args, output),
        Verb::Confirm(args) => confirm::run(args, output),
    }
}
