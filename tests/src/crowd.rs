//! Many simulated agents in one process: they speak the site protocol with a real core, come back by the agent's own
//! rules, and report what they run. There is no disk and no Envoy behind them.
//!
//! What they learn they check as an agent does, once for all of them where the result would be the same: that work
//! is done by other machines in a real fleet. They expect nothing; whoever starts them does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use skerry_core::id::SiteId;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fleet::Papers;
use crate::wait::eventually;

mod agent;
mod files;
mod member;
mod pool;
mod tally;

use agent::Agent;
use member::{Ground, Member};

pub use files::raise_files;
pub use tally::{Counts, Goal, Times};

/// Agents that come from one address. A connection needs a port of it, of which Linux gives out 28,232 by itself
/// (`net.ipv4.ip_local_port_range`), and those that have hung up have theirs for another minute.
pub const AGENTS_OF_ADDRESS: usize = 10_000;

/// When agents start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// All in the same moment.
    AtOnce,
    /// One after the other, evenly over this time.
    Over(Duration),
}

/// Agents of the sites of one fleet.
#[derive(Debug)]
pub struct Crowd {
    ground: Arc<Ground>,
    /// Those that do not run; they keep what they have.
    at_rest: Vec<Member>,
    running: JoinSet<Member>,
    leave: CancellationToken,
}

impl Crowd {
    /// Prepares an agent for each site. None has started yet, and none has a bundle. They come from these addresses,
    /// [`AGENTS_OF_ADDRESS`] from each; the last one takes those that remain, and without any the kernel chooses.
    pub fn new(
        core: SocketAddr,
        addresses: Vec<IpAddr>,
        papers: &Papers,
        sites: impl IntoIterator<Item = SiteId>,
    ) -> Result<Self> {
        let agents: Vec<Agent> =
            sites.into_iter().enumerate().map(|(at, site)| Agent::new(site, at)).collect();
        let ground = Arc::new(Ground::new(core, addresses, agents.len()));
        let member = |(at, agent): (usize, Agent)| {
            let tls = papers.tls(agent.site())?;
            Ok(Member::new(agent, at, tls, Arc::clone(&ground)))
        };
        let at_rest = agents.into_iter().enumerate().map(member).collect::<Result<_>>()?;
        Ok(Self { ground, at_rest, running: JoinSet::new(), leave: CancellationToken::new() })
    }

    /// Starts all agents that do not run.
    pub fn arrive(&mut self, arrival: Arrival) {
        let count = u32::try_from(self.at_rest.len().max(1)).unwrap_or(u32::MAX);
        for (at, member) in (0..).zip(self.at_rest.drain(..)) {
            let after = match arrival {
                Arrival::AtOnce => Duration::ZERO,
                Arrival::Over(time) => time * at / count,
            };
            self.running.spawn(member.run(after, self.leave.clone()));
        }
    }

    /// Stops all agents; they hang up and keep what they have.
    pub async fn leave(&mut self) -> Result<()> {
        self.leave.cancel();
        while let Some(member) = self.running.join_next().await {
            self.at_rest.push(member.context("a simulated agent panicked")?);
        }
        self.leave = CancellationToken::new();
        Ok(())
    }

    /// Waits until every agent has reached a goal; returns how long that took each, counted from `start` or, if that
    /// was later, from its own start.
    pub async fn reach(&self, goal: &Goal, start: Instant, deadline: Duration) -> Result<Times> {
        eventually(&format!("all agents {goal}"), deadline, async || {
            let (tally, all) = (&self.ground.tally, self.running.len());
            let late = tally.late(goal, start);
            anyhow::ensure!(late == 0, "{late} of {all} are not; {}", tally.counts());
            Ok(())
        })
        .await?;
        Ok(self.ground.tally.times(goal, start))
    }

    /// What has happened to all agents since they were made.
    pub fn counts(&self) -> Counts {
        self.ground.tally.counts()
    }
}
