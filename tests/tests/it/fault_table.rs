//! Core, agent and Envoy, each up or down: what serves goes on serving, and what starts anew comes back to
//! the same resources without the core.

use std::path::PathBuf;

use skerry_tests::fleet::{Agent, XdsMode};
use skerry_tests::http::Request;
use skerry_tests::process::{is_alive, kill_and_reap};
use skerry_tests::wait::eventually;

use crate::asker::Asker;
use crate::place::{DEADLINE, Place, Source, policies, run};

const SITE: &str = "edge";
const SERVICE: (u8, u16) = (1, 8080);

/// Whether something is there, or was killed and stays away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Up,
    Down,
}
use Is::{Down, Up};

#[derive(Debug, Clone, Copy)]
struct Row {
    core: Is,
    agent: Is,
    envoy: Is,
}

const TABLE: [Row; 8] = [
    Row { core: Up, agent: Up, envoy: Up },
    Row { core: Up, agent: Up, envoy: Down },
    Row { core: Up, agent: Down, envoy: Up },
    Row { core: Up, agent: Down, envoy: Down },
    Row { core: Down, agent: Up, envoy: Up },
    Row { core: Down, agent: Up, envoy: Down },
    Row { core: Down, agent: Down, envoy: Up },
    Row { core: Down, agent: Down, envoy: Down },
];

struct World {
    source: Source,
    place: Place,
    agent: Agent,
    revision: String,
    /// The hash of the Envoy's resources when all was well.
    hash: String,
}

impl World {
    async fn start(mode: XdsMode) -> Self {
        let run = run();
        let mut source = Source::start(&run).await;
        let place = Place::with_echo(&run, SITE).await;
        let agent = place.start_agent(&run, source.core.address(), mode);
        source.repo.copy_from(&policies()).expect("the fixture is there");
        let revision = source.publish("first", &[SITE]).await;
        let view = source.core.fleet().await.expect("the core answers");
        let hash = hex(&view.state(SITE).expect("it has reported").proxies[0].config_hash);
        assert!(!hash.is_empty(), "a proxy that is ready has a hash");
        Self { source, place, agent, revision, hash }
    }

    fn service(&self) -> std::net::SocketAddr {
        self.place.service(SERVICE.0, SERVICE.1)
    }

    fn status_file(&self) -> PathBuf {
        self.agent.data().join("status.json")
    }

    /// Kills the launchers and the Envoys. An agent that is up starts others; without one nobody does.
    async fn take_envoy_down(&self, agent: Is) {
        let seen = self.agent.data_plane();
        self.agent.kill_data_plane().expect("they can be killed");
        let gone = async || {
            anyhow::ensure!(!seen.iter().any(|process| is_alive(process.id)), "one is left");
            if agent == Down {
                anyhow::ensure!(Request::get("/").send(self.service()).await.is_err(), "somebody answers");
            }
            Ok(())
        };
        eventually("the Envoys are gone", DEADLINE, gone).await.expect("they are gone");
        match agent {
            Up => self.serves().await,
            Down => assert_eq!(self.agent.data_plane(), [], "nobody starts one"),
        }
    }

    /// Kills the agent and starts it; what it wrote about its state before is taken away.
    async fn restart_agent(&mut self, was: Is) {
        if was == Up {
            self.agent.kill().await.expect("the agent runs");
        }
        fs_err::remove_file(self.status_file()).expect("it has written its state");
        self.agent.start().expect("the agent starts");
    }

    /// Kills the Envoy, and not its launcher; returns when another one serves, and has the resources of before where
    /// there is an agent that could tell.
    async fn restart_envoy(&self, agent: Is) {
        let killed = self.agent.envoys();
        assert_eq!(killed.len(), 1, "one Envoy");
        let before = self.own_state().map_or(0, |proxy| proxy["restarts"].as_u64().unwrap_or_default());
        kill_and_reap(killed[0].id).expect("it can be killed");
        self.serves().await;
        assert!(!self.agent.envoys().contains(&killed[0]), "another process serves");
        if agent == Up {
            self.agent_is_at_the_hash(before + 1).await;
        }
    }

    /// What the agent says of the one proxy in its own file.
    fn own_state(&self) -> anyhow::Result<serde_json::Value> {
        let mut status: serde_json::Value = serde_json::from_slice(&fs_err::read(self.status_file())?)?;
        Ok(status["proxies"][0].take())
    }

    async fn serves(&self) {
        let seen = async || {
            let reply = Request::get("/").send(self.service()).await?;
            anyhow::ensure!(reply.header("x-release") == Some("first"), "{:?}", reply.header("x-release"));
            Ok(())
        };
        eventually("clients see the release", DEADLINE, seen).await.expect("it is served");
    }

    /// The agent that runs now says that its Envoy, started so many times at least after the first, has acknowledged the
    /// resources with the hash of before.
    async fn agent_is_at_the_hash(&self, restarts: u64) {
        let same = async || {
            let proxy = self.own_state()?;
            anyhow::ensure!(proxy["phase"] == "ready", "{proxy}");
            anyhow::ensure!(
                proxy["restarts"].as_u64() >= Some(restarts),
                "it is of the Envoy before: {proxy}"
            );
            assert_eq!(proxy["configHash"], self.hash, "other resources than before");
            Ok(())
        };
        eventually("the agent's Envoy is ready", DEADLINE, same).await.expect("it gets there");
    }

    async fn walk(&mut self, row: Row) {
        let asker = (row.envoy == Up).then(|| Asker::start(self.service()));
        if row.core == Down {
            self.source.core.kill().await.expect("the core runs");
        }
        if row.agent == Down {
            self.agent.kill().await.expect("the agent runs");
        }
        if row.envoy == Down {
            self.take_envoy_down(row.agent).await;
        }
        // The cold restart of what is up.
        if row.core == Up {
            self.source.core.kill().await.expect("the core runs");
            self.source.core.start().await.expect("the core starts");
        }
        if row.agent == Up {
            self.restart_agent(Up).await;
            self.agent_is_at_the_hash(0).await;
        }
        if let Some(asker) = asker {
            asker.stop().await;
            self.restart_envoy(row.agent).await;
        }
        self.come_back(row).await;
    }

    /// Starts what was down, the core last.
    async fn come_back(&mut self, row: Row) {
        if row.agent == Down {
            let asker = (row.envoy == Up).then(|| Asker::start(self.service()));
            self.restart_agent(Down).await;
            self.agent_is_at_the_hash(0).await;
            if let Some(asker) = asker {
                asker.stop().await;
            }
        }
        self.serves().await;
        if row.core == Down {
            self.source.core.start().await.expect("the core starts");
        }
        let view =
            self.source.core.settled(&self.revision, &[SITE], DEADLINE).await.expect("both ends agree");
        let state = view.state(SITE).expect("it has reported");
        assert_eq!((state.generation, hex(&state.proxies[0].config_hash)), (1, self.hash.clone()), "{row:?}");
    }
}

/// Walks the whole table: whatever restarts is back at the hash of before while the core is away.
async fn walk_all(mode: XdsMode) {
    let mut world = World::start(mode).await;
    for row in TABLE {
        world.walk(row).await;
    }
}

#[tokio::test]
async fn invariant_5_whatever_is_down_the_rest_serves_and_all_comes_back() {
    walk_all(XdsMode::Delta).await;
}

#[tokio::test]
async fn invariant_5_and_with_state_of_the_world() {
    walk_all(XdsMode::Sotw).await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
