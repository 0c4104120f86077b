//! The binary: takes arguments, runs the verb, returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    skerry_agent::args::main(std::env::args_os().collect())
}
