//! A core or an agent that kills itself (SIGKILL) at a named step: the ordinary `App` of its crate, with one
//! more listener to the steps that it names. What is shipped holds nothing that can kill it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use clap::{Parser, Subcommand};
use rustix::process::{Signal, getpid, kill_process};
use tokio_util::sync::CancellationToken;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Arguments of `skerry-victim`.
#[derive(Debug, Parser)]
#[command(name = "skerry-victim", disable_version_flag = true)]
pub struct Args {
    /// The step to die at.
    #[arg(long)]
    step: String,
    /// At the how many-th time that it is taken.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    nth: u32,
    #[command(subcommand)]
    who: Who,
}

#[derive(Debug, Subcommand)]
enum Who {
    /// A core, with its own arguments.
    Core(Box<skerry_controller::args::Args>),
    /// An agent, with the arguments of `run`.
    Agent(Box<skerry_agent::args::RunArgs>),
}

/// Runs until it dies, or until somebody else ends it.
pub fn run(Args { step, nth, who }: Args) -> Result<()> {
    let words = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let steps = Targets::new().with_target(skerry_agent::step::TARGET, Level::TRACE);
    tracing_subscriber::registry()
        .with(words.with_filter(LevelFilter::INFO))
        .with(KillPoint { step, nth, taken: AtomicU32::new(0) }.with_filter(steps))
        .init();
    match who {
        Who::Core(args) => run_core(*args),
        Who::Agent(args) => run_agent(*args),
    }
}

fn run_core(args: skerry_controller::args::Args) -> Result<()> {
    let config = skerry_controller::config::Config::resolve(args, |path| std::fs::read(path))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = skerry_controller::clock::Clock::system();
        let app = skerry_controller::app::App::build(config, clock, CancellationToken::new());
        app?.run().await
    })
}

fn run_agent(args: skerry_agent::args::RunArgs) -> Result<()> {
    let launcher = skerry_agent::config::Launcher::beside(std::env::current_exe()?, Path::is_file);
    let config = skerry_agent::config::Config::resolve(args, launcher, skerry_agent::config::Enrolled::read)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { skerry_agent::app::App::build(config, CancellationToken::new())?.run().await })
}

/// Kills this process at one step.
struct KillPoint {
    step: String,
    nth: u32,
    taken: AtomicU32,
}

impl<S: Subscriber> Layer<S> for KillPoint {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut is_it = IsStep { step: &self.step, found: false };
        event.record(&mut is_it);
        if is_it.found && self.taken.fetch_add(1, Ordering::Relaxed) + 1 == self.nth {
            // The signal is there before the call returns: nothing of this thread comes after it.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}

/// Looks for one value of the field `step`.
struct IsStep<'a> {
    step: &'a str,
    found: bool,
}

impl Visit for IsStep<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.found |= field.name() == "step" && value == self.step;
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {

    #[test]
    fn both_ends_name_their_steps_alike() {
        assert_eq!(skerry_agent::step::TARGET, skerry_controller::step::TARGET);
    }
}
