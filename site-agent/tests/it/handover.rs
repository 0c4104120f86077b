//! Envoy without the agent: from the snapshot, and back into ADS without a failed request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::backend::Backend;
use crate::bundle::plan;
use crate::core::Core;
use crate::envoy;
use crate::eventually::eventually;
use crate::http::get;
use crate::site::Site;

/// Invariant 5: agent, launcher and Envoy all gone, the core away. The launcher starts Envoy from the
/// snapshot; the agent comes back and takes it over. Requests run meanwhile, and none fails.
#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_from_the_snapshot_is_handed_over_without_a_failed_request() {
    let Some(envoy) = envoy::find() else { return };
    let (mut core, backend) = (Core::start().await, Backend::start("one").await);
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    eventually("the snapshot", async || site.proxy("client-1").join("static.pb").is_file().then_some(()))
        .await;
    core.stop().await;
    site.kill();

    let mut launcher = launch(&site, &envoy);
    assert_eq!(site.await_mode("client-1", "static").await, 0);
    site.await_answer("one").await;

    let (stop, asked, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..4 {
        clients.spawn(ask_on(site.service(1), stop.clone(), asked.clone(), failed.clone()));
    }
    site.start();
    assert_eq!(site.await_mode("client-1", "ads").await, 1);
    let base_id: u64 =
        fs_err::read_to_string(site.proxy("client-1").join("base-id")).unwrap().trim().parse().unwrap();
    let shared_memory = format!("/dev/shm/envoy_shared_memory_{}", base_id * 10);
    assert!(std::path::Path::new(&shared_memory).exists());
    envoy::await_connected(&site.admin("client-1", 1)).await;
    eventually("the old Envoy has ended", async || {
        (site.launcher("client-1")["processes"].as_array()?.len() == 1).then_some(())
    })
    .await;
    let before = asked.load(Ordering::Relaxed);
    eventually("requests go on", async || (asked.load(Ordering::Relaxed) > before + 100).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    clients.join_all().await;
    assert_eq!(failed.load(Ordering::Relaxed), 0, "of {}", asked.load(Ordering::Relaxed));

    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    assert!(launcher.wait().unwrap().success());
    assert!(!std::path::Path::new(&shared_memory).exists());
    assert!(get(&site.service(1), "/").await.is_err());
}

fn launch(site: &Site, envoy: &std::path::Path) -> std::process::Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_skerry-agent"));
    command.arg("launch").arg("--proxy-dir").arg(site.proxy("client-1")).arg("--envoy").arg(envoy);
    command.args(["--drain-seconds", "1"]).stderr(std::process::Stdio::null()).spawn().unwrap()
}

async fn ask_on(address: String, stop: Arc<AtomicBool>, asked: Arc<AtomicU64>, failed: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let is_well = get(&address, "/").await.is_ok_and(|answer| answer.status == 200);
        asked.fetch_add(1, Ordering::Relaxed);
        failed.fetch_add(u64::from(!is_well), Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A launcher that was killed takes its Envoy with it, and the next one starts another: there is
/// never an Envoy that nobody looks after.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_launcher_leaves_no_envoy_behind() {
    let Some(envoy) = envoy::find() else { return };
    let (core, backend) = (Core::start().await, Backend::start("one").await);
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    eventually("the snapshot", async || site.proxy("client-1").join("static.pb").is_file().then_some(()))
        .await;

    let mut launcher = launch(&site, &envoy);
    site.await_answer("one").await;
    let second = launch(&site, &envoy).wait().unwrap();
    assert!(!second.success(), "one launcher for each proxy");
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    eventually("Envoy has ended", async || get(&site.service(1), "/").await.is_err().then_some(())).await;

    let mut launcher = launch(&site, &envoy);
    site.await_answer("one").await;
    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    assert!(launcher.wait().unwrap().success());
    assert!(get(&site.service(1), "/").await.is_err());
}
