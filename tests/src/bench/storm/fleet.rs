//! A real core with a policy repository, and a crowd of simulated agents.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use skerry_core::id::SiteId;

use super::super::usage::processor_time;
use super::super::{Args, world};
use crate::crowd::{AGENTS_OF_ADDRESS, Counts, Crowd, Goal, Times};
use crate::fleet::{Core, FleetView};
use crate::repo::PolicyRepo;
use crate::run::Run;
use crate::wait::eventually;

/// How long anything may take: far above every target, so that what misses one is measured too, also with 100,000.
const DEADLINE: Duration = Duration::from_secs(1_800);

/// Sites in one file.
const SITES_IN_FILE: usize = 100;

/// The core's usual interval: what is pushed it is told of.
const INTERVAL: &str = "60s";

/// A core, its repository, and its agents.
pub(super) struct Fleet {
    sites: usize,
    changes: usize,
    repo: PolicyRepo,
    pub(super) core: Core,
    pub(super) crowd: Crowd,
    /// Last, so that it outlives what it holds.
    _run: Arc<Run>,
}

/// What is to be compared with later.
#[derive(Debug)]
pub(super) struct Seen {
    core: u32,
    processor: Duration,
    counts: Counts,
}

/// How a storm went.
#[derive(Debug)]
pub(super) struct Storm {
    pub(super) times: Times,
    /// What the core used; after a restart all that it has used since.
    pub(super) processor: Duration,
    pub(super) counts: Counts,
}

impl Fleet {
    /// Starts a core with the world's policies and without sites.
    pub(super) async fn start(args: &Args, sites: usize) -> Result<Self> {
        let run = Run::new(args.binaries())?;
        let mut repo = PolicyRepo::init(run.folder())?;
        for (at, value) in world::policies().enumerate() {
            repo.write(&format!("policies/{at}.yaml"), &value.to_string())?;
        }
        let revision = repo.publish("policies")?;
        let core = Core::that_looks_every(INTERVAL, &run, "core", &repo.url())?;
        let mut core = core.with_room_for(sites);
        let names: Result<Vec<SiteId>, _> = (0..sites).map(|at| SiteId::new(format!("s{at}"))).collect();
        let names = names?;
        let papers = core.enrol(names.iter().cloned())?;
        core.start().await?;
        let addresses = (0..sites.div_ceil(AGENTS_OF_ADDRESS)).map(|_| run.net().address().into());
        let crowd = Crowd::new(core.address(), addresses.collect(), &papers, names)?;
        let fleet = Self { sites, changes: 0, repo, core, crowd, _run: run };
        fleet.compiled(&revision).await?;
        Ok(fleet)
    }

    /// Commits all sites and waits until the core has compiled that.
    pub(super) async fn add_sites(&mut self) -> Result<String> {
        for first in (0..self.sites).step_by(SITES_IN_FILE) {
            let last = self.sites.min(first + SITES_IN_FILE);
            let sites: Vec<String> = (first..last).map(|at| world::site(at).to_string()).collect();
            self.repo.write(&format!("sites/{first}.yaml"), &sites.join("\n---\n"))?;
        }
        let revision = self.repo.publish("sites")?;
        self.core.notify().await?;
        self.compiled(&revision).await?;
        Ok(revision)
    }

    /// Changes a route that every site has.
    pub(super) fn change_route(&mut self) -> Result<String> {
        self.changes += 1;
        self.repo.write("policies/203.yaml", &world::route(3, self.changes).to_string())?;
        self.repo.publish("one route")
    }

    /// Waits until the core has compiled a revision; asks for little meanwhile.
    pub(super) async fn compiled(&self, revision: &str) -> Result<()> {
        eventually("the core has compiled the revision", DEADLINE, async || {
            let seen = FleetView::ask_for(1, self.core.address()).await?;
            let source = seen.source();
            ensure!(source.revision == revision, "it is at `{}`; {}", source.revision, source.error);
            Ok(())
        })
        .await
    }

    /// The core's process.
    pub(super) fn core_id(&self) -> Result<u32> {
        self.core.id().context("the core runs")
    }

    /// Looks at what a storm is compared with.
    pub(super) fn look(&self) -> Result<Seen> {
        let core = self.core_id()?;
        Ok(Seen { core, processor: processor_time(core)?, counts: self.crowd.counts() })
    }

    /// Waits for the end of a storm, and that the core sees its sites as they see themselves.
    pub(super) async fn storm(&self, before: Seen, goal: &Goal, start: Instant) -> Result<Storm> {
        let times = self.crowd.reach(goal, start, DEADLINE).await?;
        let core = self.core_id()?;
        let processor = processor_time(core)?;
        let used = if core == before.core { processor - before.processor } else { processor };
        let counts = self.crowd.counts().since(&before.counts);
        ensure!(counts.faults.is_empty(), "the core said what no core may say: {counts}");
        eventually("the core sees that all are current", DEADLINE, async || {
            FleetView::ask_all(self.core.address()).await?.must_all_be_current(self.sites)
        })
        .await?;
        Ok(Storm { times, processor: used, counts })
    }
}
