//! One site of the demo: its link, its agent, its three workloads, and a client's view of them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use super::stage::DEADLINE;
use crate::fleet::{Agent, Core, Workload, XdsMode};
use crate::http::{Reply, Request};
use crate::link::Link;
use crate::process::Process;
use crate::run::Run;
use crate::sample::Echo;
use crate::wait::eventually;

/// The namespace of everything in the demo.
const NAMESPACE: &str = "shop";
/// The port of every service: high, so that anybody may listen on it.
const SERVICE_PORT: u16 = 8080;
/// The index of `checkout`: indexes are given in the order of names, and it is the first service.
const CHECKOUT_INDEX: u8 = 1;

/// What a client learns from one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The version of `checkout` that answered.
    pub version: String,
    /// The release of the policy, from the header that the route sets.
    pub release: String,
    /// The how many-th try it was.
    pub attempt: u64,
}

/// One site.
#[derive(Debug)]
pub(super) struct Site {
    pub name: String,
    pub agent: Agent,
    pub link: Link,
    /// Where the `frontend` of this site finds `checkout`.
    pub checkout: SocketAddr,
    _samples: Vec<Process>,
}

impl Site {
    /// Starts the site's workloads and its agent, with a link of its own to the core.
    pub(super) async fn set_up(run: &Arc<Run>, core: &Core, name: &str) -> Result<Self> {
        let link = Link::start(run.net().socket(7600), core.address()).await?;
        let mut agent = Agent::new(run, name, link.address(), XdsMode::Delta)?;
        let frontend = workload(run, "frontend", "frontend").sidecar(&run.net().range());
        let v1 = workload(run, "checkout-v1", "checkout").label("version", "v1").sidecar(&run.net().range());
        let v2 = workload(run, "checkout-v2", "checkout").label("version", "v2");
        let checkout = frontend.virtual_address(CHECKOUT_INDEX).context("the frontend has a sidecar")?;
        let mut samples = Vec::new();
        for (workload, version) in [(&frontend, "v1"), (&v1, "v1"), (&v2, "v2")] {
            agent.add(workload)?;
            samples.push(start_sample(run, name, workload, version)?);
        }
        agent.start()?;
        let checkout = SocketAddr::from((checkout, SERVICE_PORT));
        Ok(Self { name: name.to_owned(), agent, link, checkout, _samples: samples })
    }

    /// Sends one request as the site's `frontend` does: to `checkout`, by its own Envoy.
    pub(super) async fn ask(&self, target: &str) -> Result<Answer> {
        ask(self.checkout, target).await.with_context(|| format!("a client at {}", self.name))
    }

    /// Waits until an answer is as wanted.
    pub(super) async fn wait_for(&self, what: &str, wanted: impl Fn(&Answer) -> bool) -> Result<()> {
        eventually(&format!("{} at {}", what, self.name), DEADLINE, async || {
            let answer = self.ask("/").await?;
            ensure!(wanted(&answer), "the last answer was {answer:?}");
            Ok(())
        })
        .await
    }

    /// Waits until clients see this release of the policy.
    pub(super) async fn wait_for_release(&self, release: &str) -> Result<()> {
        self.wait_for(&format!("release `{release}`"), |answer| answer.release == release).await
    }

    /// Counts who answers so many requests.
    pub(super) async fn split(&self, requests: u32) -> Result<BTreeMap<String, u32>> {
        let mut versions = BTreeMap::new();
        for _ in 0..requests {
            *versions.entry(self.ask("/").await?.version).or_default() += 1;
        }
        Ok(versions)
    }

    /// The folder of the agent's workload files.
    pub(super) fn workloads(&self) -> PathBuf {
        self.agent.workloads().to_owned()
    }
}

/// Sends one request to `checkout` and reads the answer.
pub(super) async fn ask(checkout: SocketAddr, target: &str) -> Result<Answer> {
    let reply = Request::get(target).send(checkout).await?;
    ensure!(reply.status.is_success(), "the answer was {}: {}", reply.status, reply.text().trim_end());
    to_answer(&reply)
}

fn to_answer(reply: &Reply) -> Result<Answer> {
    let echo: Echo = reply.json()?;
    let release = reply.header("x-release").unwrap_or_default().to_owned();
    Ok(Answer { version: echo.identity.version, release, attempt: echo.attempt })
}

fn workload(run: &Run, name: &str, app: &str) -> Workload {
    let address: Ipv4Addr = run.net().address();
    Workload::new(NAMESPACE, name, address).label("app", app)
}

fn start_sample(run: &Run, site: &str, workload: &Workload, version: &str) -> Result<Process> {
    let mut command = Command::new(run.binaries().ours("skerry-sample")?);
    command.arg("--listen").arg(workload.listen().to_string());
    command.args(["--name", &workload.name, "--version", version, "--site", site]);
    run.spawn(&format!("{site}-{}", workload.name), &mut command)
}
