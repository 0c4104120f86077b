//! Developer tasks in Rust: one file per verb.
//!
//! Must stay light: this is the first thing that a fresh clone builds, so it depends on no other
//! member of the workspace.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to the terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod codegen;
mod workspace;

/// Developer tasks of Skerry.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write everything that is generated: protobuf code, CRDs, reference docs.
    Codegen(codegen::Args),
}

/// Runs the verb that the command line names.
pub fn run() -> ExitCode {
    let result = match Args::parse().verb {
        Verb::Codegen(args) => codegen::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
