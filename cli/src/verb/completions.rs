//! `skerry completions`: a completion script for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::error::CliError;
use crate::outcome::Outcome;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  source <(skerry completions bash)
  skerry completions zsh > \"${fpath[1]}/_skerry\"
  skerry completions fish > ~/.config/fish/completions/skerry.fish";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs the verb.
pub fn run(args: &Args, output: &mut Output) -> Result<Outcome, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::args::Args::command(), "skerry", &mut script);
    output.bytes(&script)?;
    Ok(Outcome::Done)
}
