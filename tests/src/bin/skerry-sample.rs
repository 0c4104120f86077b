//! `skerry-sample`: the sample service of the demo. Everything is in `skerry_tests::sample`.

use clap::Parser as _;
use skerry_tests::sample::program;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    program::run(program::Args::parse()).await
}
