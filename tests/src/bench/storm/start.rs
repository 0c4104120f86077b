//! How long a core takes to start with many sites, and what it holds then. No agent is connected.

use std::time::Instant;

use anyhow::Result;

use super::super::usage::Memory;
use super::super::{Args, Row};
use super::fleet::Fleet;
use super::runtime;

const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

/// Measures second starts: the store and the mirror are there.
pub(in crate::bench) fn measure(args: &Args) -> Result<Vec<Row>> {
    let (runtime, mut rows) = (runtime()?, Vec::new());
    for sites in SIZES {
        rows.extend(runtime.block_on(start(args, sites))?);
    }
    Ok(rows)
}

async fn start(args: &Args, sites: usize) -> Result<Vec<Row>> {
    let mut fleet = Fleet::start(args, sites).await?;
    let pushed = Instant::now();
    let revision = fleet.add_sites().await?;
    let first = pushed.elapsed().as_secs_f64();
    fleet.core.stop().await?;
    let begun = Instant::now();
    fleet.core.start().await?;
    let listens = begun.elapsed().as_secs_f64();
    fleet.compiled(&revision).await?;
    let compiled = begun.elapsed().as_secs_f64();
    let held = Memory::of(fleet.core_id()?)?.resident as f64 / 1e6;
    let row = |what: &str, curve: &'static str, seconds: f64| {
        Row::new(format!("{what}, {sites} sites"), format!("{seconds:.2} s")).point(curve, sites, seconds)
    };
    Ok(vec![
        row("commit of all sites to published, from the push", "commit of all sites, s", first),
        row("restart of the core until it answers sites", "restart of the core until it answers, s", listens),
        row("restart of the core until its source is read", "restart until the source is read, s", compiled),
        Row::new(
            format!("memory of the core after a restart, no agents, {sites} sites"),
            format!("{held:.1} MB"),
        )
        .point("resident memory of the core, no agents, MB", sites, held),
    ])
}
