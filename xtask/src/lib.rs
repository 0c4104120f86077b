//! Developer tasks in Rust: one file for each verb.
//!
//! Must stay light: this is the first thing that a fresh clone builds, so it depends on no other
//! member of the workspace.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a developer's tool talks to the terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod codegen;
mod demo;
mod envoy;
mod prerequisites;
mod test;
mod tidy;
mod workspace;

/// Developer tasks of Skerry.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the main job end to end: three sites, real Git, real Envoys.
    Demo(demo::Args),
    /// Build everything and run all tests.
    Test(test::Args),
    /// Measure speed, bytes and memory on optimized builds.
    Bench(bench::Args),
    /// Write everything that is generated: protobuf code, CRDs, reference docs.
    Codegen(codegen::Args),
    /// Check layering, file heads, forgotten files, sizes, names, words and links.
    Tidy,
    /// Fetch Envoy if it is not here and print its path.
    Envoy(envoy::Source),
}

/// Runs the verb that the command line names.
pub fn run() -> ExitCode {
    let result = match Args::parse().verb {
        Verb::Demo(args) => demo::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Codegen(args) => codegen::run(&args),
        Verb::Tidy => tidy::run(),
        Verb::Envoy(source) => envoy::run(&source),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_demo_is_checked_or_kept_and_that_is_said_before_anything_is_built() {
        for one in ["--check", "--keep"] {
            assert!(Args::try_parse_from(["xtask", "demo", one]).is_ok(), "{one}");
        }
        let error = Args::try_parse_from(["xtask", "demo", "--check", "--keep"]).unwrap_err();
        assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
    }

    #[test]
    fn what_follows_two_dashes_is_handed_on_as_it_is() {
        let args =
            Args::try_parse_from(["xtask", "test", "--", "--package", "x", "--", "--nocapture"]).unwrap();
        let Verb::Test(args) = args.verb else { panic!("not `test`") };
        assert_eq!(args.rest(), ["--package", "x", "--", "--nocapture"]);
    }
}
