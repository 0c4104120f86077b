//! When a link event ends a pause. Pure: time and chance are arguments.
//!
//! A try soon after each event would be a storm where an interface flaps, and another one where a whole fleet sees the
//! same event. So tries keep a distance, are spread, and can be saved up to a few; what comes beyond that waits.

use std::time::Duration;

use crate::clock::Now;

/// How many early tries may follow each other. An interface that comes up says so in steps, seconds apart (carrier,
/// address, route, and IPv6 some time later), and only after the last of them does a try succeed.
const SAVED: u32 = 5;

/// How long it takes until there may be one more. An interface that flaps all day costs no more tries than a core that
/// is away, which is asked every 15 s in the mean.
const REFILL: Duration = Duration::from_secs(15);

/// The least time between two tries: a round trip of a satellite link.
const GAP: Duration = Duration::from_secs(1);

/// Early tries are spread over so much: what a fleet sees at once is not answered at once. With `GAP` this keeps an
/// early try within 2 s of its event.
const SPREAD: Duration = Duration::from_millis(500);

/// Decides when an early try is due.
#[derive(Debug)]
pub(super) struct Early {
    saved: u32,
    /// Since when the next one is being saved.
    since: Now,
    last_try: Option<Now>,
    due: Option<Now>,
}

impl Early {
    /// Starts with all that can be saved.
    pub(super) fn new(now: Now) -> Self {
        Self { saved: SAVED, since: now, last_try: None, due: None }
    }

    /// Something changed at an interface; `share` is 0 to 1. A try that is due already comes after it too.
    pub(super) fn handle_event(&mut self, now: Now, share: f64) {
        if self.due.is_some() {
            return;
        }
        self.refill(now);
        let spread = now + SPREAD.mul_f64(share.clamp(0.0, 1.0));
        let apart = self.last_try.map_or(Now::ZERO, |last| last + GAP);
        let affordable = if self.saved == 0 { self.since + REFILL } else { Now::ZERO };
        self.due = Some(spread.max(apart).max(affordable));
    }

    /// A try is made, for whatever reason: what happened before it is dealt with.
    pub(super) fn handle_try(&mut self, now: Now) {
        self.refill(now);
        if self.due.take().is_some_and(|due| due <= now) {
            self.saved = self.saved.saturating_sub(1);
        }
        self.last_try = Some(now);
    }

    /// Returns when an early try is due.
    pub(super) fn poll_timeout(&self) -> Option<Now> {
        self.due
    }

    fn refill(&mut self, now: Now) {
        while self.saved < SAVED && now >= self.since + REFILL {
            self.saved += 1;
            self.since += REFILL;
        }
        if self.saved == SAVED {
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Makes the try that is due; returns when.
    fn try_when_due(early: &mut Early) -> Now {
        let due = early.poll_timeout().unwrap();
        early.handle_try(due);
        due
    }

    #[test]
    fn an_event_brings_a_try_within_two_seconds_and_spread() {
        let mut early = Early::new(Now::ZERO);
        early.handle_try(10 * SECOND);
        assert_eq!(early.poll_timeout(), None);

        early.handle_event(20 * SECOND, 1.0);
        assert_eq!(early.poll_timeout(), Some(20 * SECOND + SPREAD));
        early.handle_event(20 * SECOND + SPREAD / 2, 0.0);
        assert_eq!(try_when_due(&mut early), 20 * SECOND + SPREAD, "one try for both");
        assert_eq!(early.poll_timeout(), None);

        early.handle_event(20 * SECOND + SPREAD, 0.3);
        assert_eq!(try_when_due(&mut early), 20 * SECOND + SPREAD + GAP, "not right after another");
    }

    #[test]
    fn a_try_that_backoff_makes_after_the_event_is_enough() {
        let mut early = Early::new(Now::ZERO);
        early.handle_event(SECOND, 1.0);
        early.handle_try(SECOND + SPREAD / 2);
        assert_eq!(early.poll_timeout(), None);
        assert_eq!(early.saved, SAVED, "it was not an early one");
    }

    /// Invariant 9: an interface that flaps ten times a second for an hour.
    #[test]
    fn invariant_9_an_interface_that_flaps_brings_no_more_tries_than_a_core_that_is_away() {
        let mut early = Early::new(Now::ZERO);
        let mut tries = Vec::new();
        for tenth in 0..36_000_u32 {
            let now = SECOND / 10 * tenth;
            early.handle_event(now, f64::from(tenth % 10) / 10.0);
            if early.poll_timeout().is_some_and(|due| due <= now) {
                early.handle_try(now);
                tries.push(now);
            }
        }
        assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= GAP));
        assert!(tries.iter().filter(|at| **at < 10 * SECOND).count() >= 5, "{tries:?}");
        assert!((240..=246).contains(&tries.len()), "{}", tries.len());
    }

    #[test]
    fn what_was_spent_comes_back_and_no_event_is_forgotten() {
        let mut early = Early::new(Now::ZERO);
        for _ in 0..SAVED {
            early.handle_event(SECOND, 0.0);
            try_when_due(&mut early);
        }
        early.handle_event(6 * SECOND, 0.0);
        assert_eq!(try_when_due(&mut early), SECOND + REFILL, "the last event has its try, later");

        early.handle_event(1_000 * SECOND, 0.0);
        assert_eq!(try_when_due(&mut early), 1_000 * SECOND);
        assert_eq!(early.saved, SAVED - 1);
    }
}
