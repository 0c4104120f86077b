//! `skerry source get`: where policies come from, how fresh they are, and what is wrong with them.

use crate::args::TableFormat;
use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::fleet::view::FleetView;
use crate::outcome::Outcome;
use crate::output::{Output, fleet, serialized};

const EXAMPLES: &str = "\
Examples:
  skerry source get
  skerry source get -o json | jq .held";

/// Show where policies come from, and what is wrong with them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// The form of the answer
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mut core = args.core.connect()?;
    let source = FleetView::of(output.progress().during("asking the core", || core.source())?).source;
    let table = |source: &_| fleet::source(source, fleet::Extent::Whole, output.paint());
    let text = serialized::in_form(&source, args.output, table)?;
    output.result(&text)?;
    Ok(Outcome::Done)
}
