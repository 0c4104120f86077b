//! Once at every step, with a real Envoy that somebody asks all the time.

use std::sync::Arc;
use std::time::Duration;

use skerry_agent::step::STEPS as AGENT_STEPS;
use skerry_controller::step::STEPS as CORE_STEPS;
use skerry_tests::fleet::{Agent, Doom, XdsMode};
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use super::ledger::Ledger;
use crate::asker::Asker;
use crate::filler;
use crate::place::{DEADLINE, Place, Source, policies, run};
use crate::refused::{picky_envoy, route_that_is_refused};

const SITE: &str = "edge";

/// Routes besides the one that is asked: so many that an offer of all of them is larger than what rides in it.
const FILLERS: usize = 20;

/// So many that they are kept in batches while they arrive.
const MANY_FILLERS: usize = 160;

/// A core, a site with a real Envoy, and what is known of them.
struct World {
    _run: Arc<Run>,
    source: Source,
    place: Place,
    agent: Agent,
    ledger: Ledger,
    commits: u32,
}

impl World {
    async fn start() -> Self {
        let run = run();
        let source = Source::start(&run).await;
        let place = Place::with_echo(&run, SITE).await;
        let mut agent = place.prepare_agent(&run, source.core.address(), XdsMode::Delta);
        agent.set_envoy(picky_envoy(&run));
        agent.start().expect("the agent starts");
        source.repo.copy_from(&policies()).expect("the fixture is there");
        let mut world = Self { _run: run, source, place, agent, ledger: Ledger::default(), commits: 0 };
        world.commit().await;
        world.settle().await;
        assert!(world.ledger.knows_what_ran(), "{}", world.agent.log());
        world
    }

    /// Changes every filler.
    async fn commit(&mut self) {
        self.commit_fillers(FILLERS).await;
    }

    async fn commit_fillers(&mut self, fillers: usize) {
        self.commits += 1;
        for at in 0..fillers {
            let noise = filler::noise(u64::from(self.commits) * 1_000 + at as u64);
            let filler = filler::service_with_route(at, &noise);
            self.source.repo.write(&format!("fillers/{at}.yaml"), &filler).expect("a file can be written");
        }
        self.push().await;
    }

    async fn push(&mut self) {
        let revision = self.source.repo.publish("a commit").expect("a push");
        self.ledger.push(revision);
        // A core that is down, or about to be, reads its source when it is back.
        let _ = self.source.core.notify().await;
    }

    /// Waits until the site runs the newest revision, and looks whether all is there that was.
    async fn settle(&mut self) {
        let newest = self.ledger.newest().to_owned();
        self.source.core.settled(&newest, &[SITE], DEADLINE).await.expect("the site settles");
        let (ledger, agent) = (&mut self.ledger, &self.agent);
        let checked = eventually("the reports have come", DEADLINE, async || {
            ledger.note_ran(agent);
            ledger.check_core(&self.source.core, SITE).await?;
            ledger.check_applied()
        });
        checked.await.expect("nothing is lost");
    }

    /// Starts the agent again, to die at a step.
    async fn doom_agent(&mut self, step: &'static str) {
        self.agent.stop().await.expect("the agent ends");
        self.agent.start_doomed(&Doom::at(step)).expect("the victim starts");
    }

    /// Waits until the agent has died at its step; looks at what it left.
    async fn agent_dies(&mut self, step: &'static str) {
        let agent = &mut self.agent;
        let died = eventually("the agent dies", DEADLINE, async || {
            anyhow::ensure!(agent.was_killed()?, "it lives");
            Ok(())
        });
        died.await.unwrap_or_else(|error| panic!("`{step}` was never taken: {error:#}\n{}", agent.log()));
        self.ledger.check_agent(&self.agent);
    }

    async fn core_dies(&mut self, step: &'static str) {
        let core = &mut self.source.core;
        let died = eventually("the core dies", DEADLINE, async || {
            anyhow::ensure!(core.was_killed()?, "it lives");
            Ok(())
        });
        died.await.unwrap_or_else(|error| panic!("`{step}` was never taken: {error:#}\n{}", core.log()));
    }

    /// Waits until the agent that runs now has its Envoy back: one that is not connected is not waited for.
    async fn proxy_is_back(&self) {
        let back = eventually("the Envoy is back", DEADLINE, async || {
            let status: serde_json::Value =
                serde_json::from_slice(&fs_err::read(self.agent.data().join("status.json"))?)?;
            anyhow::ensure!(status["proxies"][0]["phase"] == "ready", "{status}");
            Ok(())
        });
        back.await.expect("it comes back");
    }

    async fn commit_what_envoy_refuses(&mut self) {
        self.source.repo.write("refused.yaml", &route_that_is_refused()).expect("a file can be written");
        self.push().await;
    }
}

#[tokio::test]
async fn invariant_4_the_agent_is_killed_at_every_step_of_an_apply_and_a_spool() {
    let mut world = World::start().await;
    let asker = Asker::start(world.place.service(1, 8080));
    for (step, _) in AGENT_STEPS {
        match step {
            "agent.apply.resumed" => {
                world.doom_agent("agent.apply.candidate-stored").await;
                world.commit().await;
                world.agent_dies(step).await;
                world.agent.start_doomed(&Doom::at(step)).expect("the victim starts");
            }
            "agent.apply.fragments-staged" => {
                world.doom_agent(step).await;
                world.commit_fillers(MANY_FILLERS).await;
            }
            // See below.
            "agent.apply.condemned" | "agent.apply.rolled-back" => continue,
            _ => {
                world.doom_agent(step).await;
                world.commit().await;
            }
        }
        world.agent_dies(step).await;
        world.agent.start().expect("the agent starts again");
        world.settle().await;
    }
    assert_eq!(world.ledger.refused(), [] as [String; 0], "nothing was refused");
    asker.stop().await;
}

#[tokio::test]
async fn invariant_4_the_agent_is_killed_while_it_goes_back() {
    for step in ["agent.apply.condemned", "agent.apply.rolled-back"] {
        let mut world = World::start().await;
        let asker = Asker::start(world.place.service(1, 8080));
        fs_err::remove_file(world.agent.data().join("status.json")).expect("it has written its state");
        world.doom_agent(step).await;
        world.proxy_is_back().await;
        world.commit_what_envoy_refuses().await;
        world.agent_dies(step).await;
        world.agent.start().expect("the agent starts again");
        let (core, ledger) = (&world.source.core, &mut world.ledger);
        let told = eventually("the site says that it went back", DEADLINE, async || {
            ledger.check_core(core, SITE).await?;
            anyhow::ensure!(ledger.refused().len() == 1, "{:?}", ledger.refused());
            Ok(())
        });
        told.await.expect("once");
        world.source.repo.remove("refused.yaml").expect("the file is there");
        world.commit().await;
        world.settle().await;
        asker.stop().await;
    }
}

#[tokio::test]
async fn invariant_4_the_core_is_killed_at_every_step_of_a_commit_and_a_report() {
    let mut world = World::start().await;
    let asker = Asker::start(world.place.service(1, 8080));
    for (step, _) in CORE_STEPS {
        world.source.core.stop().await.expect("the core ends");
        // At its start a core compiles what is in force: that is the first time for some steps.
        let nth = if step.starts_with("core.commit") && !step.ends_with("fetched") && !step.ends_with("read")
        {
            2
        } else {
            1
        };
        world.source.core.start_doomed(&Doom { step, nth }).expect("the victim starts");
        world.commit().await;
        world.core_dies(step).await;
        world.source.core.start().await.expect("the core starts again");
        world.settle().await;
    }
    assert_eq!(world.ledger.refused(), [] as [String; 0], "nothing was refused");
    asker.stop().await;
    tokio::time::timeout(Duration::from_secs(60), world.agent.stop())
        .await
        .expect("in time")
        .expect("it ends");
    world.ledger.check_agent(&world.agent);
}
