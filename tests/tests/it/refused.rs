//! An Envoy refuses what passed every check of ours: the site goes back as a whole, and says why.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use skerry_proto::v1::site_event::Kind;
use skerry_tests::fleet::{FleetView, XdsMode, skerry};
use skerry_tests::link::Link;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::asker::Asker;
use crate::filler;
use crate::place::{DEADLINE, Place, Source, policies, run};
use crate::question::{Question, ask_all};

const SITE: &str = "edge";

/// A match that is more work than a picky Envoy allows, and less than others do.
const LONG_PATTERN: &str = "/x[0-9]{75}";

/// Makes an Envoy that allows regular expressions of 60 instructions at most, where ours allow more (those of the names of
/// workloads need 44): what it is sent has passed every check, and it refuses it.
pub(crate) fn picky_envoy(run: &Run) -> PathBuf {
    let envoy = run.binaries().envoy().expect("there is an Envoy").display();
    let limit =
        "layered_runtime: {layers: [{name: picky, static_layer: {re2.max_program_size.error_level: 60}}]}";
    let path = run.folder().join("picky-envoy");
    // The launcher gives its own `--config-yaml {…}`, and Envoy takes one: the limit goes into that.
    let script = format!(
        "#!/bin/sh\nlast=\nfor word in \"$@\"; do\n  shift\n  \
         [ \"$last\" = --config-yaml ] && word=\"{{{limit}, ${{word#?}}\"\n  \
         last=$word\n  set -- \"$@\" \"$word\"\ndone\nexec {envoy} \"$@\"\n"
    );
    fs_err::write(&path, script).expect("a file can be written");
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    path
}

/// A route that a picky Envoy refuses.
pub(crate) fn route_that_is_refused() -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: long, namespace: shop}}\nspec:\n  \
         parentRefs: [{{group: \"\", kind: Service, name: echo}}]\n  rules:\n    - matches: [{{path: {{type: RegularExpression, \
         value: \"{LONG_PATTERN}\"}}}}]\n      backendRefs: [{{name: echo, port: 8080}}]\n"
    )
}

#[tokio::test]
async fn invariant_4_a_site_whose_envoy_refuses_is_not_left_half_way() {
    let run = run();
    let mut source = Source::start(&run).await;
    let place = Place::with_echo(&run, SITE).await;
    let mut agent = place.prepare_agent(&run, source.core.address(), XdsMode::Delta);
    agent.set_envoy(picky_envoy(&run));
    agent.start().expect("the agent starts");
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.publish("first", &[SITE]).await;
    let service = place.service(1, 8080);
    let asker = Asker::start(service);

    // One commit: a release that is fine, with a new service, and a route that is not.
    source.repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
    source.repo.write("added.yaml", &filler::service("added", 8999)).expect("a file can be written");
    source.repo.write("long.yaml", &route_that_is_refused()).expect("a file can be written");
    let revision = source.repo.publish("half of it is fine").expect("a push");
    source.core.notify().await.expect("the core takes the notice");
    source.core.compiled(&revision, DEADLINE).await.expect("the core has no objection");
    let core = source.core.address();
    let told = eventually("the site says that it went back", DEADLINE, async || {
        let events = FleetView::events(core, SITE).await?;
        let events = events.into_iter().filter_map(|row| row.event);
        let back: Vec<_> = events.filter(|event| event.kind() == Kind::RolledBack).collect();
        anyhow::ensure!(!back.is_empty(), "nothing yet");
        Ok(back)
    });
    let back = told.await.expect("it is reported");
    assert_eq!(back.len(), 1, "once: {back:?}");
    let detail = &back[0].detail;
    assert!(detail.contains("program size") && detail.contains("shop/client"), "says what and who: {detail}");
    assert_eq!(back[0].generation, 2);
    let state = source.core.fleet().await.expect("the core answers");
    assert_eq!(state.state(SITE).expect("it has reported").generation, 1, "it runs what it ran");
    ask_all(service, &[Question::get("the release before", "/").by("v1").header("x-release", "first")]).await;

    source.repo.remove("long.yaml").expect("the file is there");
    source.repo.replace("echo.yaml", "value: second", "value: third").expect("the release is there");
    source.publish("without the route", &[SITE]).await;
    ask_all(service, &[Question::get("the next release", "/").by("v1").header("x-release", "third")]).await;
    asker.stop().await;
}

/// What `skerry status` prints of a core.
fn status(run: &Run, core: std::net::SocketAddr) -> anyhow::Result<String> {
    let output = skerry(run, core)?.arg("status").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// How many times the site has reported that it went back.
async fn went_back(core: std::net::SocketAddr) -> anyhow::Result<usize> {
    let events = FleetView::events(core, SITE).await?.into_iter().filter_map(|row| row.event);
    Ok(events.filter(|event| event.kind() == Kind::RolledBack).count())
}

/// The link goes while the word of a refusal is on its way, and the agent is restarted before it is back: then
/// `skerry status` says what was refused, where and why, and there is one event of it.
#[tokio::test]
async fn what_was_refused_when_the_link_went_is_seen_once_when_it_is_back() {
    let run = run();
    let mut source = Source::start(&run).await;
    let core = source.core.address();
    let mut link = Link::start(run.net().socket(7610), core).await.expect("a link can be made");
    let place = Place::with_echo(&run, SITE).await;
    let mut agent = place.prepare_agent(&run, link.address(), XdsMode::Delta);
    agent.set_envoy(picky_envoy(&run));
    agent.start().expect("the agent starts");
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.publish("first", &[SITE]).await;

    // What the site says next is two seconds on its way, and does not arrive.
    link.set_delay(Duration::from_secs(2));
    source.repo.write("long.yaml", &route_that_is_refused()).expect("a file can be written");
    let revision = source.repo.publish("it is refused").expect("a push");
    source.core.notify().await.expect("the core takes the notice");
    source.core.compiled(&revision, DEADLINE).await.expect("the core has no objection");
    eventually("the site goes back", DEADLINE, async || {
        anyhow::ensure!(agent.log().contains("goes back to the bundle before"), "{}", agent.log());
        Ok(())
    })
    .await
    .expect("its Envoy refuses it");
    link.cut().await;
    link.set_delay(Duration::ZERO);
    assert_eq!(went_back(core).await.expect("the core answers"), 0, "the core has not heard of it");
    assert!(!status(&run, core).expect("it runs").contains("program size"));

    agent.kill().await.expect("it runs");
    agent.start().expect("it starts again");
    link.restore().await;
    let shown = eventually("the fleet's status says it", DEADLINE, async || {
        let shown = status(&run, core)?;
        anyhow::ensure!(shown.contains("program size"), "{shown}");
        Ok(shown)
    });
    let shown = shown.await.expect("it is told once the link is back");
    assert!(shown.contains(SITE) && shown.contains("shop/client"), "where, and who: {shown}");
    assert_eq!(went_back(core).await.expect("the core answers"), 1, "once");
}
