//! Thousands of simulated agents at one core: how long until all are current after a restart, and what they cost the
//! core while nothing happens. The agents are in this process and the core is in another; both share the machine.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::usage::{Memory, processor_time};
use super::{Args, Row, runtime};
use crate::crowd::{Arrival, Goal, raise_files};

mod fleet;
pub(super) mod start;

use fleet::{Fleet, Storm};

/// Agents that are connected if nobody says how many: a minute's work each, and as many files as a process may have
/// nearly everywhere. A core has one for each, and so has the crowd.
const SIZES: [usize; 2] = [1_000, 10_000];
/// Over what time agents come that do not come at once.
const STAGGER: Duration = Duration::from_secs(30);
/// How long the core is away so that every agent's pauses have grown to the longest one.
const AWAY: Duration = Duration::from_secs(90);
/// How long what runs is left alone before it is looked at.
const QUIET: Duration = Duration::from_secs(10);
/// How long an idle core is watched: a minute, and as many of them as there are between two reports of a site.
const MINUTE: Duration = Duration::from_secs(60);
const MINUTES: u32 = 5;

/// Measures storms.
pub(super) fn measure(args: &Args) -> Result<Vec<Row>> {
    let sizes = if args.agents.is_empty() { &SIZES[..] } else { &args.agents };
    raise_files(sizes.iter().copied().max().unwrap_or_default())?;
    let runtime = runtime()?;
    let mut rows = Vec::new();
    for sites in sizes {
        rows.extend(runtime.block_on(storms(args, *sites))?);
    }
    Ok(rows)
}

async fn storms(args: &Args, sites: usize) -> Result<Vec<Row>> {
    let alone = Memory::of(std::process::id())?;
    let mut fleet = Fleet::start(args, sites).await?;
    let empty = Memory::of(fleet.core_id()?)?;
    let revision = fleet.add_sites().await?;
    let loaded = Memory::of(fleet.core_id()?)?;
    let mut rows = vec![memory("core without agents", sites, loaded, empty)];

    let start = Instant::now();
    let seen = fleet.look()?;
    fleet.crowd.arrive(Arrival::AtOnce);
    let storm = fleet.storm(seen, &Goal::Reported(revision), start).await?;
    rows.extend(storm.rows("all start at once and fetch their first bundle", sites));
    rows.extend(restarts(&mut fleet, sites).await?);
    rows.extend(idle(&fleet, sites, empty).await?);
    rows.push(crowd(sites, alone)?);
    rows.extend(changes(&mut fleet, sites).await?);
    rows.extend(arrivals(&mut fleet, sites).await?);
    Ok(rows)
}

/// Nothing changed: all that is to be said is that.
async fn restarts(fleet: &mut Fleet, sites: usize) -> Result<Vec<Row>> {
    let seen = fleet.look()?;
    fleet.core.stop().await?;
    let start = Instant::now();
    fleet.core.start().await?;
    let stopped = fleet.storm(seen, &Goal::Current, start).await?;
    let seen = fleet.look()?;
    fleet.core.kill().await?;
    let start = Instant::now();
    fleet.core.start().await?;
    let killed = fleet.storm(seen, &Goal::Current, start).await?;
    let curves = ["reconnect storm, nothing changed, s", "reconnect storm, nothing changed, s of processor"];
    let mut rows = stopped.rows("core restarted, nothing changed", sites);
    rows.extend(killed.points("core killed and restarted, nothing changed", sites, curves));
    Ok(rows)
}

/// One route changed that every site has: while the core was away, and while all are connected.
async fn changes(fleet: &mut Fleet, sites: usize) -> Result<Vec<Row>> {
    let seen = fleet.look()?;
    fleet.core.kill().await?;
    let revision = fleet.change_route()?;
    let start = Instant::now();
    fleet.core.start().await?;
    let away = fleet.storm(seen, &Goal::Reported(revision), start).await?;
    let seen = fleet.look()?;
    let revision = fleet.change_route()?;
    let start = Instant::now();
    fleet.core.notify().await?;
    let connected = fleet.storm(seen, &Goal::Reported(revision), start).await?;
    let curves =
        ["reconnect storm, one route changed, s", "reconnect storm, one route changed, s of processor"];
    let what = "core killed and restarted, one route changed, applied and reported";
    let mut rows = away.points(what, sites, curves);
    let curves = ["one route pushed to all, s", "one route pushed to all, s of processor"];
    let what = "one route pushed to connected agents, applied and reported";
    rows.extend(connected.points(what, sites, curves));
    Ok(rows)
}

/// Nothing changed, and agents do not come at once.
async fn arrivals(fleet: &mut Fleet, sites: usize) -> Result<Vec<Row>> {
    fleet.crowd.leave().await?;
    let seen = fleet.look()?;
    let start = Instant::now();
    fleet.crowd.arrive(Arrival::Over(STAGGER));
    let staggered = fleet.storm(seen, &Goal::Current, start).await?;
    let seen = fleet.look()?;
    fleet.core.kill().await?;
    tokio::time::sleep(AWAY).await;
    let start = Instant::now();
    fleet.core.start().await?;
    let away = fleet.storm(seen, &Goal::Current, start).await?;
    let what = format!("agents start over {} s, each from its start", STAGGER.as_secs());
    let mut rows = staggered.rows(&what, sites);
    rows.extend(away.rows(&format!("core back after {} s, nothing changed", AWAY.as_secs()), sites));
    Ok(rows)
}

/// What connected agents cost that have nothing to say but that they are well.
async fn idle(fleet: &Fleet, sites: usize, empty: Memory) -> Result<Vec<Row>> {
    tokio::time::sleep(QUIET).await;
    let id = fleet.core_id()?;
    let mut minutes = Vec::new();
    for _ in 0..MINUTES {
        let before = processor_time(id)?;
        tokio::time::sleep(MINUTE).await;
        minutes.push((processor_time(id)? - before).as_secs_f64() / MINUTE.as_secs_f64() * 100.0);
    }
    let mean = minutes.iter().sum::<f64>() / f64::from(MINUTES);
    let most = minutes.iter().copied().fold(0.0, f64::max);
    let figure = format!("{mean:.2} % of a core (the most in one minute: {most:.2} %)");
    let row = Row::new(format!("idle core, {sites} agents connected, over {MINUTES} minutes"), figure);
    let held = Memory::of(id)?;
    let curve = "resident memory of the core, agents connected, MB";
    Ok(vec![
        row.wanted("≤ 2 %").point("idle core, agents connected, % of a core", sites, mean),
        memory("core with idle agents", sites, held, empty).wanted("≤ 40 KB a site").point(
            curve,
            sites,
            held.resident as f64 / 1e6,
        ),
    ])
}

/// What the agents cost this process, and how much more that is for each than it held before.
fn crowd(sites: usize, before: Memory) -> Result<Row> {
    let held = Memory::of(std::process::id())?.resident;
    let each = held.saturating_sub(before.resident) as f64 / 1e3 / sites as f64;
    let figure = format!("{:.1} MB, {each:.1} KB an agent", held as f64 / 1e6);
    Ok(Row::new(format!("memory of the simulator, {sites} agents connected"), figure))
}

/// What a core holds, and how much more that is for each site than it held without sites.
fn memory(what: &str, sites: usize, held: Memory, empty: Memory) -> Row {
    let for_each = |held: u64, empty: u64| held.saturating_sub(empty) as f64 / 1e3 / sites as f64;
    let figure = format!(
        "{:.1} MB, {:.1} KB a site over an empty core of {:.1} MB ({:.1} KB its own)",
        held.resident as f64 / 1e6,
        for_each(held.resident, empty.resident),
        empty.resident as f64 / 1e6,
        for_each(held.own, empty.own)
    );
    Row::new(format!("memory of the {what}, {sites} sites"), figure)
}

impl Storm {
    /// How long it took and what it cost.
    fn rows(&self, what: &str, sites: usize) -> Vec<Row> {
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let (last, half, most) = (self.times.last(), self.times.p50(), self.times.p99());
        let figure = format!("{} (p50 {}, p99 {})", seconds(last), seconds(half), seconds(most));
        let row = Row::new(format!("{what}, {sites} agents: until all"), figure);
        vec![
            row.wanted("≤ 30 s, p99 below 30 s"),
            Row::new(format!("{what}, {sites} agents: processor of the core"), seconds(self.processor)),
            Row::new(format!("{what}, {sites} agents: what they met"), self.met())
                .wanted("0 refused for good"),
        ]
    }

    /// The same, as points of two curves: time and processor time.
    fn points(&self, what: &str, sites: usize, curves: [&'static str; 2]) -> Vec<Row> {
        let mut rows = self.rows(what, sites).into_iter();
        let values = [self.times.last(), self.processor].map(|time| time.as_secs_f64());
        let mut points: Vec<Row> = rows.by_ref().take(2).collect();
        points = points
            .into_iter()
            .zip(curves.into_iter().zip(values))
            .map(|(row, (curve, value))| row.point(curve, sites, value))
            .collect();
        points.extend(rows);
        points
    }

    fn met(&self) -> String {
        let sum = |counts: &std::collections::BTreeMap<String, u64>| counts.values().sum::<u64>();
        let counts = &self.counts;
        let lost: Vec<String> = counts.lost.iter().map(|(what, count)| format!("{what} {count}")).collect();
        format!(
            "{} greeted, {} told when to come back, lost: {}; {} reports put off; {} refused for good",
            counts.greeted,
            sum(&counts.come_back),
            if lost.is_empty() { "none".to_owned() } else { lost.join(", ") },
            counts.reports_lost,
            counts.refused()
        )
    }
}
