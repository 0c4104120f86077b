//! Notices that the machine slept or that its clock was set. Timers count neither, and certificates are judged by both.
//!
//! Says that it was so, and nothing more: what follows from it is for those who are told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Clock, Elapsed, Now, wall_ms};
use crate::mailbox::{self, Mail};

/// How often the clocks are compared: three reads of a clock, and nothing of the disk.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is no move: clocks are slewed by 0.5 ms in a second at most (adjtimex(2)), and are not read at the same instant.
const SLACK: Duration = Duration::from_millis(500);

/// All clocks of a machine at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    /// While it was awake.
    awake: Now,
    /// Sleep included.
    elapsed: Elapsed,
    /// Milliseconds since the epoch, as people set it.
    wall_ms: u64,
}

impl Reading {
    fn now(clock: &Clock) -> Self {
        Self { awake: clock.now(), elapsed: clock.elapsed(), wall_ms: wall_ms() }
    }
}

/// How the clocks moved besides going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    /// How long the machine slept.
    slept: Duration,
    /// How far the wall clock was set, or wandered in its sleep: milliseconds.
    set_ms: i64,
}

/// Where the clocks stood when they were compared last.
#[derive(Debug)]
struct Moves {
    last: Reading,
}

impl Moves {
    /// Compares the clocks; returns how they moved since the last time, if they did. What is no move yet adds up until it is.
    fn handle_reading(&mut self, now: Reading) -> Option<Move> {
        let elapsed = now.elapsed.saturating_sub(self.last.elapsed);
        let slept = elapsed.saturating_sub(now.awake.saturating_sub(self.last.awake));
        let expected = self.last.wall_ms.saturating_add(millis(elapsed));
        let set_ms = i64::try_from(i128::from(now.wall_ms) - i128::from(expected)).unwrap_or(i64::MAX);
        if slept <= SLACK && set_ms.unsigned_abs() <= millis(SLACK) {
            return None;
        }
        self.last = now;
        Some(Move { slept, set_ms })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Tells the site and the renewal of its certificates when the clocks moved, until the agent ends.
pub(crate) async fn run(
    clock: Clock,
    mailbox: mailbox::Sender,
    moved: Arc<Notify>,
    life: CancellationToken,
) -> anyhow::Result<()> {
    let mut moves = Moves { last: Reading::now(&clock) };
    while life.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
        let Some(Move { slept, set_ms }) = moves.handle_reading(Reading::now(&clock)) else { continue };
        info!(slept_ms = millis(slept), set_ms, "the clocks moved: the machine slept, or its clock was set");
        mailbox.send(Mail::ClocksMoved).await?;
        moved.notify_one();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_800_000_000_000;

    /// After how many seconds awake, of sleep, and by how much the wall clock was set then: milliseconds.
    fn after(awake: u64, slept: u64, set_ms: i64) -> Reading {
        let (awake, elapsed) = (Duration::from_secs(awake), Duration::from_secs(awake + slept));
        Reading { awake, elapsed, wall_ms: (START + millis(elapsed)).saturating_add_signed(set_ms) }
    }

    #[test]
    fn sleep_and_a_clock_that_is_set_are_told_apart_and_slewing_is_neither() {
        const YEARS: i64 = 10 * 365 * 86_400_000;
        let moved = |slept, set_ms| Some(Move { slept: Duration::from_secs(slept), set_ms });
        for (what, now, expected) in [
            ("a second", after(1, 0, 0), None),
            ("an hour of slewing", after(3600, 0, 400), None),
            ("a nap", after(1, 3, 0), moved(3, 0)),
            (
                "a night in which the wall clock lost a minute",
                after(1, 30_000, -60_000),
                moved(30_000, -60_000),
            ),
            ("set ahead", after(1, 0, YEARS), moved(0, YEARS)),
            ("set back", after(1, 0, -YEARS), moved(0, -YEARS)),
            (
                "set back as far as it goes",
                Reading { wall_ms: 0, ..after(0, 0, 0) },
                moved(0, -1_800_000_000_000),
            ),
        ] {
            let mut moves = Moves { last: after(0, 0, 0) };
            assert_eq!(moves.handle_reading(now), expected, "{what}");
            assert_eq!(moves.handle_reading(now), None, "{what}: it is told once");
        }
        let mut moves = Moves { last: after(0, 0, 0) };
        assert_eq!(moves.handle_reading(after(1_000, 0, 400)), None);
        assert_eq!(moves.handle_reading(after(2_000, 0, 800)), moved(0, 800), "what adds up is told at last");
    }
}
