//! Many kills at random, without Envoy: each world has a seed, and kills its agent and its core over and over.
//!
//! `SKERRY_KILLS` says how many kills there are, `SKERRY_SEED` with which seed to begin: a world that failed
//! prints its own. Choices follow from the seed; when what happens does not.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use skerry_agent::step::STEPS as AGENT_STEPS;
use skerry_controller::step::STEPS as CORE_STEPS;
use skerry_tests::fleet::{Agent, Binaries, Core, Doom, XdsMode};
use skerry_tests::repo::PolicyRepo;
use skerry_tests::run::Run;

use super::ledger::Ledger;
use crate::filler;
use crate::place::DEADLINE;

const SITE: &str = "edge";

/// Kills of one world, and so of one seed.
const KILLS: u64 = 25;
/// Kills where nobody asks for more.
const DEFAULT_KILLS: u64 = 100;
/// Worlds at a time: they wait most of the time, for a pause before the next try or for the disk.
const WORLDS: usize = 12;
/// Commits without a death, after which somebody is killed wherever it is.
const PATIENCE: u32 = 3;
/// Deaths of the agent without a settled commit between them: one more, and it takes the bundle for the cause.
const DEATHS: u32 = 2;

/// Agent steps that need a proxy, or a larger bundle.
const NOT_HERE: [&str; 3] =
    ["agent.apply.fragments-staged", "agent.apply.condemned", "agent.apply.rolled-back"];

/// Between two looks for a death.
const PAUSE: Duration = Duration::from_millis(20);

struct World {
    random: StdRng,
    repo: PolicyRepo,
    core: Core,
    agent: Agent,
    ledger: Ledger,
    kills: u64,
    /// Deaths of the agent since the last commit that settled.
    deaths: u32,
    /// What both were started to die at.
    dooms: (Option<Doom>, Option<Doom>),
    _run: Arc<Run>,
}

impl World {
    async fn start(seed: u64) -> Result<Self> {
        let run = Run::new(Binaries::of_test()?)?;
        let repo = PolicyRepo::init(run.folder())?;
        repo.write("site.yaml", "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: edge}\n")?;
        let core = Core::new(&run, "core", &repo.url())?;
        let agent = Agent::new(&run, SITE, core.address(), XdsMode::Delta)?;
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            repo,
            core,
            agent,
            ledger: Ledger::default(),
            kills: 0,
            deaths: 0,
            dooms: (None, None),
            _run: run,
        };
        // A box is enrolled by people, who look at it: nobody dies meanwhile.
        world.commit()?;
        world.core.start_unwatched()?;
        world.agent.enrol()?;
        world.core.kill().await?;
        world.commit()?;
        world.start_core()?;
        world.start_agent()?;
        Ok(world)
    }

    /// One filler or all of them.
    fn commit(&mut self) -> Result<()> {
        let fillers = if self.random.random_bool(0.3) { 20 } else { 1 };
        for at in 0..fillers {
            let text = filler::noise(self.random.random());
            self.repo.write(&format!("filler-{at}.yaml"), &filler::service_with_route(at, &text))?;
        }
        let revision = self.repo.publish("a commit")?;
        self.ledger.push(revision);
        Ok(())
    }

    fn start_agent(&mut self) -> Result<()> {
        let steps: Vec<_> = AGENT_STEPS.iter().filter(|(step, _)| !NOT_HERE.contains(step)).collect();
        let doom = (self.deaths < DEATHS && self.kills < KILLS).then(|| self.draw(&steps));
        match &doom {
            Some(doom) => self.agent.start_doomed(doom)?,
            None => self.agent.start()?,
        }
        self.dooms.0 = doom;
        Ok(())
    }

    fn start_core(&mut self) -> Result<()> {
        let doom = (self.kills < KILLS && self.random.random_bool(0.7))
            .then(|| self.draw(&CORE_STEPS.iter().collect::<Vec<_>>()));
        match &doom {
            Some(doom) => self.core.start_doomed(doom)?,
            None => self.core.start_unwatched()?,
        }
        self.dooms.1 = doom;
        Ok(())
    }

    fn draw(&mut self, steps: &[&(&'static str, &'static str)]) -> Doom {
        let (step, _) = steps.choose(&mut self.random).expect("there are steps");
        Doom { step, nth: self.random.random_range(1..=3) }
    }

    /// Commits and waits until all have been killed often enough; then everything must settle.
    async fn run(&mut self) -> Result<()> {
        let mut quiet = 0;
        while self.kills < KILLS {
            if self.settle_or_die().await?.is_continue() {
                quiet = 0;
                continue;
            }
            quiet += 1;
            if quiet > PATIENCE {
                self.kill_somebody().await?;
                quiet = 0;
            }
            self.commit()?;
            // A core that is down reads its source when it is back.
            let _ = self.core.notify().await;
        }
        while self.settle_or_die().await?.is_continue() {}
        if self.dooms.0.is_some() {
            // Its step has not come. One that is there to be killed does not end in order.
            self.agent.kill().await?;
            self.after_the_agent()?;
            while self.settle_or_die().await?.is_continue() {}
        }
        self.agent.stop().await?;
        self.ledger.check_agent(&self.agent);
        self.ledger.check_applied()?;
        ensure!(self.ledger.knows_what_ran(), "the agent's log does not tell what it ran");
        ensure!(self.ledger.refused().is_empty(), "refused: {:?}", self.ledger.refused());
        Ok(())
    }

    async fn kill_somebody(&mut self) -> Result<()> {
        if self.random.random_bool(0.5) {
            self.agent.kill().await?;
            self.after_the_agent()
        } else {
            self.core.kill().await?;
            self.after_the_core()
        }
    }

    /// Waits until the site has settled at the newest revision (break) or somebody has died (continue).
    async fn settle_or_die(&mut self) -> Result<ControlFlow<()>> {
        let (start, mut turn) = (Instant::now(), 0);
        loop {
            if self.agent.was_killed()? {
                self.after_the_agent()?;
                return Ok(ControlFlow::Continue(()));
            }
            if self.core.was_killed()? {
                self.after_the_core()?;
                return Ok(ControlFlow::Continue(()));
            }
            // Looking costs more than all else here: not at every turn.
            turn += 1;
            if turn % 5 != 0 {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let missing = match self.look().await {
                Ok(()) => {
                    self.deaths = 0;
                    return Ok(ControlFlow::Break(()));
                }
                Err(missing) => missing,
            };
            ensure!(start.elapsed() < DEADLINE, "it does not settle: {missing:#}");
        }
    }

    /// Settled: the newest revision is compiled and runs, and was reported to do so.
    async fn look(&mut self) -> Result<()> {
        self.ledger.note_ran(&self.agent);
        let view = self.ledger.check_core(&self.core, SITE).await?;
        ensure!(view.source().revision == self.ledger.newest(), "at {}", view.source().revision);
        view.must_be_current(SITE)?;
        self.ledger.check_applied()
    }

    fn after_the_agent(&mut self) -> Result<()> {
        self.kills += 1;
        self.deaths += 1;
        self.ledger.check_agent(&self.agent);
        self.start_agent()
    }

    fn after_the_core(&mut self) -> Result<()> {
        self.kills += 1;
        self.start_core()
    }
}

fn number(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a test is told how much to do by its environment")]
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// Runs one world on a runtime of its own; tells how many were killed, or what went wrong.
fn run_world(seed: u64) -> Result<u64, String> {
    let run = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::start(seed).await.expect("a world can be started");
            let outcome = world.run().await;
            let (core, agent) = (world.core.log(), world.agent.log());
            outcome.unwrap_or_else(|error| panic!("{error:#}\ncore:\n{core}\nagent:\n{agent}"));
            world.kills
        })
    };
    // The panic's words have been printed; here it is told which world it was.
    std::panic::catch_unwind(run).map_err(|_| format!("SKERRY_SEED={seed}"))
}

#[test]
fn invariant_4_killed_at_random() {
    let (kills, first) = (number("SKERRY_KILLS", DEFAULT_KILLS), number("SKERRY_SEED", 1));
    let worlds = first..first + kills.div_ceil(KILLS);
    let (next, done) = (AtomicU64::new(worlds.start), AtomicU64::new(0));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let seeds = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
            let outcomes = seeds.take_while(|seed| worlds.contains(seed)).map(run_world);
            let failures = outcomes.filter_map(|outcome| match outcome {
                Ok(kills) => {
                    done.fetch_add(kills, Ordering::Relaxed);
                    None
                }
                Err(failure) => Some(failure),
            });
            failures.collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..WORLDS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a thread does not panic")).collect()
    });
    assert!(failures.is_empty(), "these worlds failed, each can be run alone: {}", failures.join(" "));
    assert!(done.into_inner() >= kills, "every kill happened");
}
