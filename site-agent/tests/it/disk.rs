//! A disk that cannot be written, under a real agent with a real Envoy: what runs goes on, it is said why nothing newer
//! does, and it ends by itself.

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::backend::Backend;
use crate::bundle::{Published, plan};
use crate::core::Core;
use crate::envoy::{self, await_connected};
use crate::eventually::eventually;
use crate::http::get;
use crate::site::Site;

fn bundle(generation: u64) -> Published {
    plan(generation).supervised().publish()
}

/// A site on a disk of its own that serves its first bundle.
async fn served(core: &Core, backend: &Backend) -> Option<Site> {
    let envoy = envoy::find()?;
    core.publish(&bundle(1));
    let mut site = Site::new(core).with(&["--envoy", envoy.to_str().unwrap()]);
    if !site.mount() {
        return None;
    }
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    site.await_answer("one").await;
    let state = eventually("the proxy is ready", async || {
        core.log().state().filter(|state| {
            state.generation == 1
                && state.proxies.first().is_some_and(|proxy| proxy.phase().as_str_name() == "PHASE_READY")
        })
    });
    state.await;
    Some(site)
}

/// Lets the agent write files of at most so many bytes.
fn limit(site: &Site, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(site.pid()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

async fn await_verdict(core: &Core, published: &Published, is: impl Fn(&str) -> bool) -> String {
    eventually("the verdict", async || core.verdict(published).filter(|verdict| is(verdict))).await
}

/// Waits until the site says of itself that its disk is in trouble, or that it is not.
async fn await_trouble(core: &Core, words: Option<&str>) {
    eventually(&format!("the trouble {words:?}"), async || {
        let state = core.log().state()?;
        let told = state.workload_problems.first();
        let is_it = match words {
            Some(words) => told.is_some_and(|told| told.contains(words)),
            None => told.is_none(),
        };
        is_it.then_some(())
    })
    .await;
}

fn refusals(core: &Core) -> Vec<String> {
    let refused = |(kind, detail): (String, String)| (kind == "BUNDLE_REFUSED").then_some(detail);
    core.log().events().into_iter().filter_map(refused).collect()
}

/// A disk that goes read-only while the agent runs, as after an error of the medium.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_a_disk_that_becomes_read_only_stops_nothing_that_runs() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = served(&core, &backend).await else { return };
    // The kernel mounts nothing read-only while a file is open for writing. The agent closes its store after a write that
    // fails, so it is made to fail first.
    limit(&site, Some(0));
    core.publish(&bundle(2));
    await_verdict(&core, &bundle(2), |verdict| verdict.contains("it cannot be kept: ")).await;
    eventually("the disk is read-only", async || site.remount("ro").then_some(())).await;
    limit(&site, None);

    core.publish(&bundle(3));
    let reason = await_verdict(&core, &bundle(3), |verdict| !verdict.is_empty()).await;
    assert!(reason.contains("Read-only file system"), "{reason}");
    await_trouble(&core, Some("Read-only file system")).await;
    assert_eq!(core.log().state().unwrap().generation, 1, "and it says so with what it runs");
    assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
    // Endpoints are no matter of the disk.
    let other = Backend::start("two").await;
    site.write_workload("echo-1", "echo", other.address.port(), false);
    site.await_answer("two").await;

    assert!(site.remount("rw"));
    assert_eq!(await_verdict(&core, &bundle(3), str::is_empty).await, "");
    await_trouble(&core, None).await;
    let told = refusals(&core);
    assert_eq!(told.len(), 2, "once for each bundle: {told:#?}");
    assert_eq!(site.log().matches("the agent starts site").count(), 1, "it never ended: {}", site.log());
}

/// A disk that is read-only when the agent starts: it serves from its slots, writes nothing, and starts over by itself when
/// the disk is well again.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_an_agent_that_starts_on_a_read_only_disk_serves_its_last_bundle() {
    let (mut core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(mut site) = served(&core, &backend).await else { return };
    let before = core.log().events().len();
    core.stop().await;
    site.kill();
    assert!(site.remount("ro"));
    assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");

    site.start();
    eventually("the agent is up", async || site.log().contains("what was kept is served").then_some(()))
        .await;
    await_connected(&site.admin("client-1", 0)).await;
    let other = Backend::start("two").await;
    site.write_workload("echo-1", "echo", other.address.port(), false);
    site.await_answer("two").await;
    // An Envoy that knows nothing is given all of it.
    let pid = i32::try_from(site.launcher("client-1")["processes"][0]["pid"].as_i64().unwrap()).unwrap();
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    site.await_answer("two").await;

    core.publish(&bundle(2));
    core.resume().await;
    let reason = await_verdict(&core, &bundle(2), |verdict| !verdict.is_empty()).await;
    assert!(reason.contains("Read-only file system"), "{reason}");
    await_trouble(&core, Some("Read-only file system")).await;
    assert_eq!(core.log().state().unwrap().generation, 1);
    eventually("the refusal is reported", async || (refusals(&core).len() == 1).then_some(())).await;

    assert!(site.remount("rw"));
    assert_eq!(await_verdict(&core, &bundle(2), str::is_empty).await, "");
    await_trouble(&core, None).await;
    site.await_answer("two").await;
    let log = site.log();
    assert!(log.contains("the disk can be written again") && log.contains("starts over"), "{log}");
    assert_eq!(log.matches("the agent starts site").count(), 3, "once killed, and once over: {log}");
    let events = core.log().events().split_off(before);
    let kinds: Vec<&str> =
        events.iter().map(|(kind, _)| kind.as_str()).filter(|kind| *kind != "PROXY_EXITED").collect();
    assert_eq!(kinds, ["BUNDLE_REFUSED", "APPLIED"], "{events:#?}");
}
