//! Time passes and clocks are wrong: a real core, agents and Envoys, whose clocks the tests move.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use skerry_tests::clock::Clocks;
use skerry_tests::fleet::{Agent, Core, Workload, XdsMode, skerry};
use skerry_tests::http::Request;
use skerry_tests::repo::PolicyRepo;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Place, Source};

mod budget;
mod step;
mod wrong;

const HOUR: Duration = Duration::from_secs(3_600);

/// Ten years in seconds, less leap days.
const TEN_YEARS: i64 = 3_650 * 86_400;

/// The services of the fixture, by name; their order is that of their virtual addresses.
const SERVICES: [&str; 3] = ["echo", "lenient", "web"];

const PORT: u16 = 8_080;

/// What an agent logs when it has noticed that its clocks moved.
const MOVED: &str = "the clocks moved";

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/clocks")
}

/// Starts a core with clocks of its own, and commits the fixture.
async fn core(run: &Arc<Run>) -> (Source, Clocks) {
    let clocks = Clocks::new(run, "core").expect("clocks can be made");
    let repo = PolicyRepo::init(run.folder()).expect("a repository can be made");
    let core = Core::new(run, "core", &repo.url()).expect("the core's folders can be made");
    let mut core =
        clocks.variables().into_iter().fold(core, |core, (name, value)| core.with_variable(name, value));
    core.start().await.expect("the core starts");
    let mut source = Source { repo, core };
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.publish("first", &[]).await;
    (source, clocks)
}

/// A site whose clocks are moved: a client, and servers behind proxies of their own.
struct Site {
    run: Arc<Run>,
    core: SocketAddr,
    place: Place,
    agent: Agent,
    clocks: Clocks,
}

impl Site {
    /// Prepares a site with some of the services.
    async fn prepare(run: &Arc<Run>, core: &Core, link: SocketAddr, name: &str, services: &[&str]) -> Self {
        let mut place = Place::new(run, name, "shop");
        for service in services {
            let workload = Workload::new("shop", service, run.net().address()).label("app", service);
            place.serve(workload.sidecar(&run.net().range()), service, "v1").await;
        }
        let mut agent = place.prepare_agent(run, link, XdsMode::Delta);
        let clocks = Clocks::new(run, name).expect("clocks can be made");
        agent.set_clocks(&clocks);
        Self { run: Arc::clone(run), core: core.address(), place, agent, clocks }
    }

    /// Where its client finds a service.
    fn service(&self, name: &str) -> SocketAddr {
        let index = SERVICES.iter().position(|service| *service == name).expect("the fixture has it");
        self.place.service(u8::try_from(index + 1).expect("there are three"), PORT)
    }

    fn workload(&self, name: &str) -> &Workload {
        self.place.workloads.iter().find(|workload| workload.name == name).expect("the site has it")
    }

    /// Where the proxy of a server takes calls.
    fn inbound(&self, name: &str) -> SocketAddr {
        self.workload(name).inbound().expect("it has a proxy")
    }

    /// Waits until a call is answered.
    async fn answers(&self, name: &str) {
        let service = self.service(name);
        let answered = async || {
            let reply = Request::get("/").send(service).await?;
            anyhow::ensure!(
                reply.status.is_success(),
                "{}: {}\n{}",
                reply.status,
                reply.text(),
                self.agent.log()
            );
            Ok(())
        };
        let what = format!("{name} answers at {}", self.place.site);
        eventually(&what, DEADLINE, answered).await.expect("it is served");
    }

    /// Waits until a call by mutual TLS is answered, and one in plain text is cut off.
    async fn is_strict(&self, name: &str) {
        self.answers(name).await;
        let shut = async || {
            let reply = Request::get("/").send(self.inbound(name)).await;
            anyhow::ensure!(reply.is_err(), "plain text is taken: {reply:?}");
            Ok(())
        };
        eventually(&format!("{name} takes mutual TLS alone"), DEADLINE, shut).await.expect("it is shut");
        self.answers(name).await;
    }

    /// Lets the clocks move, and waits until the agent has noticed.
    async fn moves(&self, change: impl FnOnce(&Clocks) -> anyhow::Result<()>) {
        let before = self.agent.log().matches(MOVED).count();
        change(&self.clocks).expect("the clocks can be moved");
        self.logs(MOVED, before + 1).await;
    }

    /// Waits until the agent has logged something so many times.
    async fn logs(&self, words: &str, times: usize) {
        let logged = async || {
            let log = self.agent.log();
            anyhow::ensure!(log.matches(words).count() >= times, "{log}");
            Ok(())
        };
        eventually(&format!("the agent says `{words}`"), DEADLINE, logged).await.expect("it is logged");
    }

    /// Waits until the agent shows a problem that has these words, to who looks at the box.
    async fn shows(&self, words: &str) {
        let shown = async || {
            let view = self.agent.show()?;
            let problems = &view["lastState"]["workloadProblems"];
            anyhow::ensure!(problems.to_string().contains(words), "{view:#}");
            Ok(())
        };
        eventually(&format!("the box shows `{words}`"), DEADLINE, shown).await.expect("it is shown");
    }

    /// Waits until the core shows a problem of the site that has these words, in both views.
    async fn is_shown_with(&self, words: &str) {
        let describe = ["site", "describe", self.agent.site()];
        let shown = async || {
            for arguments in [describe.as_slice(), &["status"]] {
                let output = skerry(&self.run, self.core)?.args(arguments).output()?;
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                anyhow::ensure!(text.contains(words), "{text}");
            }
            Ok(())
        };
        let what = format!("the core shows `{words}` of {}", self.agent.site());
        eventually(&what, DEADLINE, shown).await.expect("it is shown");
    }
}
