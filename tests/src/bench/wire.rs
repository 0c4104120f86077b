//! Bytes on the link: what one site and the core exchange, counted at the loopback interface of a network
//! namespace that carries nothing else. Only root can make one.
//!
//! The core finds commits by looking (its repository is a folder), and what the agent does is read off its
//! own files, so that no byte is ours but those of the link.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::footprint::{start_core, update, write_world};
use super::{Args, Row};
use crate::fleet::{Agent, Core, Workload, XdsMode};
use crate::link::{Link, Traffic};
use crate::netns::{Carried, LOOPBACK, Netns};
use crate::repo::PolicyRepo;
use crate::run::Run;
use crate::wait::eventually;

/// The site that is looked at.
const SITE: &str = "s0";
/// Longer than changes are gathered for a report, and longer than TCP waits with an acknowledgement.
const QUIET: Duration = Duration::from_secs(3);
/// How long the link is away: pauses have grown to several seconds then, so that only an event ends one soon.
const AWAY: Duration = Duration::from_secs(12);
/// What a long link adds to each byte, each way: that of a satellite.
const ONE_WAY: Duration = Duration::from_millis(300);
/// How long the site may take to apply.
const DEADLINE: Duration = Duration::from_secs(60);
/// Changes of one route: the median of them counts.
const CHANGES: usize = 9;
/// Lost connections: the median of them counts.
const RETURNS: usize = 5;

/// Measures the first bundle, changes of one route, and returns of the link with nothing changed.
pub(super) fn measure(args: &Args) -> Result<Vec<Row>> {
    let netns = match Netns::new() {
        Ok(netns) => netns,
        Err(error) => return Ok(vec![Row::new("not measured", format!("{error:#}"))]),
    };
    let mut rows = netns.block_on(|| changes(args, &netns))??;
    rows.extend(netns.block_on(|| returns(args, &netns))??);
    Ok(rows)
}

/// A core with its repository, and one agent with one Envoy.
struct World {
    repo: PolicyRepo,
    /// Held for its life.
    _core: Core,
    agent: Agent,
    link: Option<Link>,
}

impl World {
    async fn start(args: &Args, is_linked: bool) -> Result<(Arc<Run>, Self, String)> {
        let run = Run::new(args.binaries())?;
        let mut repo = PolicyRepo::init(run.folder())?;
        write_world(&repo)?;
        let revision = repo.publish("the world")?;
        let core = start_core(&run, &repo).await?;
        let link =
            if is_linked { Some(Link::start(run.net().socket(7610), core.address()).await?) } else { None };
        let address = link.as_ref().map_or(core.address(), Link::address);
        let agent = Agent::new(&run, SITE, address, XdsMode::Delta)?;
        let client = Workload::new("shop", "client", run.net().address()).label("app", "client");
        agent.add(&client.sidecar(&run.net().range()))?;
        Ok((run, Self { repo, _core: core, agent, link }, revision))
    }

    /// Waits until the agent says that it runs a revision, and until nobody has anything to say.
    async fn settle(&self, revision: &str) -> Result<()> {
        let status = self.agent.data().join("status.json");
        eventually("the site runs the revision", DEADLINE, async || must_run(&status, revision)).await?;
        tokio::time::sleep(QUIET).await;
        Ok(())
    }
}

fn must_run(status: &Path, revision: &str) -> Result<()> {
    let text = fs_err::read_to_string(status)?;
    ensure!(text.contains(revision), "{text}");
    Ok(())
}

async fn changes(args: &Args, netns: &Netns) -> Result<Vec<Row>> {
    let (_run, mut world, revision) = World::start(args, false).await?;
    let before = netns.carried(LOOPBACK)?;
    world.agent.start()?;
    world.settle(&revision).await?;
    let first = netns.carried(LOOPBACK)?.since(before);
    let mut changed = Vec::new();
    for version in 1..=CHANGES {
        let before = netns.carried(LOOPBACK)?;
        let revision = update(&mut world.repo, version)?;
        world.settle(&revision).await?;
        changed.push(netns.carried(LOOPBACK)?.since(before));
    }
    changed.sort_by_key(|carried| carried.bytes);
    let figure = |carried: Carried| format!("{} B in {} packets", carried.bytes, carried.packets);
    Ok(vec![
        Row::new("first bundle, 200 services and 50 routes, on the wire both ways", figure(first)),
        Row::new("one route changed, on the wire both ways", figure(changed[CHANGES / 2])).wanted("≤ 700 B"),
    ])
}

async fn returns(args: &Args, netns: &Netns) -> Result<Vec<Row>> {
    let (_run, mut world, revision) = World::start(args, true).await?;
    world.agent.start()?;
    world.settle(&revision).await?;
    let mut seen: Vec<(Traffic, Duration)> = Vec::new();
    for _ in 0..RETURNS {
        seen.push(world.come_back(async || Ok(())).await?);
    }
    let mut told = Vec::new();
    for _ in 0..RETURNS {
        let event = async || {
            netns.ip(&["link", "set", LOOPBACK, "down"])?;
            netns.ip(&["link", "set", LOOPBACK, "up"])
        };
        told.push(world.come_back(event).await?.1);
    }
    let trips = world.round_trips().await?;
    seen.sort_by_key(|(traffic, _)| traffic.bytes());
    told.sort();
    let (traffic, _) = seen[RETURNS / 2];
    let slowest = seen.iter().map(|(_, took)| *took).max().unwrap_or_default();
    let figure = format!("{} B up, {} B down", traffic.up, traffic.down);
    let times = format!("{:.1?} ({:.1?} to {:.1?})", told[RETURNS / 2], told[0], told[RETURNS - 1]);
    Ok(vec![
        Row::new("link back, nothing changed: payload of TCP, handshake and all", figure),
        Row::new("link back, nothing changed: round trips from connected to the core's word", trips)
            .wanted("2: the handshake's and one"),
        Row::new(
            format!("link back with a link event to connected, median of {RETURNS} (least to most)"),
            times,
        )
        .wanted("≤ 2 s"),
        Row::new(
            format!("link back to connected, without a link event, slowest of {RETURNS}"),
            format!("{slowest:.1?}"),
        )
        .wanted("≤ 30 s"),
    ])
}

impl World {
    /// Cuts the link until the agent has come to a long pause, brings it back, and says what it took.
    async fn come_back(&mut self, event: impl AsyncFnOnce() -> Result<()>) -> Result<(Traffic, Duration)> {
        let link = self.link.as_mut().context("there is a link")?;
        link.cut().await;
        tokio::time::sleep(AWAY).await;
        let before = link.traffic();
        link.restore().await;
        event().await?;
        let back = std::time::Instant::now();
        eventually("the agent is back", DEADLINE, async || {
            ensure!(link.traffic().since(before).down > 0, "nothing came down yet");
            Ok(())
        })
        .await?;
        let took = link.connected_at().map_or(Duration::ZERO, |at| at.saturating_duration_since(back));
        tokio::time::sleep(QUIET).await;
        Ok((link.traffic().since(before), took))
    }

    /// Says how many round trips of a long link it takes until the agent hears the core.
    async fn round_trips(&mut self) -> Result<String> {
        let link = self.link.as_mut().context("there is a link")?;
        link.cut().await;
        let answers = |agent: &Agent| agent.log().matches("the core answers").count();
        let before = answers(&self.agent);
        link.set_delay(ONE_WAY);
        link.restore().await;
        eventually("the agent hears the core", DEADLINE, async || {
            ensure!(answers(&self.agent) > before, "it does not");
            Ok(())
        })
        .await?;
        let since = link.connected_at().context("it was connected")?.elapsed();
        Ok(format!("{:.1}", since.as_secs_f64() / (2.0 * ONE_WAY.as_secs_f64())))
    }
}
