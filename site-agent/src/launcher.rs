//! The launcher of one proxy: a small process that starts Envoy, starts it again when it falls,
//! hands it over to the agent when that is back, and drains it at the end.
//!
//! It outlives the agent: with no agent it starts Envoy from the static snapshot. It must stay small
//! (4 MB resident): one thread, no store, no gRPC, a runtime that can have no workers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};

use crate::args::LaunchArgs;
use crate::clock;
use crate::layout::{ProxyDir, private_folder};

mod admin;
mod envoy;
mod lock;
mod log;
mod machine;
mod run;
mod socket;
mod state;

pub(crate) use admin::ask;
pub(crate) use lock::{LockError, holder, take};
pub(crate) use machine::Mode;
pub(crate) use state::{LauncherState, Process};

/// What a launcher runs with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The proxy's folder.
    pub(crate) folder: ProxyDir,
    /// The Envoy binary.
    pub(crate) envoy: PathBuf,
    /// How long a draining Envoy may take.
    pub(crate) drain: Duration,
}

/// Deletes a proxy's folder. An error when a launcher runs it: it holds the lock.
pub(crate) fn remove_folder(folder: &ProxyDir) -> Result<(), LockError> {
    let _lock = take(&folder.lock())?;
    fs_err::remove_dir_all(folder.path()).map_err(|error| LockError::Io(folder.path().to_owned(), error))
}

/// Runs `skerry-agent launch` to its end.
pub(crate) fn main(args: LaunchArgs) -> ExitCode {
    match prepare(args).and_then(|config| launch(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&format!("error: {error:#}")),
    }
}

/// Says what is wrong and fails.
pub(crate) fn refuse(words: &str) -> ExitCode {
    log::say(format_args!("{words}"));
    ExitCode::FAILURE
}

fn prepare(args: LaunchArgs) -> anyhow::Result<Config> {
    let folder = std::path::absolute(args.proxy_dir)?;
    private_folder(&folder)?;
    Ok(Config {
        folder: ProxyDir::new(folder),
        envoy: std::path::absolute(args.envoy)?,
        drain: Duration::from_secs(args.drain_seconds.into()),
    })
}

fn launch(config: &Config) -> anyhow::Result<()> {
    let _lock = take(&config.folder.lock())?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(run::run(config, clock::Clock::start()))
}
