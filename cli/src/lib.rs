//! The one command that people type: `skerry`.
//!
//! `args` says what can be typed, `verb` holds one file for each verb, `source` reads policies,
//! `fleet` asks a core, `diff` and `explained` are answers in the making, and `output` alone
//! prints. Nothing is decided here that the core decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

pub mod args;
pub mod clock;
pub mod diff;
pub mod error;
pub mod explained;
pub mod fleet;
pub mod key_file;
pub mod nearest;
pub mod outcome;
pub mod output;
pub mod policy_signatures;
pub mod signature;
pub mod source;
pub mod verb;
pub mod whole_file;

pub use error::{CliError, ErrorKind};
pub use outcome::Outcome;

/// Parses the process's arguments, runs the verb and returns the exit code.
pub fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(said) => return ExitCode::from(output::parser(&said)),
    };
    let mut output = output::Output::new(&args.global);
    let code = match catch_unwind(AssertUnwindSafe(|| verb::run(&args.verb, &mut output))) {
        Ok(Ok(outcome)) => outcome.exit_code(),
        Ok(Err(error)) => output.error(&error),
        Err(_) => output.error(&CliError::internal("the command stopped in the middle")),
    };
    ExitCode::from(code)
}
