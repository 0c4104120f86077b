//! Killed at any moment: what is left is whole, and generations never go back.

use std::process::Command;
use std::time::Duration;

use crate::bundle::{Plan, plan};
use crate::core::Core;
use crate::eventually::eventually;
use crate::site::Site;
use crate::{backend::Backend, envoy};

/// How many times the agent is killed; each time some milliseconds later in an apply.
const KILLS: u64 = 25;

/// Invariant 4: never half a bundle, never a lower generation; and what was acknowledged is there.
#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_applies_it_has_a_whole_bundle() {
    let core = Core::start().await;
    core.log().inline = false;
    let mut site = Site::new(&core);
    site.write_workload("client-1", "client", 9, true);
    let mut highest = 0;
    for round in 1..=KILLS {
        let path: &'static str = if round % 2 == 0 { "/even" } else { "/odd" };
        core.publish(&Plan { more: 40, path, ..plan(round) }.publish());
        site.start();
        let hellos = core.log().hellos.len();
        eventually("hello", async || (core.log().hellos.len() > hellos).then_some(())).await;
        tokio::time::sleep(Duration::from_micros(round * 1_700 % 40_000)).await;
        site.kill();

        let view = site.show();
        let generation = view["current"]["generation"].as_u64().unwrap_or_default();
        assert!(generation >= highest, "{view:#}");
        highest = generation;
        let acknowledged = core.log().applied.len();
        assert!(acknowledged == 0 || generation > 0);
        assert!(!site.log().contains("damaged"), "{}", site.log());
    }
    core.publish(&Plan { more: 40, ..plan(KILLS + 1) }.publish());
    site.start();
    eventually("the newest bundle", async || {
        core.log().state().filter(|state| state.generation == KILLS + 1)
    })
    .await;
}

/// The steps of a spool are named, for whoever listens.
#[tokio::test(flavor = "multi_thread")]
async fn a_spool_names_its_steps() {
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core).with(&["--log", "info,skerry::step=trace"]);
    site.start();
    for step in ["queued", "sending", "acknowledged", "trimmed"] {
        let name = format!("agent.spool.{step}");
        eventually(&name, async || site.log().contains(&name).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_is_moved_aside_and_fetched_anew() {
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.start();
    eventually("the first bundle", async || core.verdict(&plan(1).publish())).await;
    site.kill();
    let path = site.data().join("state.redb");
    let mut bytes = fs_err::read(&path).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
    fs_err::write(&path, bytes).unwrap();
    core.log().applied.clear();

    site.start();
    eventually("the bundle again", async || core.verdict(&plan(1).publish())).await;
    assert!(site.log().contains("the store was damaged; it is kept as"), "{}", site.log());
    assert!(site.data().join("state.redb.damaged-1").exists());
    let (_, detail) = eventually("the core is told", async || {
        core.log().events().into_iter().find(|(kind, _)| kind == "ROLLED_BACK")
    })
    .await;
    assert!(detail.contains("state.redb.damaged-1: the floor of generations is lost"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_on_the_folder_is_told_so() {
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    site.start();
    eventually("the first bundle", async || core.verdict(&plan(1).publish())).await;
    let output = site.command().output().unwrap();
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("another agent runs on this data folder"), "{words}");
}

/// Invariant 5: store damaged, core away, Envoy killed: the launcher starts Envoy from its snapshot, and
/// the agent that knows nothing takes nothing from it.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_5_with_a_damaged_store_and_no_core_it_serves_the_snapshot() {
    let Some(envoy) = envoy::find() else { return };
    let (mut core, backend) = (Core::start().await, Backend::start("one").await);
    core.publish(&plan(1).supervised().publish());
    let mut site = Site::new(&core).with(&["--envoy", envoy.to_str().unwrap()]);
    site.write_workload("client-1", "client", 9, true);
    site.write_workload("echo-1", "echo", backend.address.port(), false);
    site.start();
    site.await_answer("one").await;
    eventually("the first bundle", async || core.verdict(&plan(1).supervised().publish())).await;
    core.stop().await;
    site.kill();
    let path = site.data().join("state.redb");
    let bytes: Vec<u8> = fs_err::read(&path).unwrap().iter().map(|byte| byte ^ 0xff).collect();
    fs_err::write(&path, bytes).unwrap();
    site.start();
    eventually("the agent is up", async || site.log().contains("the store was damaged").then_some(())).await;

    let pid = site.launcher("client-1")["processes"][0]["pid"].as_i64().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    site.await_mode("client-1", "static").await;
    site.await_answer("one").await;

    core.resume().await;
    site.await_mode("client-1", "ads").await;
    site.await_answer("one").await;
}

/// A full disk: what runs goes on, the newer bundle is refused with the reason, and taken as soon as
/// there is room. The disk is a tmpfs in a mount namespace of the agent's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_waited_for() {
    let can_mount = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "x", "/mnt"]).output();
    if !can_mount.is_ok_and(|output| output.status.success()) {
        let words = b"skipped: a full disk needs root and a mount namespace of its own\n";
        let _unheard = std::io::Write::write_all(&mut std::io::stderr(), words);
        return;
    }
    let core = Core::start().await;
    core.publish(&plan(1).publish());
    let mut site = Site::new(&core);
    fs_err::create_dir(site.data()).unwrap();
    let (data, identity) = (site.data(), site.folder.path().join("identity.json"));
    crate::site::enrolment("store-1", &format!("https://{}", core.address)).save(&identity).unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=6m,mode=700 x {0} && cp -p {1} {0} && exec \"$@\"",
        data.display(),
        identity.display()
    );
    site.start_under(&["unshare", "--mount", "sh", "-c", &mount, "sh"]);
    eventually("the first bundle", async || core.verdict(&plan(1).publish())).await;

    let inside = std::path::PathBuf::from(format!("/proc/{}/root{}", site.pid(), site.data().display()));
    let filler = inside.join("filler");
    let full = fs_err::write(&filler, vec![0; 8 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    let next = Plan { more: 3_000, ..plan(2) }.publish();
    core.publish(&next);
    let reason = eventually("the reason", async || core.verdict(&next)).await;
    assert!(reason.contains("it cannot be kept: ") && reason.contains("No space left on device"), "{reason}");
    core.log().applied.clear();

    fs_err::remove_file(&filler).unwrap();
    assert_eq!(eventually("there is room", async || core.verdict(&next)).await, "");
    assert_eq!(site.log().matches("the agent starts site").count(), 1, "it never ended: {}", site.log());
}
