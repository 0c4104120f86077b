//! Invariant 6 with real processes: what takes most of a site away waits for somebody who says that it is meant.

use std::path::{Path, PathBuf};

use skerry_tests::fleet::{Agent, Core, FleetView, XdsMode};
use skerry_tests::http::Request;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Place, Source, run};

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/one-site")
}

fn services() -> String {
    let one = |at| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: more-{at}, namespace: shop}}\n\
             spec: {{ports: [{{port: 80}}]}}\n"
        )
    };
    (0..9).map(one).collect()
}

async fn until(core: &Core, what: &str, holds: impl Fn(&FleetView) -> anyhow::Result<bool>) -> FleetView {
    let seen = async || {
        let view = core.fleet().await?;
        anyhow::ensure!(holds(&view)?, "{:?}, {:?}", view.source(), view.site("edge"));
        Ok(view)
    };
    eventually(what, DEADLINE, seen).await.expect("the core says so")
}

/// What the site's proxy has acknowledged, by the agent's own word: a core that has lost its store has not heard it yet.
fn config_hash(agent: &Agent) -> String {
    let status = fs_err::read(agent.data().join("status.json")).expect("the agent writes what it does");
    let status: serde_json::Value = serde_json::from_slice(&status).expect("it is JSON");
    status["proxies"][0]["configHash"].as_str().expect("there is a proxy").to_owned()
}

#[tokio::test]
async fn invariant_6_mass_removal_and_a_lost_store_wait_for_a_confirmation() {
    let run = run();
    let mut source = Source::start(&run).await;
    let place = Place::with_echo(&run, "edge").await;
    let agent = place.start_agent(&run, source.core.address(), XdsMode::Delta);
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.repo.write("more.yaml", &services()).expect("a file can be written");
    let first = source.publish("first", &["edge"]).await;
    let before = config_hash(&agent);

    // Nine of ten services go.
    source.repo.remove("more.yaml").expect("the file is there");
    let shrunk = source.repo.publish("most are gone").expect("a push");
    source.core.notify().await.expect("the core takes the notice");
    let view =
        until(&source.core, "the removal is held", |view| Ok(view.source().held_revision == shrunk)).await;
    assert!(view.source().held_reason.contains("takes away 9 of 10 Service"), "{:?}", view.source());
    assert_eq!((&view.source().revision, config_hash(&agent)), (&first, before.clone()));

    // The core loses its store, so that it knows of nothing that was held and takes the head for the first one.
    source.core.kill().await.expect("the core runs");
    fs_err::remove_file(source.core.data().join("state.redb")).expect("the store is there");
    source.core.start().await.expect("the core starts anew");
    source.core.compiled(&shrunk, DEADLINE).await.expect("it takes the head");
    eventually("the site refuses, and says so", DEADLINE, async || {
        let events = source.core.site("edge").await?.events;
        let refused = |detail: &str| detail.contains("9 of 10 services would go");
        let found = events.iter().any(|row| row.event.as_ref().is_some_and(|event| refused(&event.detail)));
        anyhow::ensure!(found, "{events:?}");
        Ok(())
    })
    .await
    .expect("the refusal is reported");
    assert_eq!(config_hash(&agent), before);
    let reply = Request::get("/").send(place.service(1, 8080)).await.expect("Envoy answers");
    assert_eq!(reply.header("x-release"), Some("first"));

    source.core.confirm(&shrunk).await.expect("it is what is in force");
    source.core.settled(&shrunk, &["edge"], DEADLINE).await.expect("the site follows");
    assert_ne!(config_hash(&agent), before);
}
