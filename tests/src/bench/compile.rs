//! How long the core takes from a change of the world to new manifests, as sites grow.
//!
//! "To new manifests" ends when everything is there that any site is served from: the fragments and lists of
//! the classes that changed, and the row of each site. A site's manifest is written from its row when it is
//! asked for; how long that takes for all sites of the commit is a line of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use skerry_core::bundle::Contents;
use skerry_core::id::{Digest, Kind, ObjectKey, Revision, Timestamp};
use skerry_core::index::{Change, Index};
use skerry_core::ledger::{Declared, Ledger, Publication, Terms, encode};
use skerry_core::world::ServiceIndexes;

use super::{Args, Row, world};

const SITES: [usize; 3] = [1_000, 10_000, 100_000];

/// Repetitions of a commit; the median is told.
const COMMITS: usize = 21;

/// Measures full compiles and single commits.
pub(super) fn measure(_: &Args) -> Result<Vec<Row>> {
    Ok(SITES.into_iter().flat_map(measure_at).collect())
}

/// The deciding part of a core.
struct Core {
    index: Index,
    ledger: Ledger,
    in_force: BTreeMap<Digest, Arc<Contents>>,
}

impl Core {
    fn commit(&mut self, changes: impl IntoIterator<Item = Change>) -> Publication {
        changes.into_iter().for_each(|change| self.index.apply(change));
        let compiled = self.index.compile();
        let in_force = &self.in_force;
        let previous = |list: &Digest| in_force.get(list).cloned();
        let (nothing, revision) = (BTreeSet::new(), Revision::folder());
        let declared = Declared::Named(&nothing);
        let publication = self.ledger.publish(&compiled, previous, declared, &revision, Timestamp(0));
        let contents = compiled.all_contents().cloned();
        self.in_force = contents.map(|contents| (contents.digest, contents)).collect();
        publication
    }

    /// Writes and hashes the manifest of every site that the last commit changed.
    fn write(&self, last: &Publication) -> usize {
        let rows = self.ledger.changed(last);
        rows.map(|(site, row)| encode(&row.manifest(site, Terms::default())).0.len()).sum()
    }
}

fn measure_at(sites: usize) -> Vec<Row> {
    let changes = world::world(sites);
    let index = Index::new(skerry_crds::decode, ServiceIndexes::default());
    let mut core = Core { index, ledger: Ledger::default(), in_force: BTreeMap::new() };
    let full = Instant::now();
    core.commit(changes);
    let full = full.elapsed();
    let mut writing = Vec::new();
    let every = median(|at| {
        let change = world::upsert(&world::route(3, at + 1));
        let (took, publication) = timed(|| core.commit([change]));
        assert_eq!(publication.changed, sites, "every site has the route");
        writing.push(timed(|| core.write(&publication)).0);
        took
    });
    let policy = for_one_site(&mut core, world::policy_of_one_site, Kind::TrafficPolicy);
    let over = for_one_site(&mut core, world::over_one_site, Kind::SiteOverride);
    writing.sort_unstable();
    let row = |what: &str, curve: &'static str, took: Duration| {
        let (figure, milliseconds) = (format!("{took:.2?}"), took.as_secs_f64() * 1e3);
        Row::new(format!("{what}, {sites} sites"), figure).point(curve, sites, milliseconds)
    };
    let to_manifests = |what: &str| format!("{what}, world to new manifests");
    vec![
        row("full compile", "full compile, ms", full).wanted("≤ 5 s"),
        row(&to_manifests("one route that every site has"), "one route of every site, ms", every)
            .wanted("≤ 100 ms"),
        row("writing and hashing those manifests", "writing every manifest, ms", writing[COMMITS / 2]),
        row(&to_manifests("one policy for one site"), "one policy of one site, ms", policy).wanted("≤ 1 ms"),
        row(&to_manifests("one override at one site"), "one override of one site, ms", over).wanted("≤ 1 ms"),
        Row::new(format!("resident memory of the whole process, {sites} sites"), resident())
            .wanted("≤ 1 GiB"),
    ]
}

/// Commits an object for one site. Each time it is new, and so is its selector: that is the most that it can cost.
fn for_one_site(core: &mut Core, value: fn(usize) -> serde_json::Value, kind: Kind) -> Duration {
    let key = ObjectKey::new(kind, "shop", "one-site");
    median(|at| {
        let change = world::upsert(&value(at + 1));
        let (took, publication) = timed(|| core.commit([change]));
        assert_eq!(publication.changed, 1, "one site has it");
        core.commit([Change::Delete(key.clone())]);
        took
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = std::hint::black_box(work());
    (start.elapsed(), done)
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
