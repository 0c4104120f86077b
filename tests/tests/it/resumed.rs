//! A bundle that is larger than what a link carries before it breaks: it arrives all the same, in about the bytes of
//! one transfer, over streams and over pulls, and over restarts of the agent in between.

use std::sync::Arc;
use std::time::Duration;

use skerry_tests::fleet::{Agent, XdsMode};
use skerry_tests::link::{Link, Traffic};
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::filler::{noise, service_with_route};
use crate::place::{DEADLINE, Source, policies, run};

/// Services with a route of 1 KiB that does not compress: a bundle of 650 KB, whose list alone is too long for an offer.
const SERVICES: usize = 500;

/// How many connections at least a bundle is spread over. One that breaks costs its greeting, the names of 64 fragments
/// that are asked for and half a frame of HTTP/2, 11 KB in all of about 100; a kill of the agent what was not on disk yet.
const CONNECTIONS: u64 = 6;

/// A core with a large world and two sites, `edge` and `other`, that run the same.
async fn large_world(run: &Arc<Run>) -> (Source, String) {
    let mut source = Source::start(run).await;
    source.repo.copy_from(&policies()).expect("the fixture is there");
    let site = source.repo.read("site.yaml").expect("there is a site");
    source
        .repo
        .write("other.yaml", &site.replace("name: edge", "name: other"))
        .expect("a file can be written");
    for at in 0..SERVICES {
        let text = service_with_route(at, &noise(at as u64));
        source.repo.write(&format!("filler-{at}.yaml"), &text).expect("a file can be written");
    }
    let revision = source.publish("large", &[]).await;
    (source, revision)
}

async fn link_to(source: &Source, run: &Run, port: u16) -> Link {
    Link::start(run.net().socket(port), source.core.address()).await.expect("the link's address is free")
}

/// What one transfer takes, over a link that holds.
async fn one_transfer(source: &Source, run: &Arc<Run>, revision: &str, options: &[&'static str]) -> Traffic {
    let link = link_to(source, run, 7610).await;
    let mut agent =
        Agent::new(run, "other", link.address(), XdsMode::Delta).expect("an agent can be prepared");
    agent.add_arguments(options);
    agent.start().expect("the agent can be started");
    runs(&agent, revision).await;
    link.traffic()
}

/// Waits until the agent itself says that it runs a revision.
async fn runs(agent: &Agent, revision: &str) {
    let status = agent.data().join("status.json");
    let seen = async || {
        let words = fs_err::read_to_string(&status)?;
        anyhow::ensure!(words.contains(revision), "{words}");
        Ok(())
    };
    eventually(&format!("{} runs the revision", agent.site()), DEADLINE, seen).await.expect("it does");
}

#[tokio::test]
async fn a_stream_that_breaks_again_and_again_is_resumed_over_restarts_of_the_agent() {
    let run = run();
    let (source, revision) = large_world(&run).await;
    let whole = one_transfer(&source, &run, &revision, &[]).await.bytes();

    let link = link_to(&source, &run, 7620).await;
    link.set_allowance(Some(whole / CONNECTIONS));
    let mut agent =
        Agent::new(&run, "edge", link.address(), XdsMode::Delta).expect("an agent can be prepared");
    agent.start().expect("the agent can be started");
    for connections in [3, 5] {
        let seen = async || {
            anyhow::ensure!(link.traffic().connections >= connections, "{:?}", link.traffic());
            Ok(())
        };
        eventually("the link has broken", DEADLINE, seen).await.expect("it breaks");
        agent.kill().await.expect("the agent runs");
        agent.start().expect("the agent can be started again");
    }
    runs(&agent, &revision).await;

    let traffic = link.traffic();
    assert!(traffic.connections >= CONNECTIONS, "{traffic:?}");
    assert!(traffic.bytes() < whole * 4 / 3, "{traffic:?} for a bundle of {whole} B");
}

/// A link that is up for three seconds at a time, and then too narrow for a bundle. What a pull brings comes whole or not at
/// all, after a handshake.
#[tokio::test]
async fn a_link_that_is_up_for_seconds_brings_the_newest_revision_by_pulls() {
    let run = run();
    let (mut source, revision) = large_world(&run).await;
    let options = ["--link", "pull", "--pull-interval", "200ms"];
    let whole = one_transfer(&source, &run, &revision, &options).await.bytes();

    let mut link = link_to(&source, &run, 7620).await;
    link.set_rate(Some(whole / 6));
    link.cut().await;
    let mut agent =
        Agent::new(&run, "edge", link.address(), XdsMode::Delta).expect("an agent can be prepared");
    agent.add_arguments(&options);
    agent.start().expect("the agent can be started");
    let mut newest = revision.clone();
    let passes = async {
        loop {
            link.restore().await;
            tokio::time::sleep(Duration::from_secs(3)).await;
            link.cut().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let arrives = async {
        runs(&agent, &revision).await;
        source.repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
        newest = source.repo.publish("second").expect("a push");
        source.core.notify().await.expect("the core takes the notice");
        runs(&agent, &newest).await;
    };
    tokio::select! {
        () = passes => {}
        () = arrives => {}
    }

    let traffic = link.traffic();
    assert!(traffic.connections > 3, "{traffic:?}");
    assert!(traffic.bytes() < whole * 3 / 2, "{traffic:?} for a bundle of {whole} B");
    assert_ne!(newest, revision);
}
