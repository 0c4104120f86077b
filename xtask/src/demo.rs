//! `cargo xtask demo`: fetches and builds what the demo needs, then becomes the demo.

use std::process::ExitCode;

use anyhow::Result;

use crate::envoy;
use crate::prerequisites::BUILD;
use crate::workspace::{self, Profile, Workspace};

/// Options of `demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    envoy: envoy::Source,
    /// Assert every step, then end.
    #[arg(long)]
    check: bool,
    /// Leave everything up to play with, until Ctrl-C.
    #[arg(long, conflicts_with = "check")]
    keep: bool,
}

/// Runs the verb. The demo itself cleans up, also on Ctrl-C: it takes the place of this process.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let envoy = args.envoy.ensure(&workspace, BUILD)?;
    eprintln!("building the workspace (the first time takes a few minutes)");
    let bins = workspace.build_bins(Profile::Dev)?;
    let mut demo = workspace.command(bins.join("skerry-demo"));
    demo.arg("--envoy").arg(envoy).arg("--bin-dir").arg(&bins);
    demo.args(args.check.then_some("--check")).args(args.keep.then_some("--keep"));
    match workspace::exec(&mut demo)? {}
}
