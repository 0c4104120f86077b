//! Resident memory of a core, an agent and a launcher that run: 200 services, 50 routes, three sites of
//! which one has an agent with one Envoy.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::usage::Memory;
use super::{Args, Row, runtime, world};
use crate::fleet::{Agent, Core, Workload, XdsMode};
use crate::repo::PolicyRepo;
use crate::run::Run;

const SERVICES: usize = 200;
const ROUTES: usize = 50;
const SITES: usize = 3;
/// The site that has an agent: the first of the world's.
pub(super) const SITE: &str = "s0";
/// Commits after the first, each of one route.
const UPDATES: usize = 30;
const DEADLINE: Duration = Duration::from_secs(120);

/// Measures the processes after the first bundle, and again after some updates.
pub(super) fn measure(args: &Args) -> Result<Vec<Row>> {
    runtime()?.block_on(run(args))
}

async fn run(args: &Args) -> Result<Vec<Row>> {
    let run = Run::new(args.binaries())?;
    let mut repo = PolicyRepo::init(run.folder())?;
    write_world(&repo)?;
    let revision = repo.publish("the world")?;
    let core = start_core(&run, &repo).await?;
    let agent = start_agent(&run, &core)?;
    core.settled(&revision, &[SITE], DEADLINE).await?;
    let mut rows = rows(&core, &agent, "after its start")?;
    for version in 1..=UPDATES {
        let revision = update(&mut repo, version)?;
        core.notify().await?;
        core.settled(&revision, &[SITE], DEADLINE).await?;
    }
    rows.extend(self::rows(&core, &agent, &format!("after {UPDATES} updates"))?);
    Ok(rows)
}

pub(super) fn write_world(repo: &PolicyRepo) -> Result<()> {
    for at in 0..SERVICES {
        repo.write(&format!("services/{at}.yaml"), &world::service(at).to_string())?;
    }
    for at in 0..ROUTES {
        repo.write(&format!("routes/{at}.yaml"), &world::route(at, 0).to_string())?;
    }
    for at in 0..SITES {
        let mut site = world::site(at);
        site["spec"] = serde_json::json!({"dataPlane": {"supervision": "Agent"}});
        repo.write(&format!("sites/{at}.yaml"), &site.to_string())?;
    }
    Ok(())
}

pub(super) fn update(repo: &mut PolicyRepo, version: usize) -> Result<String> {
    repo.write("routes/3.yaml", &world::route(3, version).to_string())?;
    repo.publish("one route")
}

pub(super) async fn start_core(run: &Arc<Run>, repo: &PolicyRepo) -> Result<Core> {
    let mut core = Core::new(run, "core", &repo.url())?;
    core.start().await?;
    Ok(core)
}

fn start_agent(run: &Arc<Run>, core: &Core) -> Result<Agent> {
    let mut agent = Agent::new(run, SITE, core.address(), XdsMode::Delta)?;
    let client = Workload::new("shop", "client", run.net().address()).label("app", "client");
    agent.add(&client.sidecar(&run.net().range()))?;
    agent.start()?;
    Ok(agent)
}

fn rows(core: &Core, agent: &Agent, when: &str) -> Result<Vec<Row>> {
    let data_plane = agent.data_plane();
    let launcher = data_plane.iter().find(|process| process.program == "skerry-launcher");
    let launcher = launcher.context("the agent has a launcher")?.id;
    let processes = [
        ("core", core.id(), "≤ 40 MB"),
        ("agent", agent.id(), "≤ 15 MB"),
        ("launcher", Some(launcher), "≤ 4 MB"),
    ];
    let row = |(what, id, wanted): (&str, Option<u32>, &'static str)| {
        let memory = Memory::of(id.with_context(|| format!("the {what} runs"))?)?;
        let figure = format!("{:.1} MB", memory.resident as f64 / 1e6);
        let own = memory.own as f64 / 1e6;
        Ok(Row::new(format!("{what}, resident {when} ({own:.1} MB its own)"), figure).wanted(wanted))
    };
    processes.into_iter().map(row).collect()
}
