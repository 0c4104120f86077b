//! Killed at any moment: what is left is whole, and generations never go back.

use std::time::Duration;

use crate::bundle::{Plan, plan};
use crate::core::Core;
use crate::eventually::eventually;
use crate::site::Site;

/// How many times the agent is killed; each time some milliseconds later in an apply.
const KILLS: u64 = 25;

/// Invariant 4: never half a bundle, never a lower generation; and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_applies_it_has_a_whole_bundle() {
    let core = Core::start().await;
    core.log().inline = false;
    let mut site = Site::new(&core);
    site.write_workload("client-1", "client", 9, true);
    let mut highest = 0;
    for round in 1..=KILLS {
        let path: &'static str = if round % 2 == 0 { "/even" } else { "/odd" };
        core.publish(&Plan { more: 40, path, ..plan(round) }.publish());
        site.start();
        let hellos = core.log().hellos.len();
        eventually("hello", async || (core.log().hellos.len() > hellos).then_some(())).await;
        tokio::time::sleep(Duration::from_micros(round * 1_700 % 40_000)).await;
        site.kill();

        let view = site.show();
        let generation = view["current"]["generation"].as_u64().unwrap_or_default();
        assert!(generation >= highest, "{view:#}");
        highest = generation;
        let acknowledged = core.log().applied.len();
        assert!(acknowledged == 0 || generation > 0);
        assert!(!site.log().contains("damaged"), "{}", site.log());
    }
    core.publish(&plan(KILLS + 1).publish());
    site.start();
    eventually("the newest bundle", async || {
        core.log().state().filter(|state| state.generation == KILLS + 1)
    })
    .await;
}

/// The steps of a spool are named, for whoever listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_spool_names_its_steps() {
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core).with(&["--log", "info,skerry::step=trace"]);
    site.start();
    for step in ["queued", "sending", "acknowledged", "trimmed"] {
        let name = format!("agent.spool.{step}");
        eventually(&name, async || site.log().contains(&name).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_moved_aside_and_fetched_anew() {
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.start();
    eventually("the first bundle", async || core.verdict(&plan(1).publish())).await;
    site.kill();
    let path = site.data().join("state.redb");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    fs_err::write(&path, bytes).unwrap();
    core.log().applied.clear();

    site.start();
    eventually("the bundle again", async || core.verdict(&plan(1).publish())).await;
    assert!(site.log().contains("the store was damaged; it is kept as"), "{}", site.log());
    assert!(site.data().join("state.redb.damaged-1").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_folder_is_told_so() {
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.start();
    eventually("the first bundle", async || core.verdict(&plan(1).publish())).await;
    let output = site.command().output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("another agent runs on this data folder"), "{words}");
}
