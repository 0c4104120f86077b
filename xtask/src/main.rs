//! `cargo xtask`: the developer tasks of this repository. Everything is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    xtask::run()
}
