//! The binary: takes arguments, runs the verb, returns its exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    skerry_agent::args::Args::parse().run()
}
