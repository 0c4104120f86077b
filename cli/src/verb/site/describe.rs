//! `skerry site describe`: all that the core knows of one site.

use crate::args::TableFormat;
use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::{Output, fleet, serialized};

use super::get;

const EXAMPLES: &str = "\
Examples:
  skerry site describe store-1
  skerry site describe store-1 -o json | jq '.events[0]'";

/// Show all that is known of a site: state, proxies, events, fragments
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The site
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let site = get::one(&mut args.core.connect()?, &args.name)?;
    let text = serialized::in_form(&site, args.output, |site| fleet::detail(site, output.paint()))?;
    output.result(&text)?;
    Ok(Outcome::Done)
}
