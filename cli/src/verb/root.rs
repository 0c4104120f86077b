//! `skerry root`: a mesh root that is kept offline, and the ceremony in which it signs.

use clap::Subcommand;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

pub mod create;
pub mod deliver;
mod folder;
pub mod requests;
pub mod sign;

const EXAMPLES: &str = "\
Examples:
  skerry root create --mesh mesh.local --dir /media/root     # once, on a machine without a network
  skerry root requests > requests.json                       # where the core can be reached
  skerry root sign --dir /media/root requests.json > signed.json
  skerry root deliver signed.json                            # where the core can be reached

`create` and `sign` need no network and no core.";

/// Keep the mesh root offline: make it, and sign with it
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
    Requests(requests::Args),
    Sign(sign::Args),
    Deliver(deliver::Args),
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    match &args.verb {
        Verb::Create(args) => create::run(args, output),
        Verb::Requests(args) => requests::run(args, output),
        Verb::Sign(args) => sign::run(args, output),
        Verb::Deliver(args) => deliver::run(args, output),
    }
}
