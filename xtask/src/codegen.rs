//! `cargo xtask codegen`: writes everything that is generated and committed, or checks it.
//!
//! Everything is made in a temporary folder first, so a generator that fails changes nothing. The
//! protobuf code is put in place before the other generators run, since those are built from it.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::workspace::{Profile, Workspace};
use outputs::{Difference, Owned};

mod descriptors;
mod generators;
mod outputs;
mod protobuf;

/// Options of `codegen`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail if a committed file is not what would be generated.
    #[arg(long)]
    check: bool,
    /// Stop after what comes from protobuf alone, which needs no build of the workspace.
    #[arg(long)]
    protobuf_only: bool,
}

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let mut differences =
        settle(&workspace, args, protobuf::OWNED, |stage| protobuf::generate(&workspace, stage))?;
    differences.extend(settle(&workspace, args, descriptors::OWNED, descriptors::generate)?);
    if !args.protobuf_only {
        let bins = workspace.build_bins(Profile::Dev)?;
        let generate = |stage: &Path| generators::generate(&workspace, &bins, stage);
        differences.extend(settle(&workspace, args, generators::OWNED, generate)?);
    }
    Ok(report(args, &differences))
}

/// Generates into a temporary folder, then puts the result in place unless this is only a check.
fn settle(
    workspace: &Workspace,
    args: &Args,
    owned: &[Owned],
    generate: impl FnOnce(&Path) -> Result<()>,
) -> Result<Vec<Difference>> {
    let stage = tempfile::tempdir().context("cannot make a temporary folder")?;
    generate(stage.path())?;
    let differences = outputs::compare(stage.path(), &workspace.root, owned)?;
    if !args.check {
        outputs::install(stage.path(), &workspace.root, &differences)?;
    }
    Ok(differences)
}

fn report(args: &Args, differences: &[Difference]) -> ExitCode {
    for difference in differences {
        let done = if args.check { "" } else { "put right: " };
        println!("{done}{difference}");
    }
    if !args.check || differences.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("help: run `cargo xtask codegen` and commit what it writes");
    ExitCode::FAILURE
}
