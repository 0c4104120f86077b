//! `skerry bundle`: what sites run, signed by a key that the core does not have.

use clap::Subcommand;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

pub mod attach;
pub mod keygen;
pub mod sign;

const EXAMPLES: &str = "\
Examples:
  skerry bundle keygen policy.key                       # once; keep it where the core is not
  skerry bundle sign --rev HEAD --key policy.key        # in the pipeline, for each commit
  skerry bundle attach policy.sig                       # to the core, which hands it to sites";

/// Sign what sites run, so that a core that was broken into cannot invent policy
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
    Sign(sign::Args),
    Attach(attach::Args),
    Keygen(keygen::Args),
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    match &args.verb {
        Verb::Sign(args) => sign::run(args, output),
        Verb::Attach(args) => attach::run(args, output),
        Verb::Keygen(args) => keygen::run(args, output),
    }
}
