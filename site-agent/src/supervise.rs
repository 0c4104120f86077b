//! Supervision: one launcher for each proxied workload, when the site asks the agent for it.
//!
//! Launchers are processes of their own and outlive the agent; a lock in each proxy's folder tells
//! which ones run, so an agent that is restarted finds them again.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use skerry_core::bundle::v1::Supervision;
use skerry_core::id::NamespacedName;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::args::LaunchArgs;
use crate::clock::{Clock, Now};
use crate::config::{Launcher, OnExit};
use crate::launcher::{LauncherState, holder};
use crate::layout::{Layout, ProxyDir};
use crate::mailbox::{Mail, Sender};
use crate::site::Desired;

/// Between two looks at the launchers: a few `open` and `flock` each.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How much longer than its drain time a launcher may take to end.
const END_GRACE: Duration = Duration::from_secs(10);

/// The drain time of a bundle that names none, and the longest: seconds.
const DRAIN_SECONDS: (u32, u32) = (30, 3600);

/// The first and the longest pause before a launcher is started again that ended.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A launcher that ran for so long was well: the pause is the first one again.
const HEALTHY: Duration = Duration::from_secs(60);

/// The longest log that a start leaves in place.
const MAX_LOG_BYTES: u64 = 1 << 20;

/// What the supervisor works with.
pub(crate) struct Supervisor {
    /// The data folder.
    pub(crate) layout: Layout,
    /// The Envoy to run.
    pub(crate) envoy: Option<PathBuf>,
    /// What launchers are started with.
    pub(crate) launcher: Launcher,
    /// What becomes of the proxies when the agent is asked to end.
    pub(crate) on_exit: OnExit,
    /// Cancelled when it is: else another agent begins in its place.
    pub(crate) asked: CancellationToken,
    /// What shall run.
    pub(crate) desired: watch::Receiver<Desired>,
    /// To `site`.
    pub(crate) mailbox: Sender,
}

/// A launcher that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    pid: Pid,
    /// The agent started it, and has not asked it to end.
    is_ours: bool,
}

/// When launchers were started, so that one that ends at once is not started all the time.
#[derive(Debug, Default)]
struct Starts {
    by_folder: BTreeMap<ProxyDir, Start>,
}

#[derive(Debug, Clone, Copy)]
struct Start {
    at: Now,
    pause: Duration,
}

impl Starts {
    /// Says whether a launcher may be started now, and notes that it is.
    fn may_start(&mut self, folder: &ProxyDir, now: Now) -> bool {
        let pause = match self.by_folder.get(folder) {
            Some(last) if now < last.at + last.pause => return false,
            Some(last) if now < last.at + HEALTHY => PAUSES.1.min(last.pause * 2),
            _ => PAUSES.0,
        };
        self.by_folder.insert(folder.clone(), Start { at: now, pause });
        true
    }

    /// Forgets the folders that nobody asks for any more.
    fn retain(&mut self, desired: &Desired) {
        self.by_folder.retain(|folder, _| desired.proxies.values().any(|wanted| wanted == folder));
    }
}

/// What to do about the launchers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plan {
    start: Vec<ProxyDir>,
    stop: Vec<(ProxyDir, Pid)>,
}

/// Decides what to start and what to stop. As long as no bundle says who runs the proxies, nothing.
fn plan(desired: &Desired, running: &BTreeMap<ProxyDir, Running>) -> Plan {
    let Some(supervision) = desired.supervision else { return Plan::default() };
    let wanted: Vec<&ProxyDir> = match supervision {
        Supervision::Agent => desired.proxies.values().collect(),
        Supervision::External => Vec::new(),
    };
    let is_surplus =
        |(folder, launcher): &(&ProxyDir, &Running)| launcher.is_ours && !wanted.contains(folder);
    Plan {
        start: wanted
            .iter()
            .filter(|folder| !running.contains_key(*folder))
            .map(|folder| (*folder).clone())
            .collect(),
        stop: running
            .iter()
            .filter(is_surplus)
            .map(|(folder, launcher)| (folder.clone(), launcher.pid))
            .collect(),
    }
}

impl Supervisor {
    /// Looks after the launchers until the process ends.
    pub(crate) async fn run(mut self, cancel: CancellationToken) -> anyhow::Result<()> {
        let mut children = JoinSet::new();
        let (clock, mut starts) = (Clock::start(), Starts::default());
        let (mut told, mut told_vacant) = (BTreeMap::new(), BTreeSet::new());
        loop {
            let desired = self.desired.borrow_and_update().clone();
            starts.retain(&desired);
            let may_start = |folder: &ProxyDir| starts.may_start(folder, clock.now());
            self.reconcile(&desired, &mut children, may_start);
            let states = read_states(&desired);
            if states != told {
                told.clone_from(&states);
                if self.mailbox.send(Mail::Launchers(states)).await.is_err() {
                    return Ok(());
                }
            }
            let vacant = self.vacant(&desired);
            if vacant != told_vacant {
                told_vacant.clone_from(&vacant);
                if self.mailbox.send(Mail::Vacant(vacant)).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = cancel.cancelled() => break,
                changed = self.desired.changed() => if changed.is_err() { break },
                Some(_) = children.join_next() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        if self.on_exit == OnExit::StopProxies && self.asked.is_cancelled() {
            self.stop_all().await;
        }
        Ok(())
    }

    fn reconcile(
        &self,
        desired: &Desired,
        children: &mut JoinSet<()>,
        mut may_start: impl FnMut(&ProxyDir) -> bool,
    ) {
        let plan = plan(desired, &self.running());
        for (folder, pid) in plan.stop {
            stop(&folder, pid);
        }
        let Some(envoy) = self.envoy.as_ref() else {
            if !plan.start.is_empty() {
                tracing::debug!("the site asks the agent to run its proxies, and there is no --envoy");
            }
            return;
        };
        for folder in plan.start.into_iter().filter(|folder| may_start(folder)) {
            match self.start(&folder, envoy, drain_seconds(desired)) {
                Ok(mut child) => {
                    info!(folder = %folder.path().display(), "started a launcher");
                    children.spawn(async move {
                        let ended = child.wait().await;
                        info!("a launcher ended: {ended:?}");
                    });
                }
                Err(error) => warn!(folder = %folder.path().display(), "cannot start a launcher: {error}"),
            }
        }
    }

    /// The folders of proxies: those that an agent prepared.
    fn folders(&self) -> impl Iterator<Item = ProxyDir> {
        let entries = fs_err::read_dir(self.layout.proxies()).into_iter().flatten().flatten();
        entries.map(|entry| ProxyDir::new(entry.path())).filter(|folder| folder.ads_bootstrap().is_file())
    }

    /// The launchers that hold their lock, by folder.
    fn running(&self) -> BTreeMap<ProxyDir, Running> {
        let running = |folder: ProxyDir| {
            let pid = holder(&folder.lock()).ok().flatten()?;
            let is_ours = folder.supervised().exists();
            Some((folder, Running { pid, is_ours }))
        };
        self.folders().filter_map(running).collect()
    }

    /// The folders that nothing is published to and that no launcher runs. As long as there is no
    /// bundle, none.
    fn vacant(&self, desired: &Desired) -> BTreeSet<ProxyDir> {
        let used: BTreeSet<&ProxyDir> = desired.proxies.values().collect();
        let is_vacant =
            |folder: &ProxyDir| !used.contains(folder) && matches!(holder(&folder.lock()), Ok(None));
        self.folders().filter(|folder| desired.supervision.is_some() && is_vacant(folder)).collect()
    }

    /// Starts a launcher in a process group of its own: what ends the agent does not end it.
    fn start(&self, folder: &ProxyDir, envoy: &Path, drain: u32) -> std::io::Result<tokio::process::Child> {
        let is_long = fs_err::metadata(folder.launcher_log()).is_ok_and(|log| log.len() > MAX_LOG_BYTES);
        if is_long {
            fs_err::remove_file(folder.launcher_log())?;
        }
        let mut options = std::fs::OpenOptions::new();
        let log = options.append(true).create(true).mode(0o600).open(folder.launcher_log())?;
        fs_err::write(folder.supervised(), b"")?;
        let line = LaunchArgs { proxy_dir: folder.path().into(), envoy: envoy.into(), drain_seconds: drain };
        let mut command = Command::new(&self.launcher.program);
        command
            .args(self.launcher.verb)
            .args(line.to_plain())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        tokio::process::Command::from(command).spawn()
    }

    /// Asks every launcher of ours to end, and waits for them.
    async fn stop_all(&self) {
        let drain = Duration::from_secs(drain_seconds(&self.desired.borrow()).into());
        for (folder, launcher) in self.running() {
            if launcher.is_ours {
                stop(&folder, launcher.pid);
            }
        }
        let deadline = tokio::time::Instant::now() + drain + END_GRACE;
        let folders: Vec<ProxyDir> = self.desired.borrow().proxies.values().cloned().collect();
        while folders.iter().any(|folder| matches!(holder(&folder.lock()), Ok(Some(_)))) {
            if tokio::time::Instant::now() >= deadline {
                return warn!("not every proxy ended in time");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// How long an Envoy may drain.
fn drain_seconds(desired: &Desired) -> u32 {
    match desired.drain_seconds {
        0 => DRAIN_SECONDS.0,
        seconds => seconds.min(DRAIN_SECONDS.1),
    }
}

/// Asks a launcher to drain and end. Once: asked twice it would not drain.
fn stop(folder: &ProxyDir, pid: Pid) {
    info!(folder = %folder.path().display(), "stops a proxy");
    let asked = fs_err::remove_file(folder.supervised()).and_then(|()| Ok(kill_process(pid, Signal::TERM)?));
    if let Err(error) = asked {
        warn!("cannot stop it: {error}");
    }
}

fn read_states(desired: &Desired) -> BTreeMap<NamespacedName, LauncherState> {
    let is_there = |folder: &ProxyDir| folder.state().exists();
    let states = desired.proxies.iter().filter(|(_, folder)| is_there(folder));
    states.map(|(name, folder)| (name.clone(), LauncherState::load(&folder.state()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> ProxyDir {
        ProxyDir::new(format!("/p/{name}"))
    }

    fn desired(supervision: Option<Supervision>, names: &[&str]) -> Desired {
        let proxies = names.iter().map(|name| (NamespacedName::new("shop", *name), folder(name))).collect();
        Desired { supervision, drain_seconds: 30, proxies, ..Desired::default() }
    }

    fn running(launchers: &[(&str, bool)]) -> BTreeMap<ProxyDir, Running> {
        let of =
            |(name, is_ours): &(&str, bool)| (folder(name), Running { pid: Pid::INIT, is_ours: *is_ours });
        launchers.iter().map(of).collect()
    }

    #[test]
    fn it_starts_what_is_missing_and_stops_what_is_surplus() {
        let plan =
            plan(&desired(Some(Supervision::Agent), &["a", "b"]), &running(&[("b", true), ("c", true)]));
        assert_eq!(plan, Plan { start: vec![folder("a")], stop: vec![(folder("c"), Pid::INIT)] });
    }

    #[test]
    fn it_stops_no_launcher_of_somebody_else() {
        let plan =
            plan(&desired(Some(Supervision::External), &["a"]), &running(&[("a", false), ("b", true)]));
        assert_eq!(plan, Plan { start: vec![], stop: vec![(folder("b"), Pid::INIT)] });
    }

    #[test]
    fn a_launcher_that_ends_again_and_again_is_started_less_often() {
        let (mut starts, mut now, mut pauses) = (Starts::default(), Now::ZERO, Vec::new());
        for _ in 0..7 {
            let begun = now;
            while !starts.may_start(&folder("a"), now) {
                now += Duration::from_millis(100);
            }
            pauses.push((now - begun).as_secs());
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30]);
        assert!(starts.may_start(&folder("b"), now), "each has its own pause");
        now += HEALTHY;
        assert!(starts.may_start(&folder("a"), now));
        assert!(starts.may_start(&folder("a"), now + PAUSES.0), "after a minute it counts as well");
        starts.retain(&desired(None, &["b"]));
        assert_eq!(starts.by_folder.len(), 1);
    }

    #[test]
    fn a_bundle_without_a_drain_time_gets_that_of_its_launchers() {
        let seconds = |drain_seconds| drain_seconds_of(drain_seconds);
        assert_eq!([0, 7, 9_999].map(seconds), [30, 7, 3600]);
    }

    fn drain_seconds_of(drain_seconds: u32) -> u32 {
        super::drain_seconds(&Desired { drain_seconds, ..Desired::default() })
    }

    /// Invariant 6: a lost store, or no bundle yet, stops nothing.
    #[test]
    fn without_a_bundle_it_does_nothing() {
        assert_eq!(plan(&desired(None, &[]), &running(&[("a", true)])), Plan::default());
    }
}
