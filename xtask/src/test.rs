//! `cargo xtask test`: builds everything and runs all tests, with real Git and real Envoy.

use std::process::ExitCode;

use anyhow::Result;

use crate::envoy;
use crate::prerequisites::BUILD;
use crate::workspace::{self, Profile, Workspace};

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    envoy: envoy::Source,
    /// Handed on to `cargo test`.
    #[arg(last = true, value_name = "ARGS")]
    rest: Vec<String>,
}

impl Args {
    /// What is handed on to `cargo test`.
    pub(crate) fn rest(&self) -> &[String] {
        &self.rest
    }
}

/// Runs the verb: the tests find Envoy in `$ENVOY` and the real binaries in `$SKERRY_BIN_DIR`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::locate()?;
    let envoy = args.envoy.ensure(&workspace, BUILD)?;
    let bins = workspace.build_bins(Profile::Dev)?;
    let mut cargo = workspace.command("cargo");
    // All that fails is said at once: a run takes minutes.
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]).args(args.rest());
    cargo.env("ENVOY", envoy).env("SKERRY_BIN_DIR", bins);
    match workspace::exec(&mut cargo)? {}
}
