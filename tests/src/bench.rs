//! Measurements: printed as Markdown tables, to be kept in `docs/reference/benchmarks.md` with the
//! machine and the date. Nothing here asserts: machines are noisy, and a timed test is a flaky one.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

use crate::fleet::Binaries;

mod compile;
mod footprint;
mod growth;
mod identity;
mod latency;
mod machine;
mod size;
mod storm;
mod usage;
mod wire;
mod world;

/// Options of `skerry-bench`.
#[derive(Debug, clap::Args)]
struct Places {
    /// The Envoy to measure with.
    #[arg(long, env = "ENVOY", value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// The folder of the optimized programs.
    #[arg(long, value_name = "DIR")]
    bin_dir: PathBuf,
    /// The folder of the agent and its launcher as they are shipped.
    #[arg(long, value_name = "DIR")]
    small_dir: PathBuf,
    /// Where `growth` draws its plot.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Options of `skerry-bench`.
#[derive(Debug, clap::Parser)]
#[command(name = "skerry-bench", version, about = "Measures speed, bytes and memory on optimized builds")]
pub struct Args {
    #[command(flatten)]
    places: Places,
    /// How many agents are connected in `storm`, one size after the other, as `1000,10000,100000`.
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    agents: Vec<usize>,
    /// Only the measurements of these names; all if left out. `growth` draws what the others measured.
    names: Vec<String>,
}

impl Args {
    /// The programs to measure: the agent as it is shipped, all else optimized for speed.
    pub(crate) fn binaries(&self) -> Binaries {
        let Places { envoy, bin_dir, small_dir, .. } = &self.places;
        Binaries::new(bin_dir.clone(), envoy.clone()).with_small(small_dir.clone())
    }

    fn check_agents(&self) -> Result<()> {
        let is_storm = self.names.is_empty() || self.names.iter().any(|name| name == "storm");
        ensure!(self.agents.is_empty() || is_storm, "`--agents` is for `storm`, and that is not measured");
        ensure!(!self.agents.contains(&0), "`--agents 0`: a storm needs an agent");
        Ok(())
    }

    /// The folder of the agent and its launcher as they are shipped.
    pub(crate) fn small_dir(&self) -> &Path {
        &self.places.small_dir
    }

    /// The folder of the other programs.
    pub(crate) fn bin_dir(&self) -> &Path {
        &self.places.bin_dir
    }
}

/// Two threads, as many as the machines have that are measured on.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// One line of a table.
#[derive(Debug)]
pub(crate) struct Row {
    what: String,
    figure: String,
    wanted: &'static str,
    point: Option<Point>,
}

/// A figure that grows with the number of sites.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// What grows, with its unit.
    pub(crate) curve: &'static str,
    pub(crate) sites: usize,
    pub(crate) value: f64,
}

impl Row {
    /// A figure with its unit.
    pub(crate) fn new(what: impl Into<String>, figure: impl Into<String>) -> Self {
        Self { what: what.into(), figure: figure.into(), wanted: "", point: None }
    }

    /// Names what is to be reached, as `≤ 5 s`.
    #[must_use]
    pub(crate) fn wanted(self, wanted: &'static str) -> Self {
        Self { wanted, ..self }
    }

    /// Makes it a point of a curve, which `growth` tabulates and draws; the unit is in the curve's name.
    #[must_use]
    pub(crate) fn point(self, curve: &'static str, sites: usize, value: f64) -> Self {
        Self { point: Some(Point { curve, sites, value }), ..self }
    }
}

type Measurement = fn(&Args) -> Result<Vec<Row>>;

/// All measurements, by name. Each makes its own fleet and its own runtime.
const MEASUREMENTS: &[(&str, Measurement)] = &[
    ("compile", compile::measure),
    ("size", size::measure),
    ("footprint", footprint::measure),
    ("wire", wire::measure),
    ("latency", latency::measure),
    ("identity", identity::measure),
    ("storm", storm::measure),
    ("start", storm::start::measure),
];

/// The name of the plot of all that grows.
const GROWTH: &str = "growth";

/// Runs the measurements and prints each row as soon as it is there.
#[expect(clippy::print_stdout, reason = "the tables are what this program is for")]
pub fn run(args: &Args) -> Result<()> {
    let known: Vec<&str> = MEASUREMENTS.iter().map(|(name, _)| *name).chain([GROWTH]).collect();
    if let Some(name) = args.names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no measurement `{name}`; they are: {}", known.join(", "));
    }
    args.check_agents()?;
    let wanted = |name: &str| args.names.is_empty() || args.names.iter().any(|only| only == name);
    println!("{}", machine::line()?);
    let mut points = Vec::new();
    for (name, measure) in MEASUREMENTS.iter().filter(|(name, _)| wanted(name)) {
        println!("\n## {name}\n\n| what | figure | wanted |\n| --- | ---: | ---: |");
        for row in measure(args)? {
            println!("| {} | {} | {} |", row.what, row.figure, row.wanted);
            points.extend(row.point);
        }
    }
    if wanted(GROWTH) {
        let curves = growth::curves(points);
        println!("\n## {GROWTH}\n\n{}", growth::table(&curves));
        args.places.plot.iter().try_for_each(|path| fs_err::write(path, growth::draw(&curves)))?;
    }
    Ok(())
}
