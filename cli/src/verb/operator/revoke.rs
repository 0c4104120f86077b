//! `skerry operator revoke`: takes back what an operator may.

use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  skerry operator revoke ada

All keys of the name are refused from now on, and connections that are open are cut. What was done with them stays done:
join tokens that were made are withdrawn with `skerry site revoke`. Of `admin` the core writes another `operator.json` into its data
folder: who can read that may always ask.";

/// Take the credentials of an operator back, at once
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// Their name
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let keys = args.core.connect()?.revoke_operator(&args.name)?;
    let what = if keys == 1 { "1 key is".to_owned() } else { format!("{keys} keys are") };
    output.result(&format!("operator {}: {what} revoked\n", args.name))?;
    Ok(Outcome::Done)
}
