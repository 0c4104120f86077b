//! The link: comes late, breaks, sends the site away; nothing is lost and nothing is fetched twice.

use crate::bundle::plan;
use crate::core::Core;
use crate::eventually::eventually;
use crate::site::Site;

async fn await_current(core: &Core, published: &crate::bundle::Published) {
    let verdict = eventually("a verdict", async || core.verdict(published)).await;
    assert_eq!(verdict, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_that_are_not_in_the_offer_are_asked_for() {
    let core = Core::start().await;
    core.log().inline = false;
    let published = crate::bundle::Plan { more: 600, ..plan(1) }.publish();
    core.publish(&published);
    let mut site = Site::new(&core);
    site.start();
    await_current(&core, &published).await;
    assert_eq!(core.log().wants, 602);

    let next = crate::bundle::Plan { more: 601, ..plan(2) }.publish();
    core.publish(&next);
    await_current(&core, &next).await;
    assert_eq!(core.log().wants, 603, "only what is new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_in_the_middle_goes_on_where_it_was() {
    let core = Core::start().await;
    (core.log().inline, core.log().break_after) = (false, 30);
    let published = crate::bundle::Plan { more: 100, ..plan(1) }.publish();
    core.publish(&published);
    let mut site = Site::new(&core);
    site.start();
    await_current(&core, &published).await;
    let log = core.log();
    assert_eq!(log.hellos.len(), 2);
    assert!(log.wants > 102 && log.wants < 2 * 102, "{}", log.wants);
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_away_it_comes_back() {
    let core = Core::start().await;
    core.log().busy = 2;
    let published = plan(1).publish();
    core.publish(&published);
    let mut site = Site::new(&core);
    site.start();
    await_current(&core, &published).await;
    assert_eq!(core.log().hellos.len(), 3);
}

/// Reports that were made with no link arrive once it is there: each once, none lost.
#[tokio::test(flavor = "multi_thread")]
async fn what_happened_in_the_dark_is_reported_afterwards() {
    let mut core = Core::start().await;
    let first = plan(1).publish();
    core.publish(&first);
    let mut site = Site::new(&core);
    site.start();
    await_current(&core, &first).await;
    eventually("the first state", async || core.log().state()).await;
    core.stop().await;
    let before = core.log().last_report();

    fs_err::write(site.folder.path().join("workloads/bad.yaml"), "kind: [").unwrap();
    eventually("the state is kept", async || {
        let status = fs_err::read_to_string(site.data().join("status.json")).ok()?;
        status.contains("bad.yaml").then_some(())
    })
    .await;
    site.kill();
    site.start();
    core.resume().await;
    let state = eventually("the state of the dark", async || {
        core.log().state().filter(|state| !state.workload_problems.is_empty())
    })
    .await;
    assert!(state.workload_problems[0].starts_with("bad.yaml:"), "{:?}", state.workload_problems);
    assert!(core.log().last_report() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_do_the_same_in_calls() {
    let core = Core::start().await;
    core.log().inline = false;
    let published = crate::bundle::Plan { more: 50, ..plan(1) }.publish();
    core.publish(&published);
    let mut site = Site::new(&core).with(&["--link", "pull", "--pull-interval", "200ms"]);
    site.start();
    eventually("the state", async || core.log().state().filter(|state| state.generation == 1)).await;
    core.publish(&crate::bundle::Plan { more: 50, ..plan(2) }.publish());
    eventually("the next state", async || core.log().state().filter(|state| state.generation == 2)).await;
    assert_eq!(core.log().events().iter().filter(|(kind, _)| kind == "APPLIED").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_not_for_here_or_older_is_refused_once() {
    let core = Core::start().await;
    let second = plan(2).publish();
    core.publish(&second);
    let mut site = Site::new(&core);
    site.start();
    await_current(&core, &second).await;

    for (wrong, reason) in [
        (crate::bundle::Plan { site: "store-2", ..plan(3) }.publish(), "the manifest is for site `store-2`"),
        (plan(1).publish(), "is below what this site has run"),
        (plan(2).path("/other").publish(), "generation 2 was issued twice with different content"),
    ] {
        core.publish(&wrong);
        let verdict = eventually("a verdict", async || core.verdict(&wrong)).await;
        assert!(verdict.contains(reason), "{verdict}");
        eventually("the event", async || {
            core.log()
                .events()
                .iter()
                .any(|(kind, detail)| kind == "BUNDLE_REFUSED" && *detail == verdict)
                .then_some(())
        })
        .await;
    }
    site.kill();
    assert_eq!(site.show()["current"]["generation"], 2);
}

/// Whoever answers at the core's address: without the core's key it hears nothing of the site.
#[tokio::test(flavor = "multi_thread")]
async fn another_core_is_not_spoken_to() {
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    // It was enrolled with a core of another authority.
    let stranger = skerry_identity::ca::TransportCa::create(
        &crate::tls_core::mesh(),
        &crate::tls_core::lasting(skerry_identity::lifetimes::ROOT),
    );
    let mut enrolment = crate::site::enrolment("store-1", &format!("https://{}", core.address));
    enrolment.link_roots = vec![skerry_identity::ca::Authority::certificate(&stranger.unwrap()).clone()];
    site.enrol(&enrolment);
    site.start();
    let says = || {
        site.log().lines().filter(|line| line.contains("is issued by nobody that is trusted here")).count()
    };
    eventually("it says why", async || (says() > 2).then_some(())).await;
    let helps = site.log().lines().filter(|line| line.contains("WARN") && line.contains("(help: ")).count();
    assert_eq!(helps, 1, "what to do is said once: {}", site.log());
    assert!(core.log().hellos.is_empty());
}
