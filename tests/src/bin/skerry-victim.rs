//! `skerry-victim`: a core or an agent that kills itself at a named step. Everything is in `skerry_tests::victim`.

use clap::Parser as _;
use skerry_tests::victim::{Args, run};

fn main() -> anyhow::Result<()> {
    run(Args::parse())
}
