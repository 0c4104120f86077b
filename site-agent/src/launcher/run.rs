//! The loop around the launcher's machine: starts processes, waits for ends, signals and timers.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::machine::{Command, Machine, Mode, Probe};
use super::state::LauncherState;
use super::{Config, admin, envoy, log};
use crate::clock::{Clock, share};

/// How long the agent's socket may take to accept.
const CONNECT_DEADLINE: Duration = Duration::from_millis(500);

struct Launcher<'a> {
    config: &'a Config,
    clock: Clock,
    machine: Machine,
    state: LauncherState,
    /// One waiter for each Envoy; it ends with that one's epoch and last words.
    ends: JoinSet<(u32, String)>,
}

/// Runs until it is asked to end and every Envoy has ended.
pub(super) async fn run(config: &Config, clock: Clock) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut launcher = Launcher::new(config, clock);
    loop {
        if launcher.execute().await {
            return Ok(envoy::clear(&config.folder)?);
        }
        let timer = launcher.machine.poll_timeout();
        let sleep = tokio::time::sleep_until(clock.instant(timer.unwrap_or_default()));
        tokio::select! {
            Some(Ok((epoch, words))) = launcher.ends.join_next() => launcher.handle_exit(epoch, words),
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
        let launcher = Self { config, clock, machine, state, ends: JoinSet::new() };
        launcher.save();
        launcher
    }

    /// Executes what the machine asks for; true when all is over.
    async fn execute(&mut self) -> bool {
        while let Some(command) = self.machine.poll_command() {
            let now = self.clock.now();
            match command {
                Command::Probe => {
                    let probe = self.probe().await;
                    self.machine.handle_probe(now, probe);
                }
                Command::Start { epoch, mode } => self.start(epoch, mode),
                Command::AskLive { epoch } => {
                    if admin::is_live(&self.config.folder.admin_socket(epoch)).await {
                        log::say(format_args!("Envoy {epoch} is live"));
                        self.machine.handle_live(self.clock.now(), epoch);
                    }
                }
                Command::Drain { epoch } => {
                    let asked = admin::drain(&self.config.folder.admin_socket(epoch)).await;
                    log::say(format_args!(
                        "Envoy {epoch} drains: {}",
                        if asked { "asked to" } else { "does not answer" }
                    ));
                }
                Command::AskIdle { epoch } => {
                    if admin::connections(&self.config.folder.admin_socket(epoch)).await == Some(0) {
                        self.machine.handle_idle(self.clock.now());
                    }
                }
                Command::End { epoch } => self.signal(epoch, Signal::TERM),
                Command::Kill { epoch } => self.signal(epoch, Signal::KILL),
                Command::Done => return true,
            }
        }
        false
    }

    async fn probe(&self) -> Probe {
        let folder = &self.config.folder;
        let agent = folder.ads_bootstrap().is_file() && {
            let connect = UnixStream::connect(folder.ads_socket());
            matches!(tokio::time::timeout(CONNECT_DEADLINE, connect).await, Ok(Ok(_)))
        };
        Probe { agent, snapshot: folder.static_bootstrap().is_file() }
    }

    fn start(&mut self, epoch: u32, mode: Mode) {
        match envoy::spawn(self.config, epoch, mode) {
            Ok((child, process)) => {
                log::say(format_args!("started Envoy {epoch} ({mode:?}), process {}", process.pid));
                self.state.processes.insert(0, process);
                self.ends.spawn(wait(epoch, child));
                self.save();
            }
            Err(error) => self.handle_exit(epoch, format!("{}: {error}", self.config.envoy.display())),
        }
    }

    fn handle_exit(&mut self, epoch: u32, words: String) {
        log::say(format_args!("Envoy {epoch} ended: {words}"));
        self.machine.handle_exit(self.clock.now(), epoch, share());
        self.state.processes.retain(|process| process.epoch != epoch);
        self.state.restarts = self.machine.restarts();
        self.state.last_exit = words;
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

async fn wait(epoch: u32, mut child: Child) -> (u32, String) {
    let words = match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    (epoch, words)
}
