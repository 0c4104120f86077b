//! `skerry status`: the fleet at a glance.

use std::thread::sleep;
use std::time::Duration;

use skerry_core::selector::Selector;

use crate::args::TableFormat;
use crate::args::core::CoreArgs;
use crate::error::{CliError, ErrorKind};
use crate::fleet::Fleet;
use crate::fleet::view::FleetView;
use crate::outcome::Outcome;
use crate::output::{Output, fleet, serialized};

/// Moves to the top left and clears what is below (ECMA-48: CUP, ED).
const CLEAR: &str = "\x1b[H\x1b[2J";

const EXAMPLES: &str = "\
Examples:
  skerry status
  skerry status -l tier=retail,region!=eu --watch
  skerry status --core https://core.example:7443 -o json | jq '.sites[] | {site, state}'

A site that is not connected, or silent for too long, is `Unknown`, whatever it said last; its figures carry
their age. What a site refused is listed until it has applied something after it.";

/// Show the fleet at a glance: the source, then every site with the age of what is known
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The core to ask.
    #[command(flatten)]
    pub core: CoreArgs,
    /// Only sites with such labels, as `kubectl -l` takes them
    #[arg(long, short = 'l', value_name = "SELECTOR", default_value = "", hide_default_value = true)]
    pub selector: String,
    /// The form of the answer; with `--watch`, JSON comes one document to a line
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = TableFormat::Table)]
    pub output: TableFormat,
    /// Show it again and again
    #[arg(long, short)]
    pub watch: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "watch",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub interval: u64,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    Selector::parse(&args.selector).map_err(|message| {
        CliError::new(ErrorKind::Usage, message).hint("write it as `tier=retail,region in (eu,us),!lab`")
    })?;
    let mut core = args.core.connect()?;
    if args.watch {
        return watch(args, &mut core, output);
    }
    let answer = output.progress().during("asking the core", || core.status(&args.selector))?;
    let text = render(args, &FleetView::of(answer), output)?;
    output.result(&text)?;
    Ok(Outcome::Done)
}

/// Goes on when a core does not answer: it may be back at the next look. Ends with the process, or its reader.
fn watch(args: &Args, core: &mut Fleet, output: &mut Output) -> Result<Outcome, CliError> {
    loop {
        match core.status(&args.selector) {
            Ok(answer) => {
                let clear =
                    if output.is_terminal() && args.output == TableFormat::Table { CLEAR } else { "" };
                let text = render(args, &FleetView::of(answer), output)?;
                output.result(&format!("{clear}{text}"))?;
            }
            Err(error) if error.kind == ErrorKind::Unreachable => drop(output.error(&error)),
            Err(error) => return Err(error),
        }
        sleep(Duration::from_secs(args.interval));
    }
}

fn render(args: &Args, view: &FleetView, output: &Output) -> Result<String, CliError> {
    match args.output {
        TableFormat::Table => Ok(fleet::status(view, output.paint())),
        TableFormat::Json if args.watch => serialized::json_line(view),
        TableFormat::Json => serialized::json(view),
        TableFormat::Yaml if args.watch => Ok(format!("---\n{}", serialized::yaml(view)?)),
        TableFormat::Yaml => serialized::yaml(view),
    }
}
