//! What the launcher does, as a table of scripts: an event, then the commands that follow.

use super::*;

const NOTHING: Probe = Probe { agent: false, snapshot: false };
const SNAPSHOT: Probe = Probe { agent: false, snapshot: true };
const AGENT: Probe = Probe { agent: true, snapshot: true };

const DRAIN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
enum Event {
    Probe(Probe),
    Live(u32),
    Exit(u32),
    Stop,
    Idle(u32),
    /// Time passes, timers run, and only the last commands count.
    Pass(f64),
}
use Event::{Exit, Idle, Live, Pass, Stop};

struct Script {
    machine: Machine,
    now: Now,
}

impl Script {
    fn new() -> Self {
        Self { machine: Machine::new(Now::ZERO, DRAIN, 0), now: Now::ZERO }
    }

    /// Feeds an event and returns the commands, save for the questions that come all the time.
    fn feed(&mut self, event: Event) -> Vec<Command> {
        match event {
            Event::Probe(probe) => self.machine.handle_probe(self.now, probe),
            Live(epoch) => self.machine.handle_live(self.now, epoch),
            Exit(epoch) => self.machine.handle_exit(self.now, epoch, 1.0),
            Stop => self.machine.handle_stop(self.now),
            Idle(epoch) => self.machine.handle_idle(self.now, epoch),
            Pass(seconds) => {
                self.now += Duration::from_secs_f64(seconds);
                self.machine.handle_timeout(self.now);
            }
        }
        let quiet = |command: &Command| {
            !matches!(command, Command::Probe | Command::AskLive { .. } | Command::AskIdle { .. })
        };
        std::iter::from_fn(|| self.machine.poll_command()).filter(quiet).collect()
    }

    fn run(&mut self, steps: Vec<(Event, Vec<Command>)>) {
        for (at, (event, expected)) in steps.into_iter().enumerate() {
            assert_eq!(self.feed(event), expected, "step {at}");
        }
    }
}

fn start(epoch: u32, mode: Mode) -> Vec<Command> {
    vec![Command::Start { epoch, mode, entry: Entry::Alone }]
}

/// One that comes to another, which serves.
fn join(entry: Entry) -> Vec<Command> {
    vec![Command::Start { epoch: 1, mode: Mode::Ads, entry }]
}

fn drain(epoch: u32) -> Vec<Command> {
    vec![Command::Drain { epoch }]
}

fn end(epoch: u32) -> Vec<Command> {
    vec![Command::End { epoch }]
}

#[test]
fn with_an_agent_it_starts_on_ads_and_lets_the_agent_come_and_go() {
    let mut script = Script::new();
    script.run(vec![(Event::Probe(AGENT), start(0, Mode::Ads)), (Live(0), vec![])]);
    assert_eq!(script.machine.poll_timeout(), None);
    script.run(vec![(Event::Probe(SNAPSHOT), vec![]), (Event::Probe(NOTHING), vec![])]);
}

#[test]
fn without_agent_or_snapshot_it_waits() {
    Script::new().run(vec![
        (Event::Probe(NOTHING), vec![]),
        (Pass(60.0), vec![]),
        (Event::Probe(NOTHING), vec![]),
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
    ]);
}

#[test]
fn it_hands_a_static_envoy_over_when_the_agent_is_back() {
    Script::new().run(vec![
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
        (Event::Probe(AGENT), vec![]), // still starting: a hot restart now would fail
        (Live(0), vec![]),
        (Event::Probe(SNAPSHOT), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
        (Event::Probe(AGENT), vec![]),
        (Live(1), vec![]),
        (Exit(0), vec![]), // the parent's time is over
        (Exit(1), vec![]),
        (Pass(1.1), vec![]),
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
    ]);
}

/// Envoy refuses every hot restart after one that failed: the next Envoy comes beside the one that serves.
#[test]
fn after_a_failed_hot_restart_another_envoy_starts_beside_the_old_one() {
    let mut script = Script::new();
    script.run(vec![
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
        (Live(0), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
        (Exit(1), vec![]),
        (Event::Probe(AGENT), vec![]), // not at once
        (Pass(1.1), vec![]),
        (Event::Probe(AGENT), join(Entry::Beside)),
        (Exit(1), vec![]),
        (Pass(2.1), vec![]),
        (Event::Probe(AGENT), join(Entry::Beside)),
        (Live(1), drain(0)),
        (Pass(1.0), vec![]),
        (Idle(0), end(0)),
        (Exit(0), vec![]),
    ]);
    assert_eq!(script.machine.restarts(), 0, "the proxy served all the time");
    assert_eq!(script.machine.poll_timeout(), None);
}

#[test]
fn the_old_one_is_not_waited_for_longer_than_a_drain_takes() {
    Script::new().run(vec![
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
        (Live(0), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
        (Exit(1), vec![]),
        (Pass(1.1), vec![]),
        (Event::Probe(AGENT), join(Entry::Beside)),
        (Live(1), drain(0)),
        (Pass(9.0), vec![]),
        (Pass(1.1), end(0)),
        (Pass(5.1), vec![Command::Kill { epoch: 0 }]),
        (Pass(60.0), vec![]),
        (Exit(0), vec![]),
        // And from here it is as after a cold start.
        (Exit(1), vec![]),
        (Pass(4.1), vec![]),
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
        (Live(0), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
    ]);
}

#[test]
fn a_child_that_was_live_ends_with_its_parent() {
    Script::new().run(vec![
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
        (Live(0), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
        (Live(1), vec![]),
        (Exit(1), end(0)), // its parent had closed its listeners for it
        (Exit(0), vec![]),
        (Event::Probe(AGENT), start(0, Mode::Ads)),
    ]);
}

/// A child that is ended while it waits takes its parent with it, so it waits for as long as the agent is away.
#[test]
fn a_child_that_waits_for_an_agent_leaves_its_parent_serving() {
    Script::new().run(vec![
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
        (Live(0), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
        (Event::Probe(SNAPSHOT), vec![]),
        (Pass(600.0), vec![]),
        (Event::Probe(SNAPSHOT), vec![]),
        (Event::Probe(AGENT), vec![]),
        (Live(1), vec![]),
    ]);
}

#[test]
fn an_envoy_that_does_not_come_up_with_the_agent_starts_from_the_snapshot() {
    Script::new().run(vec![
        (Event::Probe(AGENT), start(0, Mode::Ads)),
        (Pass(59.0), vec![]),
        (Event::Probe(AGENT), vec![]),
        (Pass(1.0), vec![]),
        (Event::Probe(AGENT), end(0)),
        (Pass(5.0), vec![Command::Kill { epoch: 0 }]),
        (Exit(0), vec![]),
        (Event::Probe(AGENT), start(0, Mode::Static)),
        (Live(0), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
    ]);
}

#[test]
fn without_a_snapshot_it_waits_on() {
    Script::new().run(vec![
        (Event::Probe(Probe { snapshot: false, ..AGENT }), start(0, Mode::Ads)),
        (Pass(600.0), vec![]),
        (Event::Probe(NOTHING), vec![]),
    ]);
}

#[test]
fn an_envoy_that_waits_for_an_agent_in_vain_starts_from_the_snapshot() {
    Script::new().run(vec![
        (Event::Probe(AGENT), start(0, Mode::Ads)),
        (Event::Probe(SNAPSHOT), vec![]),
        (Pass(3.0), vec![]),
        (Event::Probe(SNAPSHOT), end(0)),
        (Exit(0), vec![]),
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
    ]);
}

#[test]
fn pauses_grow_are_bounded_and_end_with_health() {
    let mut script = Script::new();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        assert_eq!(script.feed(Event::Probe(AGENT)), start(0, Mode::Ads));
        assert!(script.feed(Exit(0)).is_empty());
        let pause = script.machine.start_at.unwrap() - script.now;
        pauses.push(pause.as_secs());
        script.feed(Pass(pause.as_secs_f64()));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(script.machine.restarts(), 7);

    script.feed(Event::Probe(AGENT));
    script.feed(Live(0));
    script.now += HEALTHY;
    script.feed(Exit(0));
    assert_eq!(script.machine.start_at.unwrap() - script.now, Duration::from_secs(1));
}

#[test]
fn asked_to_end_it_drains_then_ends_then_kills() {
    let mut script = Script::new();
    script.run(vec![
        (Event::Probe(AGENT), start(0, Mode::Ads)),
        (Live(0), vec![]),
        (Stop, vec![Command::Drain { epoch: 0 }]),
        (Event::Probe(AGENT), vec![]),
        (Pass(5.0), vec![]),
        (Pass(5.0), end(0)),
        (Pass(4.0), vec![]),
        (Pass(1.0), vec![Command::Kill { epoch: 0 }]),
        (Exit(0), vec![Command::Done]),
    ]);
}

#[test]
fn an_idle_envoy_is_not_waited_for() {
    Script::new().run(vec![
        (Event::Probe(AGENT), start(0, Mode::Ads)),
        (Live(0), vec![]),
        (Stop, drain(0)),
        (Idle(0), end(0)),
        (Exit(0), vec![Command::Done]),
    ]);
}

#[test]
fn one_that_may_serve_already_is_drained() {
    Script::new().run(vec![
        (Event::Probe(AGENT), start(0, Mode::Ads)),
        (Stop, drain(0)),
        (Pass(10.0), end(0)),
        (Pass(5.0), vec![Command::Kill { epoch: 0 }]),
        (Exit(0), vec![Command::Done]),
    ]);
}

/// During a hot restart the parent is the one that serves.
#[test]
fn whoever_serves_is_drained_and_asked_twice_nobody_is() {
    let mut script = Script::new();
    let begin = vec![
        (Event::Probe(SNAPSHOT), start(0, Mode::Static)),
        (Live(0), vec![]),
        (Event::Probe(AGENT), join(Entry::HotRestart)),
        (Stop, drain(0)),
    ];
    script.run(begin.clone());
    script.run(vec![
        (Idle(0), vec![Command::End { epoch: 0 }, Command::End { epoch: 1 }]),
        (Exit(0), vec![]),
        (Exit(1), vec![Command::Done]),
    ]);
    let mut script = Script::new();
    script.run(begin);
    script.run(vec![
        (Stop, vec![Command::End { epoch: 1 }, Command::End { epoch: 0 }]),
        (Exit(0), vec![]),
        (Exit(1), vec![Command::Done]),
    ]);
}

#[test]
fn with_nothing_to_end_it_ends_at_once() {
    Script::new().run(vec![(Stop, vec![Command::Done])]);
}
