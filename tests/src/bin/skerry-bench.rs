//! `skerry-bench`: what `cargo xtask bench` runs. Everything is in `skerry_tests::bench`.

use clap::Parser as _;
use skerry_tests::bench::{Args, run};

fn main() -> anyhow::Result<()> {
    run(&Args::parse())
}
