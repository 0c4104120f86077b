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

/// How long an Envoy that is alone may take until it serves, where there is a snapshot to start from: many times what a
/// bundle of the largest size takes it.
const START_DEADLINE: Duration = Duration::from_secs(60);

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

/// How an Envoy comes into its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// There is none before it.
    Alone,
    /// By a hot restart: it takes the sockets of the one before over.
    HotRestart,
    /// Beside the one before, whose sockets it shares (`SO_REUSEPORT`), and which is drained when this one serves. After
    /// a hot restart has failed Envoy refuses every further one.
    Beside,
}

/// What to do. `epoch` names the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Look what there is to start from; `handle_probe` takes the answer.
    Probe,
    /// Start an Envoy; `handle_start_failed` when that fails.
    Start { epoch: u32, mode: Mode, entry: Entry },
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
    /// Another one serves: it drains, and is asked to end then at the latest.
    Draining {
        until: Now,
    },
    /// We asked it to end, and kill it then; `None`: that is done.
    Leaving {
        kill_at: Option<Now>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Envoy {
    epoch: u32,
    mode: Mode,
    entry: Entry,
    since: Now,
    phase: Phase,
}

impl Envoy {
    fn is_starting(&self) -> bool {
        self.phase == Phase::Starting
    }

    fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Draining { until: Now },
    Ending,
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
    /// A hot restart has failed: the next try is made beside the Envoy that serves.
    hot_restart_failed: bool,
    /// An Envoy did not come up with what the agent gave it: the next one starts from the snapshot.
    prefers_snapshot: bool,
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
            hot_restart_failed: false,
            prefers_snapshot: false,
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
        let kills = self.envoys.iter().filter_map(|envoy| match envoy.phase {
            Phase::Leaving { kill_at } => kill_at,
            _ => None,
        });
        kills.chain(self.look_due()).min()
    }

    /// When there is something to look at, or to start.
    fn look_due(&self) -> Option<Now> {
        match self.stop {
            Some(Stop::Draining { until }) => Some(until.min(self.look_at)),
            Some(Stop::Ending) => None,
            None if self.is_settled() => None,
            None => {
                Some(self.look_at.max(self.start_at.filter(|_| self.envoys.is_empty()).unwrap_or_default()))
            }
        }
    }

    /// One live Envoy on ADS: the agent may come and go, nothing is done. A parent that leaves by itself is no matter.
    fn is_settled(&self) -> bool {
        let newest = self.envoys.first();
        let is_on_ads = newest.is_some_and(|envoy| envoy.mode == Mode::Ads && envoy.phase == Phase::Live);
        is_on_ads && !self.envoys.iter().any(|envoy| matches!(envoy.phase, Phase::Draining { .. }))
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
                self.take_over(now, *epoch + 1);
            }
            // One that waits beside an Envoy which serves may wait for ever: ended, it would take its parent with it.
            [Envoy { phase: Phase::Starting, .. }] if probe.snapshot => self.give_up_waiting(now),
            _ => {}
        }
    }

    fn start_cold(&mut self, now: Now, probe: Probe) {
        if self.start_at.is_none_or(|at| at > now) {
            return;
        }
        let mode = match probe {
            Probe { snapshot: true, .. } if self.prefers_snapshot => Mode::Static,
            Probe { agent: true, .. } => Mode::Ads,
            Probe { snapshot: true, .. } => Mode::Static,
            Probe { agent: false, snapshot: false } => return,
        };
        (self.hot_restart_failed, self.prefers_snapshot) = (false, false);
        self.start(now, 0, mode, Entry::Alone);
    }

    /// Moves from the snapshot to the agent.
    fn take_over(&mut self, now: Now, epoch: u32) {
        if self.start_at.is_none_or(|at| at <= now) {
            let entry = if self.hot_restart_failed { Entry::Beside } else { Entry::HotRestart };
            self.start(now, epoch, Mode::Ads, entry);
        }
    }

    fn start(&mut self, now: Now, epoch: u32, mode: Mode, entry: Entry) {
        self.start_at = None;
        self.agent_gone_since = None;
        self.envoys.insert(0, Envoy { epoch, mode, entry, since: now, phase: Phase::Starting });
        self.commands.push_back(Command::Start { epoch, mode, entry });
        self.look_at = now + ASK_EVERY;
    }

    /// An Envoy that is alone and waits for an agent which is away, or does not come up, serves nobody.
    fn give_up_waiting(&mut self, now: Now) {
        let Some(Envoy { epoch, mode, since, .. }) = self.envoys.first().copied() else { return };
        let agent_is_away = self.agent_gone_since.is_some_and(|since| now >= since + AGENT_PATIENCE);
        let is_late = now >= since + START_DEADLINE;
        if is_late || (mode == Mode::Ads && agent_is_away) {
            self.prefers_snapshot = is_late;
            self.end(now, epoch);
        }
    }

    /// An Envoy has its configuration and serves it.
    pub(super) fn handle_live(&mut self, now: Now, epoch: u32) {
        let starting = |envoy: &&mut Envoy| envoy.epoch == epoch && envoy.is_starting();
        let Some(envoy) = self.envoys.iter_mut().find(starting) else { return };
        envoy.phase = Phase::Live;
        envoy.since = now;
        if envoy.entry == Entry::Beside {
            self.retire_all_but(now, epoch);
        }
    }

    /// Drains the Envoys that another one stands beside; a parent in a hot restart drains by itself.
    fn retire_all_but(&mut self, now: Now, epoch: u32) {
        let until = now + self.drain;
        for old in self.envoys.iter_mut().filter(|envoy| envoy.epoch != epoch && envoy.phase == Phase::Live) {
            old.phase = Phase::Draining { until };
            self.commands.push_back(Command::Drain { epoch: old.epoch });
        }
    }

    /// A draining Envoy has no connections left.
    pub(super) fn handle_idle(&mut self, now: Now, epoch: u32) {
        let is_draining =
            |envoy: &Envoy| envoy.epoch == epoch && matches!(envoy.phase, Phase::Draining { .. });
        if self.envoys.iter().any(is_draining) {
            self.end(now, epoch);
        }
        if matches!(self.stop, Some(Stop::Draining { .. })) {
            self.end_if_drained(now);
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
        if ended.is_leaving() {
            self.start_at = Some(now);
            return;
        }
        if ended.is_starting() && self.envoys.iter().any(|envoy| envoy.phase == Phase::Live) {
            // A try: whoever served before it serves on.
            self.hot_restart_failed = true;
        } else {
            self.restarts = self.restarts.saturating_add(1);
        }
        if ended.phase == Phase::Live && now >= ended.since + HEALTHY {
            self.failures = 0;
        }
        self.start_at = Some(now + self.pause(share));
        self.failures = self.failures.saturating_add(1);
        self.end_drained_parent(now, &ended);
    }

    /// A child that was live had its parent close the listeners: that one serves nobody any more.
    fn end_drained_parent(&mut self, now: Now, child: &Envoy) {
        if let (Phase::Live, Some(parent)) = (child.phase, self.envoys.first()) {
            self.end(now, parent.epoch);
        }
    }

    fn pause(&self, share: f64) -> Duration {
        let (first, longest) = BACKOFF;
        let full = longest.min(first * 2_u32.saturating_pow(self.failures.min(10)));
        full / 2 + (full / 2).mul_f64(share.clamp(0.0, 1.0))
    }

    /// Asked to end: drains what serves, then ends, then kills. Asked again: does not wait for the drain.
    pub(super) fn handle_stop(&mut self, now: Now) {
        match self.stop {
            None => {
                self.stop = Some(Stop::Draining { until: now + self.drain });
                self.look_at = now + ASK_EVERY;
                self.retire_all(now);
                self.finish_if_empty();
            }
            Some(Stop::Draining { .. }) => self.end_all(now),
            Some(Stop::Ending) => {}
        }
    }

    /// Drains all that serve. One that is alone may serve already, and only nobody has seen it yet.
    fn retire_all(&mut self, now: Now) {
        let until = now + self.drain;
        let is_alone = self.envoys.len() == 1;
        let serves = |envoy: &&mut Envoy| envoy.phase == Phase::Live || (is_alone && envoy.is_starting());
        for envoy in self.envoys.iter_mut().filter(serves) {
            envoy.phase = Phase::Draining { until };
            self.commands.push_back(Command::Drain { epoch: envoy.epoch });
        }
        self.end_if_drained(now);
    }

    /// Ends those that never served when the last one that did has no more to do.
    fn end_if_drained(&mut self, now: Now) {
        if !self.envoys.iter().any(|envoy| matches!(envoy.phase, Phase::Draining { .. })) {
            self.end_all(now);
        }
    }

    fn finish_if_empty(&mut self) {
        if self.envoys.is_empty() {
            self.commands.push_back(Command::Done);
        }
    }

    fn end(&mut self, now: Now, epoch: u32) {
        let here = |envoy: &&mut Envoy| envoy.epoch == epoch && !envoy.is_leaving();
        if let Some(envoy) = self.envoys.iter_mut().find(here) {
            envoy.phase = Phase::Leaving { kill_at: Some(now + GRACE) };
            self.commands.push_back(Command::End { epoch });
        }
    }

    fn end_all(&mut self, now: Now) {
        self.stop = Some(Stop::Ending);
        let epochs: Vec<u32> = self.envoys.iter().map(|envoy| envoy.epoch).collect();
        epochs.into_iter().for_each(|epoch| self.end(now, epoch));
    }

    /// The time of `poll_timeout` has come.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.kill_overdue(now);
        match self.stop {
            None => self.look(now),
            Some(Stop::Draining { until }) if now >= until => self.end_all(now),
            Some(Stop::Draining { .. }) => {
                self.look_at = now + ASK_EVERY;
                self.look_at_draining(now);
                self.end_if_drained(now);
            }
            Some(Stop::Ending) => {}
        }
    }

    fn kill_overdue(&mut self, now: Now) {
        for envoy in &mut self.envoys {
            if let Phase::Leaving { kill_at } = &mut envoy.phase
                && kill_at.is_some_and(|at| now >= at)
            {
                *kill_at = None;
                self.commands.push_back(Command::Kill { epoch: envoy.epoch });
            }
        }
    }

    fn look(&mut self, now: Now) {
        if self.look_due().is_none_or(|at| at > now) {
            return;
        }
        self.look_at = now + PROBE_EVERY;
        self.commands.push_back(Command::Probe);
        if let Some(Envoy { phase: Phase::Starting, epoch, .. }) = self.envoys.first() {
            self.commands.push_back(Command::AskLive { epoch: *epoch });
            self.look_at = now + ASK_EVERY;
        }
        self.look_at_draining(now);
    }

    fn look_at_draining(&mut self, now: Now) {
        for Envoy { epoch, phase, .. } in self.envoys.clone() {
            match phase {
                Phase::Draining { until } if now >= until => self.end(now, epoch),
                Phase::Draining { .. } => {
                    self.commands.push_back(Command::AskIdle { epoch });
                    self.look_at = now + ASK_EVERY;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
