//! `skerry operator`: who may ask the core, and take back what others may.

use clap::Subcommand;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

pub mod create;
pub mod list;
pub mod revoke;

const EXAMPLES: &str = "\
Examples:
  skerry operator create ada > ada.json
  skerry operator list
  skerry operator revoke ada";

/// Give people and pipelines credentials, and take them back
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
    Create(create::Args),
    List(list::Args),
    Revoke(revoke::Args),
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    match &args.verb {
        Verb::Create(args) => create::run(args, output),
        Verb::List(args) => list::run(args, output),
        Verb::Revoke(args) => revoke::run(args, output),
    }
}
