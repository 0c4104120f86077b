//! `cargo xtask bench`: measures speed, bytes and memory on optimized builds.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::envoy;
use crate::prerequisites::BUILD;
use crate::workspace::{self, Profile, Workspace};

/// Options of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    envoy: envoy::Source,
    /// How many agents are connected in `storm`, one size after the other, as `1000,10000,100000`; 1,000 and 10,000 if left
    /// out. Each needs an open file here and at the core, and some 100 KB of memory.
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    agents: Vec<u32>,
    /// Only the measurements of these names; all if left out.
    names: Vec<String>,
}

/// Where the plot of what grows is kept.
const PLOT: &str = "docs/reference/growth.svg";

/// Runs the verb.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let envoy = args.envoy.ensure(&workspace, BUILD)?;
    let bins = workspace.build_bins(Profile::Release)?;
    let small = build_small_agent(&workspace)?;
    let mut bench = workspace.command(bins.join("skerry-bench"));
    bench.arg("--envoy").arg(envoy).arg("--bin-dir").arg(&bins).arg("--small-dir").arg(small);
    if !args.agents.is_empty() {
        let agents: Vec<String> = args.agents.iter().map(u32::to_string).collect();
        bench.arg("--agents").arg(agents.join(","));
    }
    bench.arg("--plot").arg(workspace.join(PLOT)).args(&args.names);
    match workspace::exec(&mut bench)? {}
}

/// Builds the agent alone, with its own features and no others: that is what its size is promised for. Returns the folder.
fn build_small_agent(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = workspace.command("cargo");
    cargo.args(["build", "--profile", "small", "--locked", "--package", "skerry-agent", "--bins"]);
    workspace::run(&mut cargo)?;
    Ok(workspace.target.join("small"))
}
