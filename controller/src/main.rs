//! `skerry-controller`: everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    skerry_controller::run::main()
}
