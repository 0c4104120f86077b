//! How long the core takes from a change of the world to new contents and rows, as sites grow.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use skerry_core::id::{Revision, Timestamp};
use skerry_core::index::{Change, Index};
use skerry_core::ledger::{Declared, Ledger};
use skerry_core::world::ServiceIndexes;

use super::{Args, Row, world};

const SITES: [usize; 3] = [1_000, 10_000, 100_000];

/// Repetitions of a commit; the median is told.
const COMMITS: usize = 21;

/// Measures full compiles and single commits.
pub(super) fn measure(_: &Args) -> Result<Vec<Row>> {
    Ok(SITES.into_iter().flat_map(measure_at).collect())
}

fn measure_at(sites: usize) -> Vec<Row> {
    let changes = world::world(sites);
    let mut index = Index::new(skerry_crds::decode, ServiceIndexes::default());
    let mut ledger = Ledger::default();
    let full = Instant::now();
    changes.into_iter().for_each(|change| index.apply(change));
    commit(&mut index, &mut ledger, []);
    let full = full.elapsed();
    let every = median(|at| {
        let change = world::upsert(&world::route(3, at + 1));
        timed(|| commit(&mut index, &mut ledger, [change]))
    });
    let one = median(|at| {
        let change = world::upsert(&world::over_one_site(at + 1));
        timed(|| commit(&mut index, &mut ledger, [change]))
    });
    let label = |what: &str| format!("{what}, {sites} sites");
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    vec![
        Row::new(label("full compile"), format!("{full:.1?}")).point(
            "full compile, ms",
            sites,
            milliseconds(full),
        ),
        Row::new(label("one route that every site has, world to rows"), format!("{every:.2?}")).point(
            "one route of every site, ms",
            sites,
            milliseconds(every),
        ),
        Row::new(label("one override at one site, world to rows"), format!("{one:.2?}")).point(
            "one override of one site, ms",
            sites,
            milliseconds(one),
        ),
        Row::new(label("resident memory of the whole process"), resident()),
    ]
}

fn commit(index: &mut Index, ledger: &mut Ledger, changes: impl IntoIterator<Item = Change>) -> usize {
    changes.into_iter().for_each(|change| index.apply(change));
    let compiled = index.compile();
    let named = BTreeSet::new();
    ledger.publish(&compiled, |_| None, Declared::Named(&named), &Revision::folder(), Timestamp(0)).rows.len()
}

fn timed(work: impl FnOnce() -> usize) -> Duration {
    let start = Instant::now();
    std::hint::black_box(work());
    start.elapsed()
}

fn median(mut run: impl FnMut(usize) -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..COMMITS).map(&mut run).collect();
    times.sort_unstable();
    times[COMMITS / 2]
}

fn resident() -> String {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map_or_else(|| "unknown".to_owned(), |kilobytes| format!("{} MiB", kilobytes / 1024))
}
