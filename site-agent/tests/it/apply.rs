//! From an offer to an Envoy that serves it, and back when it does not.

use crate::backend::Backend;
use crate::bundle::plan;
use crate::core::Core;
use crate::envoy::{self, await_connected, updates};
use crate::eventually::eventually;
use crate::http::{Answer, get};
use crate::site::Site;

/// A site with one client that has an Envoy, and one backend; supervised, at its first bundle.
pub(crate) async fn served(core: &Core, arguments: &[&str], backend: &Backend) -> Option<Site> {
    let envoy = envoy::find()?;
    core.publish(&plan(1).supervised().publish());
    let mut site = Site::new(core).with(&["--envoy", envoy.to_str().unwrap()]).with(arguments);
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    site.await_answer("one").await;
    Some(site)
}

async fn await_verdict(core: &Core, published: &crate::bundle::Published) -> String {
    eventually("a verdict", async || core.verdict(published)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_bundle_is_served_and_reported() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = served(&core, &[], &backend).await else { return };
    assert_eq!(await_verdict(&core, &plan(1).supervised().publish()).await, "");

    let state = eventually("the proxy is reported as ready", async || {
        let state = core.log().state()?;
        (state.proxies.first()?.phase().as_str_name() == "PHASE_READY").then_some(state)
    })
    .await;
    assert_eq!((state.generation, state.workloads), (1, 2));
    assert_eq!(
        (state.proxies[0].workload.as_str(), state.proxies[0].config_hash.len()),
        ("shop/client-1", 8)
    );
    assert_eq!(state.workload_problems, Vec::<String>::new());
    assert_eq!(core.log().events(), [("APPLIED".to_owned(), String::new())]);
    assert_eq!(site.show()["agent"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_the_world_serves_alike() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = served(&core, &["--xds", "sotw"], &backend).await else { return };
    core.publish(&plan(2).supervised().path("/moved").publish());
    let address = site.service(1);
    eventually("the new route", async || get(&address, "/").await.ok().filter(|answer| answer.status == 404))
        .await;
    assert_eq!(get(&address, "/moved").await.unwrap(), Answer { status: 200, body: "one".into() });
}

/// Invariant 5: what runs goes on across a restart of the agent, with the core away, and a restart
/// pushes nothing anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_pushes_nothing_anew() {
    for variant in ["delta", "sotw"] {
        let (mut core, backend) = (Core::start().await, Backend::start("one").await);
        let Some(mut site) = served(&core, &["--xds", variant], &backend).await else { return };
        let admin = site.admin("client-1", 0);
        await_verdict(&core, &plan(1).supervised().publish()).await;
        let before = eventually("Envoy has settled", async || {
            let first = updates(&admin).await;
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            (first == updates(&admin).await).then_some(first)
        })
        .await;

        core.stop().await;
        site.kill();
        eventually("Envoy noticed", async || {
            (envoy::stat(&admin, "control_plane.connected_state").await == Some(0)).then_some(())
        })
        .await;
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
        site.start();
        await_connected(&admin).await;
        // The agent knows that Envoy has everything as soon as Envoy has said what it has.
        eventually("the agent knows it", async || {
            let status = fs_err::read_to_string(site.data().join("status.json")).ok()?;
            let status: serde_json::Value = serde_json::from_str(&status).ok()?;
            (status["proxies"][0]["phase"] == "ready" && site.log().matches("the agent starts").count() == 2)
                .then_some(())
        })
        .await;
        assert_eq!(updates(&admin).await, before, "{variant}");
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
    }
}

/// A bundle that passes every check of ours and that Envoy refuses: the site goes back by itself,
/// says why, and does not try it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_envoy_refuses_is_rolled_back() {
    let (mut core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = served(&core, &[], &backend).await else { return };
    let bad = plan(2).supervised().path("~(").publish();
    core.publish(&bad);
    let reason = await_verdict(&core, &bad).await;
    assert!(reason.starts_with("proxy shop/client-1 refused it: route"), "{reason}");
    assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
    eventually("the event", async || {
        core.log()
            .events()
            .iter()
            .any(|(kind, detail)| kind == "ROLLED_BACK" && *detail == reason)
            .then_some(())
    })
    .await;

    core.stop().await;
    core.log().applied.clear();
    core.resume().await;
    assert_eq!(await_verdict(&core, &bad).await, reason);
    let rolled_back =
        |core: &Core| core.log().events().iter().filter(|(kind, _)| kind == "ROLLED_BACK").count();
    assert_eq!(rolled_back(&core), 1, "it was not tried again");

    let good = plan(3).supervised().publish();
    core.publish(&good);
    assert_eq!(await_verdict(&core, &good).await, "");
    site.await_answer("one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_workload_file_moves_the_endpoint() {
    let core = Core::start().await;
    let (one, two) = (Backend::start("one").await, Backend::start("two").await);
    let Some(site) = served(&core, &[], &one).await else { return };
    site.write_workload("echo-1", "echo", two.address.port(), false);
    site.await_answer("two").await;

    site.write_workload("echo-2", "echo", one.address.port(), false);
    site.remove_workload("echo-1");
    site.await_answer("one").await;

    let file = site.folder.path().join("workloads/echo-2.yaml");
    fs_err::write(&file, "kind: [").unwrap();
    eventually("the broken file is reported", async || {
        let state = core.log().state()?;
        state.workload_problems.first().filter(|problem| problem.starts_with("echo-2.yaml:")).cloned()
    })
    .await;
    assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
}

/// Invariant 7: an address that somebody else has costs the one service; it comes back when it is free.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_a_taken_address_takes_back_no_bundle() {
    for variant in ["delta", "sotw"] {
        let (core, backend) = (Core::start().await, Backend::start("one").await);
        let Some(site) = served(&core, &["--xds", variant], &backend).await else { return };
        await_verdict(&core, &plan(1).supervised().publish()).await;
        let taken = std::net::TcpListener::bind(site.service(2)).unwrap();
        let wider = crate::bundle::Plan { more: 2, ..plan(2).supervised() }.publish();
        core.publish(&wider);
        assert_eq!(await_verdict(&core, &wider).await, "", "{variant}: {}", site.log());
        let third = site.service(3);
        eventually("the service beside it", async || get(&third, "/").await.ok()).await;
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
        let problem = eventually("the problem is reported", async || {
            core.log().state()?.workload_problems.first().cloned()
        })
        .await;
        let expected = format!(
            "proxy shop/client-1: service shop/more-0: port 8080 has no listener: {} cannot be bound: Address already in use",
            site.service(2)
        );
        assert!(problem.starts_with(&expected), "{problem}");

        drop(taken);
        eventually("it is free", async || get(&site.service(2), "/").await.ok()).await;
        eventually("and well", async || {
            core.log().state().filter(|state| {
                state.workload_problems.is_empty() && state.proxies[0].phase().as_str_name() == "PHASE_READY"
            })
        })
        .await;
        assert!(core.log().events().iter().all(|(kind, _)| kind == "APPLIED"), "{:?}", core.log().events());
    }
}

/// Make before break: a workload that gets a proxy of its own while requests run loses none of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_gets_a_proxy_loses_no_request() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = served(&core, &[], &backend).await else { return };
    let stop = tokio_util::sync::CancellationToken::new();
    let (address, over) = (site.service(1), stop.clone());
    let mut asking = tokio::task::JoinSet::new();
    asking.spawn(async move {
        let (mut asked, mut failed) = (0_u32, Vec::new());
        while !over.is_cancelled() {
            asked += 1;
            match get(&address, "/").await {
                Ok(answer) if answer.status == 200 => {}
                other => failed.push(format!("{other:?}")),
            }
        }
        (asked, failed)
    });
    site.write_proxied("echo-1", "echo", "127.0.0.1", backend.address.port(), 15_106);
    let admin = site.admin("echo-1", 0);
    let requests = format!("cluster.inbound/{}.upstream_rq_total", backend.address.port());
    eventually("requests go through the new proxy", async || {
        envoy::stat(&admin, &requests).await.filter(|count| *count > 20)
    })
    .await;
    stop.cancel();
    let (asked, failed) = asking.join_next().await.expect("one task").unwrap();
    assert!(asked > 40 && failed.is_empty(), "{asked} asked: {failed:?}");
}
