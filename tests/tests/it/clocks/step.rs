//! A wall clock that is set in the middle of an apply.

use rustix::process::Signal;
use skerry_tests::fleet::FleetView;
use skerry_tests::process;

use super::*;
use crate::asker::Asker;
use crate::place::run;

/// New connections may fail until it is noticed, within a second; after that nothing does, and no bundle is lost over it.
#[tokio::test]
async fn a_clock_that_is_set_in_the_middle_of_an_apply_costs_no_bundle() {
    let run = run();
    let (mut source, _) = core(&run).await;
    let address = source.core.address();
    let mut site = Site::prepare(&run, &source.core, address, "edge", &["echo", "web"]).await;
    site.agent.start().expect("the agent starts");
    for service in ["echo", "web"] {
        site.is_strict(service).await;
    }
    let client = envoy_of(&site, site.place.client());

    let mut release = "first";
    for (next, step) in [("second", TEN_YEARS), ("third", -2 * TEN_YEARS), ("fourth", TEN_YEARS)] {
        // A proxy that says nothing holds the apply in its middle.
        process::kill(client, Signal::STOP).expect("the Envoy can be stopped");
        let (before, after) = (format!("value: {release}"), format!("value: {next}"));
        source.repo.replace("services.yaml", &before, &after).expect("the release is there");
        let offered = site.agent.log().matches("a newer bundle is offered").count();
        source.repo.publish(next).expect("a push");
        source.core.notify().await.expect("the core takes the notice");
        site.logs("a newer bundle is offered", offered + 1).await;
        site.moves(|clocks| clocks.step_wall(step)).await;
        process::kill(client, Signal::CONT).expect("the Envoy can go on");
        site.serves(next).await;
        if next != "fourth" {
            site.shows("ClockSuspect: ").await;
        }
        // New connections each, by whatever the clock shows now.
        site.is_strict("echo").await;
        let askers = ["echo", "web"].map(|name| Asker::start(site.service(name)));
        for _ in 0..50 {
            Request::get("/").send(site.service("echo")).await.expect("it answers");
        }
        for asker in askers {
            asker.stop().await;
        }
        release = next;
    }
    let well = async || source.core.fleet().await?.must_be_current("edge");
    eventually("the clock is right again", DEADLINE, well).await.expect("nothing is wrong any more");
    let events = FleetView::events(address, "edge").await.expect("the core answers");
    assert!(!format!("{events:?}").contains("RolledBack"), "{events:?}");
}

/// The process of the Envoy of a workload.
fn envoy_of(site: &Site, workload: &Workload) -> u32 {
    let proxy = site.agent.proxy(workload).to_string_lossy().into_owned();
    let envoys = site.agent.envoys();
    let is_its = |envoy: &&process::Seen| envoy.arguments.iter().any(|argument| argument.contains(&proxy));
    envoys.iter().find(is_its).expect("it has an Envoy").id
}

impl Site {
    /// Waits until clients see a release of the policy.
    async fn serves(&self, release: &str) {
        let web = self.service("web");
        let served = async || {
            let reply = Request::get("/").send(web).await?;
            anyhow::ensure!(reply.header("x-release") == Some(release), "{reply:?}\n{}", self.agent.log());
            Ok(())
        };
        eventually(&format!("clients see {release}"), DEADLINE, served).await.expect("the release is served");
    }
}
