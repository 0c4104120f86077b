//! A site of a test: a client with a sidecar, backends of ours, and an agent or static Envoys in front of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use skerry_tests::fleet::{Agent, Binaries, Core, Workload, XdsMode};
use skerry_tests::http::Request;
use skerry_tests::repo::PolicyRepo;
use skerry_tests::run::Run;
use skerry_tests::sample::{Identity, Sample};
use skerry_tests::wait::eventually;

use crate::said::Said;

/// Long enough for two cores that run other tests at the same time.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A policy repository with one site, `edge`, and one service, `echo`.
pub(crate) fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/one-site")
}

/// Starts a run of a test.
pub(crate) fn run() -> Arc<Run> {
    Run::new(Binaries::of_test().expect("the programs can be looked for")).expect("a run can be started")
}

/// The workloads of one site, and the samples behind them.
#[derive(Debug)]
pub(crate) struct Place {
    /// The site's name.
    pub(crate) site: String,
    /// All workloads; the client is the first.
    pub(crate) workloads: Vec<Workload>,
    samples: Vec<Sample>,
}

impl Place {
    /// Makes a site's client, `<namespace>/client`, with a sidecar.
    pub(crate) fn new(run: &Run, site: &str, namespace: &str) -> Self {
        let client = Workload::new(namespace, "client", run.net().address()).label("app", "client");
        let client = client.sidecar(&run.net().range());
        Self { site: site.to_owned(), workloads: vec![client], samples: Vec::new() }
    }

    /// Makes a site's client and `echo`, which the client finds as the service of index 1.
    pub(crate) async fn with_echo(run: &Run, site: &str) -> Self {
        let mut place = Self::new(run, site, "shop");
        place.serve(echo(run), "echo", "v1").await;
        place
    }

    /// The same, with `echo` behind a sidecar of its own.
    pub(crate) async fn with_guarded_echo(run: &Run, site: &str) -> Self {
        let mut place = Self::new(run, site, "shop");
        place.serve(echo(run).sidecar(&run.net().range()), "echo", "v1").await;
        place
    }

    /// Adds a workload that the test itself does not serve.
    pub(crate) fn add(&mut self, workload: Workload) {
        self.workloads.push(workload);
    }

    /// Adds a workload and serves it: every port answers as this version of this app.
    pub(crate) async fn serve(&mut self, workload: Workload, app: &str, version: &str) {
        let identity = Identity::new(app, version).at(&self.site);
        let sample = Sample::start(workload.listen(), identity).await.expect("the address is free");
        self.samples.push(sample);
        self.workloads.push(workload);
    }

    /// The first workload.
    pub(crate) fn client(&self) -> &Workload {
        &self.workloads[0]
    }

    /// Where the client finds a service, by the service's index.
    pub(crate) fn service(&self, index: u8, port: u16) -> SocketAddr {
        SocketAddr::from((self.client().virtual_address(index).expect("the client has a sidecar"), port))
    }

    /// Prepares the site's agent with all its workloads, and starts it.
    pub(crate) fn start_agent(&self, run: &Arc<Run>, core: SocketAddr, mode: XdsMode) -> Agent {
        let mut agent = self.prepare_agent(run, core, mode);
        agent.start().expect("the agent can be started");
        agent
    }

    /// Prepares the site's agent with all its workloads.
    pub(crate) fn prepare_agent(&self, run: &Arc<Run>, core: SocketAddr, mode: XdsMode) -> Agent {
        let agent = Agent::new(run, &self.site, core, mode).expect("the agent's folders can be made");
        for workload in &self.workloads {
            agent.add(workload).expect("a workload's file can be written");
        }
        agent
    }
}

fn echo(run: &Run) -> Workload {
    Workload::new("shop", "echo-v1", run.net().address()).label("app", "echo")
}

/// A repository and a core that reads it.
pub(crate) struct Source {
    /// The repository.
    pub(crate) repo: PolicyRepo,
    /// The core.
    pub(crate) core: Core,
}

impl Source {
    /// Makes an empty repository and starts a core on it.
    pub(crate) async fn start(run: &Arc<Run>) -> Self {
        let mut source = Self::prepare(run);
        source.core.start().await.expect("the core starts");
        source
    }

    /// Makes a repository that knows the site `edge` and nothing else, and starts a core on it that answers people.
    pub(crate) async fn of_one_site(run: &Arc<Run>, arguments: &[&str]) -> Self {
        let Self { mut repo, core } = Self::prepare(run);
        let site = "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: edge}\n";
        repo.write("site.yaml", site).expect("a file can be written");
        repo.publish("first").expect("a push");
        let mut core = core.with_arguments(arguments);
        core.start_and_answer().await.expect("the core starts");
        Self { repo, core }
    }

    /// Makes an empty repository, and prepares a core for it.
    pub(crate) fn prepare(run: &Arc<Run>) -> Self {
        let repo = PolicyRepo::init(run.folder()).expect("a repository can be made");
        let core = Core::new(run, "core", &repo.url()).expect("the core's folders can be made");
        Self { repo, core }
    }

    /// Runs `skerry` as whoever may ask the core, in the folder of the run.
    pub(crate) fn skerry(&self, arguments: &[&str]) -> Said {
        let mut command = self.core.skerry().expect("the core has written credentials");
        Said::by(command.args(arguments))
    }

    /// Commits, pushes, tells the core; waits until these sites run what they shall run.
    pub(crate) async fn publish(&mut self, message: &str, sites: &[&str]) -> String {
        let revision = self.repo.publish(message).expect("a push");
        self.core.notify().await.expect("the core takes the notice");
        self.core.settled(&revision, sites, DEADLINE).await.expect("the sites settle");
        revision
    }
}

/// Waits until somebody answers, good or bad: an Envoy that has just started takes a moment.
pub(crate) async fn wait_for_answer(service: SocketAddr) {
    eventually("an Envoy answers", DEADLINE, async || Request::get("/").send(service).await)
        .await
        .expect("an Envoy answers");
}
