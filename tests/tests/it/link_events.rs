//! A link that comes back is used at once, and not after the pause that the agent had begun: with a real interface,
//! that of a network namespace, taken down and up.

use std::time::Duration;

use skerry_tests::fleet::{Agent, XdsMode};
use skerry_tests::link::Link;
use skerry_tests::netns::{LOOPBACK, Netns};
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Source, policies, run};

/// So long that it cannot be over by itself when the test acts.
const LONG: Duration = Duration::from_secs(3);

/// The last pause that the agent began.
fn last_pause(log: &str) -> Option<Duration> {
    let line = log.lines().rev().find(|line| line.contains("no link:"))?;
    let digits = line.split_once("pause_ms=")?.1.trim();
    digits.parse().ok().map(Duration::from_millis)
}

async fn a_pause_ends(netns: &Netns) {
    let run = run();
    let mut source = Source::start(&run).await;
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.publish("first", &[]).await;
    // Refused at once, the agent comes to longer pauses sooner than where nobody answers.
    let mut link =
        Link::start(run.net().socket(7600), source.core.address()).await.expect("a link can be made");
    link.cut().await;
    let mut agent =
        Agent::new(&run, "edge", link.address(), XdsMode::Delta).expect("an agent can be prepared");
    agent.start().expect("the agent can be started");
    let long = async || {
        let pause = last_pause(&agent.log());
        anyhow::ensure!(pause.is_some_and(|pause| pause >= LONG), "its last pause is {pause:?}");
        Ok(())
    };
    eventually("the agent has given up for a while", DEADLINE, long).await.expect("it backs off");
    link.restore().await;
    netns.ip(&["link", "set", LOOPBACK, "down"]).expect("the interface can be taken down");
    netns.ip(&["link", "set", LOOPBACK, "up"]).expect("the interface can be taken up");

    let back = async || {
        anyhow::ensure!(agent.log().contains("the core answers"), "{}", agent.log());
        Ok(())
    };
    eventually("the agent has its link", DEADLINE, back).await.expect("the core answers");
    let log = agent.log();
    let since = log.rsplit_once("no link:").expect("it had none").1;
    assert!(since.contains("a link came up: the pause ends"), "{log}");
}

#[test]
fn a_link_that_comes_back_ends_the_pause() {
    let Some(netns) = Netns::of_test() else { return };
    netns.block_on(|| a_pause_ends(&netns)).expect("the namespace can be entered");
}
