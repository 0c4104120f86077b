//! Measurements: printed as a Markdown table, to be kept in `docs/reference/benchmarks.md` with the
//! machine and the date. Nothing here asserts: machines are noisy, and a timed test is a flaky one.

use std::path::PathBuf;

use anyhow::{Result, bail};

mod compile;
mod size;
mod world;

/// Options of `skerry-bench`.
#[derive(Debug, clap::Parser)]
#[command(name = "skerry-bench", version, about = "Measures speed, bytes and memory on optimized builds")]
pub struct Args {
    /// The Envoy to measure with.
    #[arg(long, value_name = "PATH")]
    pub envoy: Option<PathBuf>,
    /// The folder of the optimized binaries; the agent as shipped is in `../small` beside it.
    #[arg(long, value_name = "DIR")]
    pub bin_dir: PathBuf,
    /// Only the measurement of this name: `compile` or `size`.
    pub name: Option<String>,
}

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) figure: String,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, figure: impl Into<String>) -> Self {
        Self { what: what.into(), figure: figure.into() }
    }
}

type Measurement = fn(&Args) -> Result<Vec<Row>>;

const MEASUREMENTS: [(&str, Measurement); 2] = [("compile", compile::measure), ("size", size::measure)];

/// Runs the measurements and prints each row as soon as it is there.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub fn run(args: &Args) -> Result<()> {
    let wanted = |name: &str| args.name.as_deref().is_none_or(|only| only == name);
    if MEASUREMENTS.iter().all(|(name, _)| !wanted(name)) {
        bail!("there is no such measurement; they are: {}", MEASUREMENTS.map(|(name, _)| name).join(", "));
    }
    println!("| what | figure |\n| --- | ---: |");
    for (_, measure) in MEASUREMENTS.iter().filter(|(name, _)| wanted(name)) {
        for row in measure(args)? {
            println!("| {} | {} |", row.what, row.figure);
        }
    }
    Ok(())
}
