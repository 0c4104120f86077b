//! Links as they are far out: connections that overtake each other, that one end believes in, that swallow everything, and
//! that are slow. Both ends agree again, and nobody who is served is sent away for it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use skerry_core::bundle::SCHEMA;
use skerry_proto::limits::PROTOCOL;
use skerry_proto::tls::Connector;
use skerry_proto::v1::site_sync_client::SiteSyncClient;
use skerry_proto::v1::{Hello, RetryAfter, SiteSummary, SyncRequest, sync_request, sync_response};
use skerry_tests::fleet::{Agent, XdsMode, agent_tls};
use skerry_tests::link::{Kept, Link};
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::filler;
use crate::place::{DEADLINE, Source, policies, run};

const SITE: &str = "edge";

/// A site without workloads behind a link.
struct World {
    run: Arc<Run>,
    source: Source,
    link: Link,
    agent: Agent,
    commits: u16,
}

impl World {
    /// Starts the core; its repository has one site.
    async fn start() -> Self {
        let run = run();
        let mut source = Source::start(&run).await;
        let link =
            Link::start(run.net().socket(7600), source.core.address()).await.expect("the address is free");
        let agent = Agent::new(&run, SITE, link.address(), XdsMode::Delta).expect("an agent can be prepared");
        source.repo.copy_from(&policies()).expect("the fixture is there");
        source.publish("first", &[]).await;
        Self { run, source, link, agent, commits: 0 }
    }

    /// The same with a site that runs what it shall run.
    async fn start_settled() -> Self {
        let mut world = Self::start().await;
        world.agent.start().expect("the agent can be started");
        world.changes_arrive().await;
        world
    }

    /// Commits something, and waits until the site runs it.
    async fn changes_arrive(&mut self) {
        self.commits += 1;
        let name = format!("added-{}", self.commits);
        let text = filler::service(&name, 9000 + self.commits);
        self.source.repo.write(&format!("{name}.yaml"), &text).expect("a file can be written");
        self.source.publish(&name, &[SITE]).await;
    }

    async fn core_says(&self, words: &str) {
        let said = async || {
            let log = self.source.core.log();
            anyhow::ensure!(log.contains(words), "{log}");
            Ok(())
        };
        eventually(&format!("the core says {words:?}"), DEADLINE, said).await.expect("it says so");
    }

    /// The site as the core shows it.
    async fn summary(&self) -> SiteSummary {
        self.source.core.site(SITE).await.expect("the core answers").summary.expect("it has a row")
    }

    /// How often the agent has had no link.
    fn losses(&self) -> usize {
        self.agent.log().matches("no link:").count()
    }

    async fn connections(&self, number: u64) {
        let made = async || {
            let traffic = self.link.traffic();
            anyhow::ensure!(traffic.connections >= number, "{traffic:?}");
            Ok(())
        };
        eventually(&format!("connection {number}"), DEADLINE, made).await.expect("the agent dials");
    }
}

/// Says hello through the link as the agent did on an earlier connection: what was sent then, and is late.
async fn late_hello(link: SocketAddr, agent: &Path, boot: Vec<u8>) -> RetryAfter {
    let hello = Hello {
        protocol: PROTOCOL,
        site: SITE.to_owned(),
        schema: SCHEMA,
        boot,
        attempt: 1,
        ..Hello::default()
    };
    let message = Some(sync_request::Message::Hello(hello));
    let request = SyncRequest { message, ..SyncRequest::default() };
    let said = async || {
        let connector = Connector::new(agent_tls(agent)?);
        let channel =
            Endpoint::from_shared(format!("https://{link}"))?.connect_with_connector(connector).await?;
        let mut client = SiteSyncClient::new(channel);
        // It stays open: at the far end nobody knows that nobody is here any more.
        let (open, requests) = mpsc::channel(1);
        open.send(request.clone()).await?;
        let mut responses = client.sync(ReceiverStream::new(requests)).await?.into_inner();
        match responses.message().await?.and_then(|response| response.message) {
            Some(sync_response::Message::RetryAfter(retry)) => Ok(retry),
            other => anyhow::bail!("it is served: {other:?}"),
        }
    };
    eventually("an answer", DEADLINE, said).await.expect("it is sent away")
}

/// A connection that was held up on its way, and comes when the agent has long been served on another: its hello is late,
/// and evicts nobody.
#[tokio::test]
async fn a_hello_that_was_overtaken_does_not_evict_the_live_stream() {
    let mut world = World::start_settled().await;
    let summary = world.summary().await;
    let boot = summary.agent.expect("there is an agent").boot;
    let before = world.link.traffic().connections;
    world.link.half_open(Kept::Core);
    world.connections(before + 1).await;
    world.changes_arrive().await;
    let losses = world.losses();

    world.link.hold_next();
    let address = world.link.address();
    let data = world.agent.data().to_owned();
    let overtaking = async {
        world.connections(before + 2).await;
        world.changes_arrive().await;
        world.link.release();
    };
    let (retry, ()) = tokio::join!(late_hello(address, &data, boot), overtaking);
    assert_eq!(retry.reason, "connection 1 of this agent came late: its connection 2 is served");

    world.changes_arrive().await;
    assert_eq!(world.losses(), losses, "the stream is the same: {}", world.agent.log());
    let summary = world.summary().await;
    assert!(summary.connected && summary.rival.is_none(), "{summary:?}");
}

/// The agent's end of a connection is gone, and the core does not know: the next connection is served at once.
#[tokio::test]
async fn a_connection_that_only_the_core_believes_in_gives_way_to_the_next() {
    let mut world = World::start_settled().await;
    let before = world.link.traffic().connections;
    world.link.half_open(Kept::Core);
    world.connections(before + 1).await;

    world.core_says("a newer stream of the same site takes the place of this one").await;
    world.changes_arrive().await;
    let summary =
        world.source.core.site(SITE).await.expect("the core answers").summary.expect("it has a row");
    assert!(summary.connected && summary.rival.is_none(), "{summary:?}");
}

/// An agent that starts into a link which swallows everything is there when it no longer does.
#[tokio::test]
async fn an_agent_that_starts_into_a_black_hole_comes_out_of_it() {
    let mut world = World::start().await;
    world.link.black_hole().await;
    world.agent.start().expect("the agent can be started");
    world.connections(1).await;
    let gives_up = async || {
        anyhow::ensure!(
            world.agent.log().contains("no link: no connection within 10 s"),
            "{}",
            world.agent.log()
        );
        Ok(())
    };
    eventually("it gives up", DEADLINE, gives_up).await.expect("every call has a deadline");

    world.link.restore().await;
    world.changes_arrive().await;
    assert_eq!(
        world
            .source
            .core
            .fleet()
            .await
            .expect("the core answers")
            .state(SITE)
            .expect("it reports")
            .generation,
        2
    );
}

/// A satellite link, thin and with long ways: a bundle of 100 KiB crosses in one piece, and no deadline ends it.
#[tokio::test]
async fn a_large_bundle_crosses_a_thin_link_in_one_go() {
    let mut world = World::start().await;
    for at in 0..80 {
        let text = filler::service_with_route(at, &filler::noise(at as u64));
        world.source.repo.write(&format!("filler-{at}.yaml"), &text).expect("a file can be written");
    }
    world.source.publish("large", &[]).await;
    world.link.set_delay(Duration::from_millis(300));
    world.link.set_rate(Some(4 << 10));
    world.agent.start().expect("the agent can be started");

    world.changes_arrive().await;
    let traffic = world.link.traffic();
    assert!(traffic.down > 80 << 10, "it is large: {traffic:?}");
    assert_eq!((traffic.connections, world.losses()), (1, 0), "{}", world.agent.log());
    // And what is small is not held up for long by what was large.
    world.changes_arrive().await;
    assert!(world.run.processes().len() > 1);
}
