//! `skerry trust show`: the core's keys, where their rotations are, and whom they wait for.

use crate::args::TableFormat;
use crate::args::core::CoreArgs;
use crate::error::CliError;
use crate::fleet::trust::TrustView;
use crate::outcome::Outcome;
use crate::output::{Output, serialized, trust};

const EXAMPLES: &str = "\
Examples:
  skerry trust show
  skerry trust show -o json | jq '.keys[] | select(.stage != \"Steady\") | .dark'";

/// Show the core's keys, and where their rotations are
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
    let view = TrustView::of(output.progress().during("asking the core", || core.trust())?);
    let text = serialized::in_form(&view, args.output, |view| trust::keys(view, output.paint()))?;
    output.result(&text)?;
    Ok(Outcome::Done)
}
