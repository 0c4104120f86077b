//! `skerry generate-docs`: writes the reference of this command. For `cargo xtask codegen`, not for people.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::error::{CliError, ErrorKind};
use crate::outcome::Outcome;
use crate::output::{Output, reference};

/// Where the reference is, below the given folder.
const FILE: &str = "docs/reference/cli.md";

/// Write docs/reference/cli.md below a folder
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder
    #[arg(value_name = "OUTDIR")]
    pub outdir: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args, _output: &mut Output) -> Result<Outcome, CliError> {
    let path = args.outdir.join(FILE);
    let text = reference::render(&mut crate::args::Args::command());
    let folder = path.parent().map_or(Ok(()), fs_err::create_dir_all);
    let written = folder.and_then(|()| fs_err::write(&path, text));
    written.map_err(|error| CliError::new(ErrorKind::Output, error.to_string()))?;
    Ok(Outcome::Done)
}
