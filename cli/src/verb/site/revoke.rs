//! `skerry site revoke`: cuts a site off.

use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;
use crate::output::age::rfc3339;

const EXAMPLES: &str = "\
Examples:
  skerry site revoke store-1

The box that is the site's is refused from now on, and so is every token of the site. The other sites are
told at once, or when they are back. What the box runs it goes on running.";

/// Cut a site off: its box was stolen, say
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The site
    #[arg(value_name = "SITE")]
    pub name: String,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let revoked = args.core.connect()?.revoke_site(&args.name)?;
    let key: String = revoked.key.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let until = rfc3339(revoked.authority_until_ms);
    output.result(&format!(
        "site {} is revoked (key {key}); where that is not heard its workloads are believed until {until}\n",
        args.name
    ))?;
    Ok(Outcome::Done)
}
