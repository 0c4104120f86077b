//! Cores that lie, that are of another release, or that are not of one mind with the agent: it goes on with what it runs,
//! says why, and comes back later and later.

use skerry_proto::limits::MAX_MESSAGE_BYTES;

use crate::apply::served;
use crate::backend::Backend;
use crate::bundle::{Plan, Published, plan};
use crate::core::{Core, Damage, Signer};
use crate::eventually::eventually;
use crate::http::get;
use crate::site::Site;

fn bundle(generation: u64) -> Published {
    Plan { more: 3, ..plan(generation).supervised() }.publish()
}

async fn await_verdict(core: &Core, published: &Published, is: impl Fn(&str) -> bool) -> String {
    eventually("the verdict", async || core.verdict(published).filter(|verdict| is(verdict))).await
}

async fn await_generation(core: &Core, generation: u64) {
    let says_so = async || core.log().state().filter(|state| state.generation == generation);
    eventually("the site says that it runs it", says_so).await;
}

fn refusals(core: &Core) -> Vec<String> {
    let refused = |(kind, detail): (String, String)| (kind == "BUNDLE_REFUSED").then_some(detail);
    core.log().events().into_iter().filter_map(refused).collect()
}

/// Fragments that are altered or cut off, in offers and in chunks: none of it runs, it is told once, and the link stays up
/// for what there is to tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_fragment_that_is_not_what_it_claims_to_be_never_runs_and_is_told_once() {
    for (inline, damage) in [(true, Damage::Altered), (false, Damage::Truncated)] {
        let (core, backend) = (Core::start().await, Backend::start("one").await);
        let Some(site) = served(&core, &[], &backend).await else { return };
        let first = plan(1).supervised().publish();
        await_verdict(&core, &first, str::is_empty).await;
        (core.log().inline, core.log().damage) = (inline, damage);
        let hellos = core.log().hellos.len();

        core.publish(&bundle(2));
        let told = eventually("it is told", async || refusals(&core).pop()).await;
        assert!(told.starts_with("it arrived damaged 3 times in a row, the last time so: "), "{told}");
        let reason = await_verdict(&core, &bundle(2), |verdict| !verdict.is_empty()).await;
        assert!(reason.starts_with("it arrived damaged, and is asked for again: "), "{reason}");
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
        assert_eq!(core.log().state().unwrap().generation, 1);
        let tries = core.log().hellos.len() - hellos;
        assert_eq!(tries, 2, "one hello for each further try");

        core.log().damage = Damage::None;
        await_verdict(&core, &bundle(2), str::is_empty).await;
        assert_eq!(refusals(&core).len(), 1, "{damage:?}: {:?}", refusals(&core));
    }
}

/// A core that no longer talks to agents of this release: its words are in the log, the site serves on, and comes back
/// until it is let in.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_turned_away_serves_on_and_comes_back() {
    let words = "the agent speaks protocol 1, and this core 2 to 3: upgrade the agent";
    for link in ["stream", "pull"] {
        let (mut core, backend) = (Core::start().await, Backend::start("one").await);
        let arguments = ["--link", link, "--pull-interval", "100ms"];
        let Some(site) = served(&core, &arguments, &backend).await else { return };
        core.log().refusal = Some(words);
        core.stop().await;
        core.resume().await;

        eventually("it comes back", async || (core.log().turned_away > 3).then_some(())).await;
        let log = site.log();
        let said: Vec<&str> = log.lines().filter(|line| line.contains(words)).collect();
        assert!(said.len() >= 3 && said.iter().all(|line| line.contains("pause_ms=")), "{link}: {log}");
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");

        core.log().refusal = None;
        core.publish(&bundle(2));
        await_generation(&core, 2).await;
    }
}

/// A core of the next release, whose messages and fields are not all known here.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_core_says_beside_the_rest_is_passed_over() {
    let core = Core::start().await;
    (core.log().is_newer, core.log().inline) = (true, false);
    core.publish(&bundle(1));
    let mut site = Site::new(&core);
    site.start();
    await_verdict(&core, &bundle(1), str::is_empty).await;
    core.publish(&bundle(2));
    await_verdict(&core, &bundle(2), str::is_empty).await;
    assert_eq!(core.log().hellos.len(), 1, "nothing made it hang up");
    assert!(core.log().hellos.iter().all(|hello| hello.protocol == skerry_proto::limits::PROTOCOL));
}

/// Invariant 9: a message over the cap is not read; the cap is named, and the core is asked again later and later.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_a_message_over_the_cap_is_not_read_and_the_site_serves_on() {
    for link in ["stream", "pull"] {
        let (core, backend) = (Core::start().await, Backend::start("one").await);
        let arguments = ["--link", link, "--pull-interval", "100ms"];
        let Some(site) = served(&core, &arguments, &backend).await else { return };
        await_generation(&core, 1).await;
        core.log().excess = MAX_MESSAGE_BYTES;
        core.publish(&bundle(2));
        let named = format!("the limit is: {MAX_MESSAGE_BYTES} bytes");
        let says = || site.log().lines().filter(|line| line.contains(&named)).count();
        eventually("the cap is named again and again", async || (says() > 3).then_some(())).await;
        let log = site.log();
        assert!(
            log.lines().filter(|line| line.contains(&named)).all(|line| line.contains("pause_ms=")),
            "{log}"
        );
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");

        core.log().excess = 0;
        await_generation(&core, 2).await;
    }
}

/// A report that the core refuses costs itself: those before and behind it arrive, and a word in its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_the_core_refuses_keeps_back_no_other() {
    let mut core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.start();
    await_verdict(&core, &plan(1).publish(), str::is_empty).await;
    eventually("the first state", async || core.log().state()).await;
    // What is offered here is refused by the site, so that there are events with words of the test.
    core.log().dislikes = Some("store-2");
    let wrong = Plan { site: "store-2", ..plan(2) }.publish();
    core.publish(&wrong);
    await_verdict(&core, &wrong, |verdict| !verdict.is_empty()).await;
    core.publish(&plan(3).publish());
    await_verdict(&core, &plan(3).publish(), str::is_empty).await;

    let dropped = eventually("the word in its place", async || {
        core.log().events().into_iter().find(|(kind, _)| kind == "REPORT_DROPPED")
    });
    let (_, words) = dropped.await;
    assert!(words.ends_with("and the agent dropped it: a report breaks a rule"), "{words}");
    eventually("what was behind it", async || core.log().state().filter(|state| state.generation == 3)).await;
    let kinds: Vec<String> = core.log().events().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "APPLIED").count(), 2, "{kinds:?}");
    assert!(core.log().turned_away < 9, "it is found, and not tried for ever: {}", core.log().turned_away);
    core.stop().await;
}

/// What nobody vouches for who is believed is not run, and the same manifest is taken once somebody does.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_believed_only_because_of_who_signed_it() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = served(&core, &[], &backend).await else { return };
    await_generation(&core, 1).await;
    for (generation, signer, expected) in [
        (2, Signer::Nobody, "0 of the 1 signatures by core keys of trust root 1 that are needed"),
        (3, Signer::Stranger, "0 of the 1 signatures by core keys"),
        (4, Signer::OtherContent, "0 of the 1 signatures by core keys"),
        (5, Signer::OtherPurpose, "0 of the 1 signatures by core keys"),
        (6, Signer::Noise, "71 bytes are not a multiple of 72"),
    ] {
        core.log().signer = signer;
        core.publish(&bundle(generation));
        let reason = await_verdict(&core, &bundle(generation), |verdict| !verdict.is_empty()).await;
        assert!(reason.contains(expected), "{signer:?}: {reason}");
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
    }
    core.log().signer = Signer::Core;
    await_generation(&core, 6).await;
    eventually("each is told", async || (refusals(&core).len() == 5).then_some(())).await;
}
