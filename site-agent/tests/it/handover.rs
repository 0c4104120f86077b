//! Envoy without the agent: from the snapshot, and back into ADS without a failed request.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::bundle::{PORT, plan};
use crate::core::Core;
use crate::envoy;
use crate::eventually::eventually;
use crate::http::{ask_socket, get, get_patiently};
use crate::site::Site;

/// Invariant 5: agent, launcher and Envoy all gone, the core away. The launcher starts Envoy from the
/// snapshot; the agent comes back and takes it over. Requests run meanwhile, and none fails.
#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_from_the_snapshot_is_handed_over_without_a_failed_request() {
    let Some(envoy) = envoy::find() else { return };
    let (mut site, mut launcher, _backend) = alone(&envoy, "1").await;
    let (stop, asked, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        clients.spawn(ask_on(site.service(1), stop.clone(), asked.clone(), failed.clone()));
    }
    site.start();
    assert_eq!(site.await_mode("client-1", "ads").await, 1);
    let base_id: u64 =
        fs_err::read_to_string(site.proxy("client-1").join("base-id")).unwrap().trim().parse().unwrap();
    let shared_memory = format!("/dev/shm/envoy_shared_memory_{}", base_id * 10);
    assert!(Path::new(&shared_memory).exists());
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
    assert!(!Path::new(&shared_memory).exists());
    assert!(get(&site.service(1), "/").await.is_err());
}

fn launch(site: &Site, envoy: &Path) -> Child {
    launch_with(site, envoy, "1")
}

/// Starts a launcher whose Envoys may drain for so many seconds; what it says goes to a file.
fn launch_with(site: &Site, envoy: &Path, drain: &str) -> Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_skerry-agent"));
    command.arg("launch").arg("--proxy-dir").arg(site.proxy("client-1")).arg("--envoy").arg(envoy);
    let log = fs_err::File::create(site.folder.path().join("launcher.log")).unwrap();
    command.args(["--drain-seconds", drain]).stderr(log.into_parts().0).spawn().unwrap()
}

/// A site whose Envoy runs from its snapshot, with neither core nor agent.
async fn alone(envoy: &Path, drain: &str) -> (Site, Child, Backend) {
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
    let launcher = launch_with(&site, envoy, drain);
    assert_eq!(site.await_mode("client-1", "static").await, 0);
    site.await_answer("one").await;
    (site, launcher, backend)
}

/// An agent that takes every connection and says nothing; an Envoy waits for it.
fn silent_agent(site: &Site) -> UnixListener {
    let socket = site.proxy("client-1").join("ads.sock");
    fs_err::remove_file(&socket).ok();
    UnixListener::bind(socket).unwrap()
}

fn envoys(site: &Site) -> Vec<Pid> {
    let processes = site.launcher("client-1")["processes"].as_array().cloned().unwrap_or_default();
    let pids = processes.iter().filter_map(|process| i32::try_from(process["pid"].as_i64()?).ok());
    pids.filter_map(Pid::from_raw).collect()
}

/// The agent goes away again while an Envoy waits for it: the one from the snapshot serves on.
#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_waits_for_the_agent_does_not_take_the_old_one_with_it() {
    let Some(envoy) = envoy::find() else { return };
    let (site, mut launcher, _backend) = alone(&envoy, "1").await;
    let agent = silent_agent(&site);
    eventually("a second Envoy waits", async || (envoys(&site).len() == 2).then_some(())).await;
    drop(agent);
    // Longer than an Envoy that is alone waits.
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        assert_eq!(get(&site.service(1), "/").await.unwrap().body, "one");
    }
    assert_eq!(envoys(&site).len(), 2);
    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    assert!(launcher.wait().unwrap().success());
}

/// Envoy refuses every hot restart after one that failed. The proxy comes back to the agent all the same.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_hot_restart_another_envoy_takes_over() {
    let Some(envoy) = envoy::find() else { return };
    let (mut site, mut launcher, _backend) = alone(&envoy, "1").await;
    let agent = silent_agent(&site);
    eventually("a second Envoy waits", async || (envoys(&site).len() == 2).then_some(())).await;
    let [newest, old] = envoys(&site)[..] else { panic!("two Envoys") };
    let waits = async || ask_socket(&site.admin("client-1", 1), "GET", "/ready").await.ok();
    eventually("it has begun", waits).await;
    kill_process(newest, Signal::KILL).unwrap();
    drop(agent);
    site.start();
    eventually("another serves, and the old one has ended", async || {
        let envoys = envoys(&site);
        // A connection that the kernel had queued for the old Envoy is lost with its socket, unless
        // `net.ipv4.tcp_migrate_req` is set: the next one is served.
        let is_served = get(&site.service(1), "/").await.is_ok() || get(&site.service(1), "/").await.is_ok();
        assert!(is_served, "somebody serves all the time");
        (envoys.len() == 1 && !envoys.contains(&old)).then_some(())
    })
    .await;
    envoy::await_connected(&site.admin("client-1", 1)).await;
    site.await_answer("one").await;
    assert_eq!(site.launcher("client-1")["restarts"], 0, "the proxy was never down");
    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    assert!(launcher.wait().unwrap().success());
}

/// Somebody else has the address of one service: an Envoy that starts from its snapshot serves all the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_taken_address_costs_an_envoy_without_an_agent_one_listener() {
    let Some(envoy) = envoy::find() else { return };
    let (site, mut launcher, _backend) = alone(&envoy, "1").await;
    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    assert!(launcher.wait().unwrap().success());
    // The name server of the proxy is not there any more, and its address is somebody's.
    let names = site.service(0).replace(&format!(":{PORT}"), ":15053");
    let _taken = std::net::UdpSocket::bind(&names).unwrap();

    let mut launcher = launch(&site, &envoy);
    site.await_answer("one").await;
    let log = fs_err::read_to_string(site.folder.path().join("launcher.log")).unwrap();
    assert!(log.contains(&format!("somebody else has {names}: Envoy starts without it")), "{log}");
    assert_eq!(site.launcher("client-1")["processes"][0]["mode"], "static");
    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    assert!(launcher.wait().unwrap().success());
}

/// A request that is open when the drain begins is answered, and then nobody waits any longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_open_during_a_drain_is_answered() {
    let Some(envoy) = envoy::find() else { return };
    let core = Core::start().await;
    let (backend, gate) = Backend::start_held("one").await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    let mut launcher = launch_with(&site, &envoy, "600");
    eventually("Envoy runs", async || (!envoys(&site).is_empty()).then_some(())).await;
    let service = site.service(1);
    let mut request = JoinSet::new();
    request.spawn(async move {
        loop {
            // Refused until the listener is there.
            if let Ok(answer) = get_patiently(&service, "/").await {
                return answer;
            }
        }
    });
    gate.asked().await;

    kill_process(Pid::from_child(&launcher), Signal::TERM).unwrap();
    eventually("the drain has begun", async || {
        let log = fs_err::read_to_string(site.folder.path().join("launcher.log")).unwrap();
        log.contains("drains: asked to").then_some(())
    })
    .await;
    // Many times as long as a launcher waits between two looks at the connections.
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        assert!(launcher.try_wait().unwrap().is_none(), "it ends with a request open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    gate.open();
    let answer = request.join_next().await.unwrap().unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "one"));
    eventually("the launcher ends", async || launcher.try_wait().unwrap()).await;
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
