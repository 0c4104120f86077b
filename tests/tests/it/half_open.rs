//! A connection whose other end is gone without a word: noticed within the budget of the site's uplink class, which
//! the agent has from the bundle that it runs.

use std::time::Duration;

use skerry_tests::fleet::{Agent, XdsMode};
use skerry_tests::link::{Kept, Link};
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Source, policies, run};

/// Longer than an `Intermittent` uplink takes to notice (30 s), with room for a loaded machine, and shorter than a
/// `Broadband` one takes (80 s), which an agent has before its first bundle.
const NOTICED: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_half_open_connection_is_noticed_within_the_budget_of_the_class() {
    let run = run();
    let mut source = Source::start(&run).await;
    source.repo.copy_from(&policies()).expect("the fixture is there");
    let (plain, hasty) = ("spec: {dataPlane", "spec: {uplink: {class: Intermittent}, dataPlane");
    source.repo.replace("site.yaml", plain, hasty).expect("the site has a data plane");
    let link = Link::start(run.net().socket(7610), source.core.address()).await.expect("a link can be made");
    let mut agent =
        Agent::new(&run, "edge", link.address(), XdsMode::Delta).expect("an agent can be prepared");
    agent.start().expect("the agent can be started");
    source.publish("first", &["edge"]).await;
    let again = async || {
        anyhow::ensure!(agent.log().matches("the core answers").count() == 2, "{}", agent.log());
        Ok(())
    };
    eventually("the agent connects with the pace of its bundle", DEADLINE, again).await.expect("it does");

    link.half_open(Kept::Site);
    source.repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
    let second = source.repo.publish("second").expect("a push");
    source.core.notify().await.expect("the core takes the notice");

    source.core.settled(&second, &["edge"], NOTICED).await.expect("the agent has noticed and come back");
    assert!(agent.log().matches("the core answers").count() >= 3, "{}", agent.log());
}
