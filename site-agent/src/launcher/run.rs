//! The loop around the launcher's machine: starts processes, waits for ends, signals and timers.
//!
//! Sockets are local and calls on them short, so they block; only signals and time are waited for.

use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::machine::{Command, Entry, Machine, Probe};
use super::state::LauncherState;
use super::{Config, Mode, admin, envoy, log, socket};
use crate::clock::{Clock, share};

/// How often Envoy's log is looked at. Minutes of warnings are some MiB at most.
const LOG_EVERY: Duration = Duration::from_secs(60);

struct Launcher<'a> {
    config: &'a Config,
    clock: Clock,
    machine: Machine,
    state: LauncherState,
    /// The Envoys by epoch.
    children: Vec<(u32, Child)>,
}

/// Runs until it is asked to end and every Envoy has ended.
pub(super) async fn run(config: &Config, clock: Clock) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut child = signal(SignalKind::child())?;
    let mut launcher = Launcher::new(config, clock);
    let mut log_looks = tokio::time::interval(LOG_EVERY);
    loop {
        if launcher.execute() {
            return Ok(envoy::clear(&config.folder)?);
        }
        let timer = launcher.machine.poll_timeout();
        let sleep = tokio::time::sleep_until(clock.instant(timer.unwrap_or_default()));
        tokio::select! {
            _ = child.recv() => launcher.reap(),
            _ = log_looks.tick() => {
                if let Err(error) = envoy::bound_log(&config.folder) {
                    log::say(format_args!("Envoy's log is not cut: {error}"));
                }
            }
            _ = terminate.recv() => launcher.machine.handle_stop(clock.now()),
            _ = interrupt.recv() => launcher.machine.handle_stop(clock.now()),
            () = sleep, if timer.is_some() => launcher.machine.handle_timeout(clock.now()),
        }
    }
}

impl<'a> Launcher<'a> {
    /// Goes on counting where the launcher before this one ended. Its Envoys end with it: Envoy asks
    /// the kernel for that (`PR_SET_PDEATHSIG`) when it can be hot-restarted.
    fn new(config: &'a Config, clock: Clock) -> Self {
        let before = LauncherState::load(&config.folder.state());
        let launcher = i32::try_from(std::process::id()).unwrap_or_default();
        let state = LauncherState { launcher, processes: Vec::new(), ..before };
        let machine = Machine::new(clock.now(), config.drain, state.restarts);
        let launcher = Self { config, clock, machine, state, children: Vec::new() };
        launcher.save();
        launcher
    }

    /// Executes what the machine asks for; true when all is over.
    fn execute(&mut self) -> bool {
        while let Some(command) = self.machine.poll_command() {
            let now = self.clock.now();
            match command {
                Command::Probe => {
                    let probe = self.probe();
                    self.machine.handle_probe(now, probe);
                }
                Command::Start { epoch, mode, entry } => self.start(epoch, mode, entry),
                Command::AskLive { epoch } => {
                    if admin::is_live(&self.config.folder.admin_socket(epoch)) {
                        log::say(format_args!("Envoy {epoch} is live"));
                        self.machine.handle_live(self.clock.now(), epoch);
                    }
                }
                Command::Drain { epoch } => {
                    let asked = admin::drain(&self.config.folder.admin_socket(epoch));
                    log::say(format_args!(
                        "Envoy {epoch} drains: {}",
                        if asked { "asked to" } else { "does not answer" }
                    ));
                }
                Command::AskIdle { epoch } => {
                    if admin::connections(&self.config.folder.admin_socket(epoch)) == Some(0) {
                        self.machine.handle_idle(self.clock.now(), epoch);
                    }
                }
                Command::End { epoch } => self.signal(epoch, Signal::TERM),
                Command::Kill { epoch } => self.signal(epoch, Signal::KILL),
                Command::Done => return true,
            }
        }
        false
    }

    fn probe(&self) -> Probe {
        let folder = &self.config.folder;
        let agent = folder.ads_bootstrap().is_file() && socket::connect(&folder.ads_socket()).is_ok();
        Probe { agent, snapshot: folder.static_bootstrap().is_file() }
    }

    fn start(&mut self, epoch: u32, mode: Mode, entry: Entry) {
        match envoy::spawn(self.config, epoch, mode, entry) {
            Ok((child, process)) => {
                log::say(format_args!(
                    "started Envoy {epoch} ({mode:?}, {entry:?}), process {}",
                    process.pid
                ));
                self.state.processes.insert(0, process);
                self.children.push((epoch, child));
                self.save();
            }
            Err(error) => self.handle_exit(epoch, format!("{}: {error}", self.config.envoy.display())),
        }
    }

    /// Takes the ends of all that ended: several may share one signal.
    fn reap(&mut self) {
        let mut ended = Vec::new();
        self.children.retain_mut(|(epoch, child)| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                ended.push((*epoch, status.to_string()));
                false
            }
            Err(error) => {
                ended.push((*epoch, error.to_string()));
                false
            }
        });
        ended.into_iter().for_each(|(epoch, words)| self.handle_exit(epoch, words));
    }

    fn handle_exit(&mut self, epoch: u32, words: String) {
        log::say(format_args!("Envoy {epoch} ended: {words}"));
        self.machine.handle_exit(self.clock.now(), epoch, share());
        self.state.processes.retain(|process| process.epoch != epoch);
        // A try beside an Envoy that serves is no end of the proxy.
        if self.state.restarts != self.machine.restarts() {
            self.state.restarts = self.machine.restarts();
            self.state.last_exit = words;
        }
        self.save();
    }

    fn signal(&self, epoch: u32, signal: Signal) {
        let process = self.state.processes.iter().find(|process| process.epoch == epoch);
        let pid = process.filter(|process| process.is_alive()).and_then(|process| Pid::from_raw(process.pid));
        if let Some(Err(error)) = pid.map(|pid| kill_process(pid, signal)) {
            log::say(format_args!("cannot signal Envoy {epoch}: {error}"));
        }
    }

    fn save(&self) {
        if let Err(error) = self.state.save(&self.config.folder.state()) {
            log::say(format_args!("cannot write state.json: {error}"));
        }
    }
}
