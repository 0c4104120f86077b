//! The demo as a program: what `--keep` leaves up can be used, and however it ends nothing of it is left.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use skerry_tests::http::Request;
use skerry_tests::process::{self, Process};
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, run};

/// A running demo, whose own folders are in one of ours.
struct Demo {
    process: Process,
    folders: PathBuf,
}

impl Demo {
    fn start(run: &Arc<Run>) -> Self {
        // The name is short: a Unix socket's path has at most 107 bytes.
        let folders = run.make_folder("t").expect("a folder can be made");
        // All runs claim their addresses in one folder.
        let claims = std::env::temp_dir().join("skerry-net");
        std::os::unix::fs::symlink(claims, folders.join("skerry-net")).expect("a link can be made");
        let mut command = Command::new(run.binaries().ours("skerry-demo").expect("the demo is built"));
        command.arg("--envoy").arg(run.binaries().envoy().expect("there is an Envoy"));
        let programs = run.binaries().ours("skerry").expect("the command is built");
        command.arg("--bin-dir").arg(programs.parent().expect("it is in a folder")).arg("--keep");
        command.env("TMPDIR", &folders);
        let process = run.spawn("demo", &mut command).expect("the demo starts");
        Self { process, folders }
    }

    /// Waits until it has said something.
    async fn says(&mut self, words: &str) -> String {
        let said = async || {
            self.process.must_run()?;
            let log = self.process.log();
            ensure!(log.contains(words), "{log}");
            Ok(log)
        };
        eventually(words, DEADLINE * 2, said).await.expect("the demo goes on")
    }

    /// The folder of its run.
    fn folder(&self) -> Result<PathBuf> {
        let entries = fs_err::read_dir(&self.folders)?.flatten().map(|entry| entry.path());
        let mut folders = entries.filter(|path| !path.ends_with("skerry-net"));
        folders.next().context("it has no folder")
    }

    /// Interrupts it as Ctrl-C does; nothing of it is left, and it says so.
    async fn interrupt(mut self) {
        let folder = self.folder().expect("it has one as long as it runs");
        assert!(process::of_run(&folder).len() > 3, "a core, agents and services are up");
        self.process.signal(Signal::INT).expect("it runs");
        let status = self.process.wait(DEADLINE).await.expect("it ends");
        let log = self.process.log();
        assert_eq!(status.code(), Some(130), "{log}");
        assert!(log.contains("cleaned up: no process is left") && log.contains("ended by Ctrl-C"), "{log}");
        assert_eq!(process::of_run(&folder), []);
        assert!(self.folder().is_err(), "no folder is left in {}", self.folders.display());
    }
}

/// Finds the addresses that the demo invites to ask.
fn invited(log: &str) -> Vec<std::net::SocketAddr> {
    let urls = log.lines().filter_map(|line| line.trim().strip_prefix("curl http://"));
    urls.map(|rest| rest.split('/').next().and_then(|address| address.parse().ok()).expect("an address"))
        .collect()
}

#[tokio::test]
async fn a_demo_that_is_kept_can_be_used_and_ctrl_c_leaves_nothing() {
    let run = run();
    let mut demo = Demo::start(&run);
    let log = demo.says("Everything stays up until Ctrl-C").await;
    let services = invited(&demo.says("# logs").await);
    assert_eq!(services.len(), 3, "one for each site: {log}");
    for service in services {
        let reply = Request::get("/").send(service).await.expect("a service that is kept up answers");
        assert_eq!(reply.status.as_u16(), 200, "{}", reply.text());
    }
    demo.interrupt().await;
}

#[tokio::test]
async fn ctrl_c_in_the_middle_leaves_nothing() {
    let run = run();
    let mut demo = Demo::start(&run);
    demo.says("1. the first commit").await;
    demo.interrupt().await;
}

/// What a killed demo leaves, the next run ends.
#[tokio::test]
async fn what_a_killed_demo_leaves_is_ended_by_the_next() {
    let run = run();
    let mut killed = Demo::start(&run);
    killed.says("1. the first commit").await;
    let left = killed.folder().expect("it has one");
    killed.process.kill().await.expect("it runs");
    assert!(!process::of_run(&left).is_empty(), "nobody could clean up");
    let folders = Path::new(&killed.folders);
    fs_err::remove_file(folders.join("skerry-net")).expect("the link is there");
    let mut next = Demo::start(&run);
    next.says("starting a core").await;
    eventually("the new run has a folder", DEADLINE, async || {
        next.process.must_run()?;
        ensure!(!left.exists() && next.folder().is_ok(), "the old one is there");
        Ok(())
    })
    .await
    .expect("the old run is ended");
    assert_eq!(process::of_run(&left), []);
    // Asked, so that it leaves nothing in its turn.
    next.process.signal(Signal::INT).expect("it runs");
    next.process.wait(DEADLINE).await.expect("it ends");
}
