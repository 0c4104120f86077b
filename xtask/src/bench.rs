//! `cargo xtask bench`: measures speed, bytes and memory on optimized builds.

use std::process::ExitCode;

use anyhow::Result;

use crate::envoy;
use crate::prerequisites::{CC, GIT};
use crate::workspace::{self, Profile, Workspace};

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    envoy: envoy::Source,
    /// Only the measurement of this name; all if left out.
    name: Option<String>,
}

/// Runs the verb. The agent as it is shipped is `small/skerry-agent`, beside the folder of the other binaries.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let envoy = args.envoy.ensure(&workspace, &[GIT, CC])?;
    let bins = workspace.build_bins(Profile::Release)?;
    build_small_agent(&workspace)?;
    let mut bench = workspace.command(bins.join("skerry-bench"));
    bench.arg("--envoy").arg(envoy).arg("--bin-dir").arg(&bins).args(&args.name);
    match workspace::exec(&mut bench)? {}
}

/// Builds the agent alone, with its own features and no others: that is what its size is promised for.
fn build_small_agent(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.command("cargo");
    cargo.args(["build", "--profile", "small", "--locked", "--package", "skerry-agent", "--bins"]);
    workspace::run(&mut cargo)
}
