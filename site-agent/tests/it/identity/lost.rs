//! The file of a site's identity is damaged or gone when the agent starts.

use skerry_agent::enrolment::Enrolment;

use super::*;
use crate::bundle::Plan;

/// A stage whose agent was killed.
async fn killed(plan: Plan) -> Option<Stage> {
    let mut stage = Stage::start(plan).await?;
    eventually("the first bundle is kept", async || {
        stage.core.log().state().filter(|state| state.generation == 1)
    })
    .await;
    stage.site.kill();
    Some(stage)
}

fn file(stage: &Stage) -> PathBuf {
    stage.site.data().join("identity.json")
}

/// Empties the file, takes its copy away, and starts the agent.
async fn start_without(stage: &mut Stage) {
    fs_err::write(file(stage), b"").unwrap();
    fs_err::remove_file(stage.site.data().join("identity.copy.json")).unwrap();
    stage.site.start();
    eventually("the box says so", async || {
        let problems = stage.site.show()["lastState"]["workloadProblems"].to_string();
        (problems.contains("identity.json is damaged") && problems.contains("and there is no copy"))
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_identity_is_taken_from_its_copy_and_the_core_is_told() {
    let Some(mut stage) = killed(plan(1).strict()).await else { return };
    let whole = fs_err::read(file(&stage)).unwrap();
    fs_err::write(file(&stage), &whole[..whole.len() / 3]).unwrap();
    stage.site.start();
    eventually("the core is told", async || {
        let problems = stage.core.log().state()?.workload_problems;
        problems
            .iter()
            .any(|problem| problem.contains("is damaged") && problem.contains("goes on with its copy"))
            .then_some(())
    })
    .await;
    stage.await_mutual().await;
    let kept = Enrolment::load(&file(&stage)).unwrap().unwrap();
    assert_eq!(kept.authority.certificate(), stage.authority.certificate(), "it is put back");
}

/// What was closed to plain text stays closed, and what is enrolled again is taken by an agent that runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_identity_opens_nothing_and_is_replaced_without_a_restart() {
    let Some(mut stage) = killed(plan(1).strict()).await else { return };
    start_without(&mut stage).await;
    let pid = stage.site.pid();
    eventually("nobody can prove anything", async || {
        get(&stage.client, "/").await.is_ok_and(|answer| answer.status == 503).then_some(())
    })
    .await;
    assert!(get(&stage.echo, "/").await.is_err(), "plain text is refused");

    stage.site.enrol(&stage.mesh.enrol(&[]));
    eventually("the client is answered", async || {
        assert!(get(&stage.echo, "/").await.is_err(), "plain text is refused at any moment");
        get(&stage.client, "/").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    eventually("the core hears of it", async || {
        let problems = stage.core.log().state()?.workload_problems;
        (!problems.iter().any(|problem| problem.contains("identity.json"))).then_some(())
    })
    .await;
    assert!(get(&stage.echo, "/").await.is_err());
    assert_eq!(stage.site.pid(), pid);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_identity_what_is_open_to_plain_text_is_served() {
    let Some(mut stage) = killed(plan(1)).await else { return };
    start_without(&mut stage).await;
    for address in [&stage.client, &stage.echo] {
        eventually("it is served", async || {
            get(address, "/").await.ok().filter(|answer| answer.status == 200 && answer.body == "one")
        })
        .await;
    }
}
