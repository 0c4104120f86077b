//! `skerry site`: the sites of a fleet, one by one.

use clap::Subcommand;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

pub mod describe;
pub mod enroll;
pub mod get;
pub mod revoke;

const EXAMPLES: &str = "\
Examples:
  skerry site get
  skerry site describe store-1
  skerry site enroll store-1
  skerry site revoke store-1";

/// Show sites, enrol and revoke them
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
    Describe(describe::Args),
    Enroll(enroll::Args),
    Revoke(revoke::Args),
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    match &args.verb {
        Verb::Get(args) => get::run(args, output),
        Verb::Describe(args) => describe::run(args, output),
        Verb::Enroll(args) => enroll::run(args, output),
        Verb::Revoke(args) => revoke::run(args, output),
    }
}
