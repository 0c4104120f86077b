//! Two agents that claim one site: one is served, people are told which and which not, and the other one takes over when
//! the first is gone.

use std::sync::Arc;

use skerry_tests::fleet::{Agent, XdsMode};
use skerry_tests::http::Request;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Place, Source, policies, run};

const SITE: &str = "edge";

/// What an agent that is not served says.
const SENT_AWAY: &str = "two agents claim this site: another agent";

struct World {
    run: Arc<Run>,
    source: Source,
    place: Place,
    first: Agent,
}

impl World {
    /// Starts a site whose agent has these options, and waits until it serves the release `first`.
    async fn start(arguments: &[&'static str]) -> Self {
        let run = run();
        let mut source = Source::start(&run).await;
        let place = Place::with_echo(&run, SITE).await;
        let mut first = place.prepare_agent(&run, source.core.address(), XdsMode::Delta);
        first.add_arguments(arguments);
        first.start().expect("the agent can be started");
        source.repo.copy_from(&policies()).expect("the fixture is there");
        let revision = source.repo.publish("first").expect("a push");
        source.core.notify().await.expect("the core takes the notice");
        source.core.compiled(&revision, DEADLINE).await.expect("the core compiles");
        let world = Self { run, source, place, first };
        world.serves("first").await;
        let settled = async || {
            let site = world.status()?;
            anyhow::ensure!(site["state"] == "InSync", "{site}");
            Ok(())
        };
        eventually("the site is in sync", DEADLINE, settled).await.expect("it settles");
        world
    }

    /// Starts another agent of the site, on a machine of its own as it were: it has no workloads.
    fn start_second(&self, arguments: &[&'static str]) -> Agent {
        let second = Agent::named(&self.run, "twin", SITE, self.source.core.address(), XdsMode::Delta);
        let mut second = second.expect("an agent can be prepared");
        second.add_arguments(arguments);
        second.start().expect("the agent can be started");
        second
    }

    async fn release(&mut self, old: &str, new: &str) {
        let (old, text) = (format!("value: {old}"), format!("value: {new}"));
        self.source.repo.replace("echo.yaml", &old, &text).expect("the release is there");
        self.source.repo.publish(new).expect("a push");
        self.source.core.notify().await.expect("the core takes the notice");
    }

    async fn serves(&self, release: &str) {
        let service = self.place.service(1, 8080);
        let seen = async || {
            let reply = Request::get("/").send(service).await?;
            anyhow::ensure!(reply.header("x-release") == Some(release), "{:?}", reply.header("x-release"));
            Ok(())
        };
        eventually(&format!("clients see {release}"), DEADLINE, seen).await.expect("the release is served");
    }

    /// The site as `skerry status` shows it.
    fn status(&self) -> anyhow::Result<serde_json::Value> {
        let mut skerry = self.source.core.skerry()?;
        let output = skerry.args(["status", "--output", "json"]).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut view: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        Ok(view["sites"][0].take())
    }

    /// Waits until people are told of two agents.
    async fn two_are_shown(&self) -> serde_json::Value {
        let shown = async || {
            let site = self.status()?;
            anyhow::ensure!(site["problems"][0]["kind"] == "TwoAgents", "{site}");
            Ok(site)
        };
        eventually("two agents are shown", DEADLINE, shown).await.expect("they are shown")
    }
}

async fn is_sent_away(agent: &Agent) {
    let sent = async || {
        let log = agent.log();
        anyhow::ensure!(log.contains(SENT_AWAY), "{log}");
        Ok(())
    };
    eventually("the second is sent away", DEADLINE, sent).await.expect("it is told so");
}

#[tokio::test]
async fn of_two_agents_the_first_is_served_and_the_other_takes_over_when_it_is_gone() {
    let mut world = World::start(&[]).await;
    let second = world.start_second(&[]);
    is_sent_away(&second).await;

    let site = world.two_are_shown().await;
    assert_eq!((&site["connected"], &site["state"]), (&true.into(), &"InSync".into()), "{site}");
    let served = site["agent"]["boot"].clone();
    assert_ne!(site["rival"]["boot"], served, "{site}");
    world.release("first", "second").await;
    world.serves("second").await;
    assert!(!second.log().contains("a newer bundle is offered"), "{}", second.log());

    // It has 30 s to come back, and the other one asks again every half minute.
    world.first.stop().await.expect("it ends well");
    let taken_over = async || {
        let site = world.status()?;
        let state = &site["running"];
        anyhow::ensure!(site["agent"]["boot"] != served && site["state"] == "InSync", "{site}");
        anyhow::ensure!(state["workloads"] == 0, "the other agent's site has no workloads: {state}");
        Ok(())
    };
    eventually("the second is served", DEADLINE, taken_over).await.expect("it takes over");
    assert!(second.log().contains("a newer bundle is offered"), "{}", second.log());
    // The Envoys of the first go on, as ever.
    world.serves("second").await;
}

/// Pulls are fenced as streams are, whichever of the two came first.
#[tokio::test]
async fn an_agent_that_pulls_is_one_of_two_as_well() {
    const PULL: [&str; 4] = ["--link", "pull", "--pull-interval", "200ms"];
    for (first, second) in [(&PULL[..], &[][..]), (&[][..], &PULL[..])] {
        let mut world = World::start(first).await;
        let second = world.start_second(second);
        is_sent_away(&second).await;
        let site = world.two_are_shown().await;
        assert_eq!(site["agent"]["boot"].as_str().map(str::len), Some(24), "{site}");
        world.release("first", "second").await;
        world.serves("second").await;
        assert!(!second.log().contains("a newer bundle is offered"), "{}", second.log());
    }
}
