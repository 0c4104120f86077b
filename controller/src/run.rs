//! The program: command line → configuration → application, and what it ends with.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::app::{App, WrongUsage};
use crate::args::Args;
use crate::clock::Clock;
use crate::config::Config;
use crate::folder;

/// The exit code for a wrong command line or source file, or a folder in use, as that of the argument parser.
const WRONG_USAGE: u8 = 2;

/// How long threads that hang in the network may hold the end up.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Runs the program.
#[expect(clippy::print_stderr, reason = "this is the program's own voice")]
pub fn main() -> ExitCode {
    let config = match Config::resolve(Args::parse(), |path| std::fs::read(path)) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return WRONG_USAGE.into();
        }
    };
    folder::keep_private();
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<WrongUsage>() { WRONG_USAGE.into() } else { ExitCode::FAILURE }
        }
    }
}

fn run(config: Config) -> Result<()> {
    let filter = EnvFilter::try_new(&config.log)?;
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LAST_WAIT);
    outcome
}

async fn serve(config: Config) -> Result<()> {
    let cancel = CancellationToken::new();
    // First: a start that is asked to end meanwhile ends in order.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let app = App::build(config, Clock::system(), cancel.clone())?;
    let running = app.run();
    tokio::pin!(running);
    tokio::select! {
        outcome = &mut running => return outcome,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    cancel.cancel();
    running.await
}
