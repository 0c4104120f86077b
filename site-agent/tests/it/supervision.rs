//! The agent runs the site's Envoys: starts them, finds them again, restarts and drains them.

use rustix::process::{Pid, Signal, kill_process};

use crate::backend::Backend;
use crate::bundle::plan;
use crate::core::Core;
use crate::envoy;
use crate::eventually::eventually;
use crate::http::get;
use crate::site::Site;

async fn supervised(core: &Core, backend: &Backend, arguments: &[&str]) -> Option<Site> {
    let envoy = envoy::find()?;
    core.publish(&plan(1).supervised().publish());
    let mut site = Site::new(core).with(&["--envoy", envoy.to_str().unwrap()]).with(arguments);
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    site.await_answer("one").await;
    Some(site)
}

fn envoy_pid(site: &Site) -> Option<i32> {
    i32::try_from(site.launcher("client-1")["processes"][0]["pid"].as_i64()?).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_falls_is_started_again_and_reported() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = supervised(&core, &backend, &[]).await else { return };
    let first = envoy_pid(&site).unwrap();
    kill_process(Pid::from_raw(first).unwrap(), Signal::KILL).unwrap();
    eventually("another Envoy", async || envoy_pid(&site).filter(|pid| *pid != first)).await;
    site.await_answer("one").await;
    let (_, detail) = eventually("the event", async || {
        core.log().events().into_iter().find(|(kind, _)| kind == "PROXY_EXITED")
    })
    .await;
    assert!(detail.starts_with("proxy shop/client-1 ended: signal: 9"), "{detail}");
    eventually("the count", async || core.log().state().filter(|state| state.proxies[0].restarts == 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proxies_outlive_the_agent_and_are_found_again() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(mut site) = supervised(&core, &backend, &[]).await else { return };
    let (envoy, launcher) = (envoy_pid(&site), site.launcher("client-1")["launcher"].clone());
    site.stop();
    assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
    site.start();
    envoy::await_connected(&site.admin("client-1", 0)).await;
    assert_eq!((envoy_pid(&site), site.launcher("client-1")["launcher"].clone()), (envoy, launcher));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_that_goes_takes_its_proxy_with_it() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(site) = supervised(&core, &backend, &[]).await else { return };
    site.remove_workload("client-1");
    eventually("the proxy has ended", async || get(&site.service(1), "/").await.is_err().then_some(())).await;
    eventually("it is not reported", async || core.log().state().filter(|state| state.proxies.is_empty()))
        .await;
    eventually("its folder is gone", async || (!site.proxy("client-1").exists()).then_some(())).await;

    site.write_workload("client-1", "client", 9, true);
    site.await_answer("one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_it_stops_the_proxies_with_itself() {
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    let Some(mut site) = supervised(&core, &backend, &["--stop-proxies-on-exit"]).await else { return };
    site.stop();
    assert!(get(&site.service(1), "/").await.is_err());
    assert_eq!(envoy_pid(&site), None);
}
