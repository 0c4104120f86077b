//! The program `skerry-demo`: its arguments, and that it leaves nothing behind however it ends.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::Parser;

use super::narrator::Narrator;
use super::stage::Stage;
use super::steps;
use crate::fleet::Binaries;
use crate::process;
use crate::run::Run;
use crate::signals::{self, EndSignal};

/// Shows Skerry's main job from end to end: three sites, real Git, real Envoys.
#[derive(Debug, Parser)]
#[command(name = "skerry-demo", version)]
pub struct Args {
    /// The Envoy to run.
    #[arg(long, env = "ENVOY", value_name = "PATH")]
    envoy: PathBuf,
    /// The folder of Skerry's programs.
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
    /// Assert every step, say no more than needed, then end.
    #[arg(long)]
    check: bool,
    /// Leave everything up to play with, until Ctrl-C.
    #[arg(long, conflicts_with = "check")]
    keep: bool,
}

/// How the demo ended.
enum End {
    Shown,
    Interrupted(EndSignal),
    Failed(anyhow::Error),
}

/// Runs the demo and returns the exit code: 0 when all was as told, 1 when something was not.
pub async fn run(args: Args) -> ExitCode {
    let narrator = Narrator::new(args.check);
    let run = match start_run(&args) {
        Ok(run) => run,
        Err(error) => {
            narrator.fail(&error);
            return ExitCode::FAILURE;
        }
    };
    let folder = run.folder().to_owned();
    let end = tokio::select! {
        shown = show(&run, &narrator, args.keep) => shown.map_or_else(End::Failed, |()| End::Shown),
        signal = signals::end() => signal.map_or_else(End::Failed, End::Interrupted),
    };
    if let End::Failed(error) = &end {
        narrator.fail(error);
        run.keep_folder();
    }
    drop(run);
    let left = process::of_run(&folder);
    narrator.cleaned_up(&left);
    match end {
        End::Interrupted(signal) => {
            narrator.interrupted(signal);
            ExitCode::from(signal.exit_code())
        }
        End::Shown if left.is_empty() => ExitCode::SUCCESS,
        End::Shown | End::Failed(_) => ExitCode::FAILURE,
    }
}

fn start_run(args: &Args) -> Result<Arc<Run>> {
    let (folder, envoy) = (std::path::absolute(&args.bin_dir)?, std::path::absolute(&args.envoy)?);
    Run::new(Binaries::new(folder, Some(envoy)))
}

/// Sets up, shows every step, and waits for ever if the stage is to be kept.
async fn show(run: &Arc<Run>, narrator: &Narrator, keep: bool) -> Result<()> {
    let mut stage =
        narrator.quietly("starting a core, three sites and their services", Stage::set_up(run)).await?;
    steps::show_all(&mut stage, narrator).await?;
    narrator.table(&stage.status_table()?);
    if keep {
        narrator.invite(&stage.invitation());
        std::future::pending::<()>().await;
    }
    Ok(())
}
