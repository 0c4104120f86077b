//! The launcher as a binary of its own: `skerry-agent launch` without the agent around it, so that
//! the one process for each proxy keeps two megabytes resident and not four.

use std::process::ExitCode;

fn main() -> ExitCode {
    skerry_agent::args::launcher_main(&std::env::args_os().skip(1).collect::<Vec<_>>())
}
