//! What the launcher does next: a state machine over Envoy's ends, the agent's socket, signals and
//! time. Does nothing itself.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Now;

/// Between two looks at the agent's socket, while that matters: a connect on a local socket, 20 µs.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// Between two questions whether a new Envoy is live, or a draining one idle.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// How long the agent may be away before an Envoy that waits for it starts from the snapshot.
const AGENT_PATIENCE: Duration = Duration::from_secs(3);

/// The first and the longest pause between two starts.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// An Envoy that ran for so long was well: the pause is the first one again.
const HEALTHY: Duration = Duration::from_secs(60);

/// Between asking an Envoy to end and killing it.
const GRACE: Duration = Duration::from_secs(5);

/// Where an Envoy's configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The agent, over ADS.
    Ads,
    /// The snapshot.
    Static,
}

/// What there is to start from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Probe {
    /// The agent's socket accepts, and there is a bootstrap that names it.
    pub(super) agent: bool,
    /// There is a snapshot.
    pub(super) snapshot: bool,
}

/// What to do. `epoch` names the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Look what there is to start from; `handle_probe` takes the answer.
    Probe,
    /// Start an Envoy; `handle_start_failed` when that fails.
    Start { epoch: u32, mode: Mode },
    /// Ask whether it is live; `handle_live` when it is.
    AskLive { epoch: u32 },
    /// Begin a graceful drain.
    Drain { epoch: u32 },
    /// Ask whether it still has connections; `handle_idle` when it has none.
    AskIdle { epoch: u32 },
    /// Ask it to end.
    End { epoch: u32 },
    /// Kill it.
    Kill { epoch: u32 },
    /// All is over.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Live,
    /// We asked it to end.
    Leaving,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Envoy {
    epoch: u32,
    mode: Mode,
    since: Now,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Draining { until: Now },
    Ending { until: Now },
    Killed,
}

/// The state of a launcher.
#[derive(Debug)]
pub(super) struct Machine {
    drain: Duration,
    /// Newest first: one, or two during a hot restart.
    envoys: Vec<Envoy>,
    /// When the next start is due: a cold one without an Envoy, else a hot one.
    start_at: Option<Now>,
    /// The next look at whatever is being waited for.
    look_at: Now,
    agent_gone_since: Option<Now>,
    /// Ends without `HEALTHY` in between.
    failures: u32,
    restarts: u32,
    stop: Option<Stop>,
    commands: VecDeque<Command>,
}

impl Machine {
    /// Starts with no Envoy; `restarts` are those that were counted before.
    pub(super) fn new(now: Now, drain: Duration, restarts: u32) -> Self {
        Self {
            drain,
            envoys: Vec::new(),
            start_at: Some(now),
            look_at: now,
            agent_gone_since: None,
            failures: 0,
            restarts,
            stop: None,
            commands: VecDeque::new(),
        }
    }

    /// Returns how often Envoy ended by itself.
    pub(super) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Returns the next thing to do.
    pub(super) fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Returns when `handle_timeout` is due; `None` while only an end or a signal matters.
    pub(super) fn poll_timeout(&self) -> Option<Now> {
        match self.stop {
            Some(Stop::Draining { until }) => Some(until.min(self.look_at)),
            Some(Stop::Ending { until }) => Some(until),
            Some(Stop::Killed) => None,
            None if self.is_settled() => None,
            None => {
                Some(self.look_at.max(self.start_at.filter(|_| self.envoys.is_empty()).unwrap_or_default()))
            }
        }
    }

    /// One live Envoy on ADS: the agent may come and go, nothing is done.
    fn is_settled(&self) -> bool {
        matches!(self.envoys.as_slice(), [Envoy { mode: Mode::Ads, phase: Phase::Live, .. }, ..])
    }

    /// Takes what there is to start from.
    pub(super) fn handle_probe(&mut self, now: Now, probe: Probe) {
        if self.stop.is_some() {
            return;
        }
        self.agent_gone_since = if probe.agent { None } else { self.agent_gone_since.or(Some(now)) };
        match self.envoys.as_slice() {
            [] => self.start_cold(now, probe),
            [Envoy { mode: Mode::Static, phase: Phase::Live, epoch, .. }] if probe.agent => {
                self.start_hot(now, *epoch + 1);
            }
            [Envoy { mode: Mode::Ads, phase: Phase::Starting, epoch, .. }, ..] if probe.snapshot => {
                self.give_up_waiting(now, *epoch);
            }
            _ => {}
        }
    }

    fn start_cold(&mut self, now: Now, probe: Probe) {
        if self.start_at.is_none_or(|at| at > now) {
            return;
        }
        let mode = match probe {
            Probe { agent: true, .. } => Mode::Ads,
            Probe { snapshot: true, .. } => Mode::Static,
            Probe { agent: false, snapshot: false } => return,
        };
        self.start(now, 0, mode);
    }

    fn start_hot(&mut self, now: Now, epoch: u32) {
        if self.start_at.is_none_or(|at| at <= now) {
            self.start(now, epoch, Mode::Ads);
        }
    }

    fn start(&mut self, now: Now, epoch: u32, mode: Mode) {
        self.start_at = None;
        self.agent_gone_since = None;
        self.envoys.insert(0, Envoy { epoch, mode, since: now, phase: Phase::Starting });
        self.commands.push_back(Command::Start { epoch, mode });
        self.look_at = now + ASK_EVERY;
    }

    /// An Envoy that waits for an agent which is away would go live with nothing.
    fn give_up_waiting(&mut self, now: Now, epoch: u32) {
        if self.agent_gone_since.is_some_and(|since| now >= since + AGENT_PATIENCE) {
            self.end(epoch);
        }
    }

    /// An Envoy has its configuration and serves it.
    pub(super) fn handle_live(&mut self, now: Now, epoch: u32) {
        let starting = |envoy: &&mut Envoy| envoy.epoch == epoch && envoy.phase == Phase::Starting;
        if let Some(envoy) = self.envoys.iter_mut().find(starting) {
            envoy.phase = Phase::Live;
            envoy.since = now;
        }
    }

    /// A draining Envoy has no connections left.
    pub(super) fn handle_idle(&mut self, now: Now) {
        if let Some(Stop::Draining { .. }) = self.stop {
            self.end_all(now);
        }
    }

    /// An Envoy ended, or could not be started. `share` is the jitter, 0 to 1.
    pub(super) fn handle_exit(&mut self, now: Now, epoch: u32, share: f64) {
        let Some(at) = self.envoys.iter().position(|envoy| envoy.epoch == epoch) else { return };
        let ended = self.envoys.remove(at);
        let was_newest = at == 0;
        if self.stop.is_some() {
            return self.finish_if_empty();
        }
        if !was_newest {
            return;
        }
        self.look_at = now;
        if ended.phase == Phase::Leaving {
            self.start_at = Some(now);
            return;
        }
        self.restarts = self.restarts.saturating_add(1);
        if ended.phase == Phase::Live && now >= ended.since + HEALTHY {
            self.failures = 0;
        }
        self.start_at = Some(now + self.pause(share));
        self.failures = self.failures.saturating_add(1);
        self.end_drained_parent(&ended);
    }

    /// A child that was live had its parent close the listeners: that one serves nobody any more.
    fn end_drained_parent(&mut self, child: &Envoy) {
        if let (Phase::Live, Some(parent)) = (child.phase, self.envoys.first()) {
            self.end(parent.epoch);
        }
    }

    fn pause(&self, share: f64) -> Duration {
        let (first, longest) = BACKOFF;
        let full = longest.min(first * 2_u32.saturating_pow(self.failures.min(10)));
        full / 2 + (full / 2).mul_f64(share.clamp(0.0, 1.0))
    }

    /// Asked to end: drains, then ends, then kills. Asked again: does not wait for the drain.
    pub(super) fn handle_stop(&mut self, now: Now) {
        match self.stop {
            None => {
                self.stop = Some(Stop::Draining { until: now + self.drain });
                self.look_at = now + ASK_EVERY;
                self.commands.extend(self.envoys.first().map(|envoy| Command::Drain { epoch: envoy.epoch }));
                self.finish_if_empty();
            }
            Some(Stop::Draining { .. }) => self.end_all(now),
            Some(Stop::Ending { .. } | Stop::Killed) => {}
        }
    }

    fn finish_if_empty(&mut self) {
        if self.envoys.is_empty() {
            self.commands.push_back(Command::Done);
        }
    }

    fn end(&mut self, epoch: u32) {
        if let Some(envoy) = self.envoys.iter_mut().find(|envoy| envoy.epoch == epoch) {
            envoy.phase = Phase::Leaving;
            self.commands.push_back(Command::End { epoch });
        }
    }

    fn end_all(&mut self, now: Now) {
        self.stop = Some(Stop::Ending { until: now + GRACE });
        let epochs: Vec<u32> = self.envoys.iter().map(|envoy| envoy.epoch).collect();
        epochs.into_iter().for_each(|epoch| self.end(epoch));
    }

    /// The time of `poll_timeout` has come.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        match self.stop {
            None => self.look(now),
            Some(Stop::Draining { until }) if now >= until => self.end_all(now),
            Some(Stop::Draining { .. }) => {
                self.look_at = now + ASK_EVERY;
                self.commands
                    .extend(self.envoys.first().map(|envoy| Command::AskIdle { epoch: envoy.epoch }));
            }
            Some(Stop::Ending { until }) if now >= until => {
                self.stop = Some(Stop::Killed);
                self.commands.extend(self.envoys.iter().map(|envoy| Command::Kill { epoch: envoy.epoch }));
            }
            Some(Stop::Ending { .. } | Stop::Killed) => {}
        }
    }

    fn look(&mut self, now: Now) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        self.look_at = now + PROBE_EVERY;
        self.commands.push_back(Command::Probe);
        if let Some(Envoy { phase: Phase::Starting, epoch, .. }) = self.envoys.first() {
            self.commands.push_back(Command::AskLive { epoch: *epoch });
            self.look_at = now + ASK_EVERY;
        }
    }
}

#[cfg(test)]
mod tests;
