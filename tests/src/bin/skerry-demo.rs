//! `skerry-demo`: what `cargo xtask demo` runs. Everything is in `skerry_tests::demo`.

use clap::Parser as _;
use skerry_tests::demo::program;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    program::run(program::Args::parse()).await
}
