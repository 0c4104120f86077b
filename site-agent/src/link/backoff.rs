//! When to try again. Pure: chance is an argument.

use std::time::Duration;

/// The ceiling of the first pause, and of every pause.
const CEILINGS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The longest pause that the core is obeyed in.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// A connection that has lived so long was well. One that ends sooner and has got nothing done may be one of many that break
/// after the greeting: a box in between that cuts streams, a core that fails over what this site says.
const STEADY: Duration = Duration::from_secs(30);

/// Exponential with full jitter: between nothing and a ceiling that doubles. Many agents that lose
/// one core come back spread evenly.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A connection ended that had lived for so long, and had got something done or not.
    pub(super) fn handle_end(&mut self, has_progress: bool, lived: Duration) {
        if has_progress || lived >= STEADY {
            self.handle_success();
        }
    }

    /// Something got done: the next failure is the first one.
    pub fn handle_success(&mut self) {
        self.failures = 0;
    }

    /// Returns the next pause; `share` is 0 to 1.
    pub fn next_pause(&mut self, share: f64) -> Duration {
        let ceiling = CEILINGS.1.min(CEILINGS.0 * 2_u32.saturating_pow(self.failures.min(16)));
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(share.clamp(0.0, 1.0))
    }

    /// Spreads a pause that was asked for: up to a fifth longer, and up to half a second at least, so that those who
    /// were sent away together do not come back together.
    pub fn spread(&self, pause: Duration, share: f64) -> Duration {
        let pause = pause.min(LONGEST_PAUSE);
        pause + (pause / 5).max(CEILINGS.0).mul_f64(share.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_half_a_minute() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next_pause(1.0).as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(backoff.next_pause(0.0), Duration::ZERO);

        backoff.handle_success();
        assert_eq!(backoff.next_pause(0.5).as_millis(), 250);
    }

    /// What breaks right after the greeting, for ever, is tried every half minute and not every quarter of a second.
    #[test]
    fn a_connection_that_breaks_at_once_is_no_success() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            backoff.next_pause(1.0);
            backoff.handle_end(false, Duration::from_secs(2));
        }
        assert_eq!(backoff.next_pause(1.0), CEILINGS.1);
        for (has_progress, lived) in [(true, Duration::ZERO), (false, STEADY)] {
            let mut backoff = Backoff { failures: 9 };
            backoff.handle_end(has_progress, lived);
            assert_eq!(backoff.next_pause(1.0), CEILINGS.0, "{has_progress} {lived:?}");
        }
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept_and_spread() {
        let backoff = Backoff::default();
        assert_eq!(backoff.spread(Duration::from_secs(10), 0.0), Duration::from_secs(10));
        assert_eq!(backoff.spread(Duration::from_secs(10), 1.0), Duration::from_secs(12));
        assert_eq!(
            backoff.spread(Duration::ZERO, 0.5),
            Duration::from_millis(250),
            "nobody comes back at once"
        );
        assert_eq!(backoff.spread(Duration::from_secs(86_400), 0.0), LONGEST_PAUSE);
    }

    /// Invariant 9: every pause is spread, the first and the longest, those of our own and those that were asked for.
    #[test]
    fn invariant_9_every_pause_has_jitter() {
        for failures in [0, 1, 5, 20, u32::MAX] {
            let pause = |share| Backoff { failures }.next_pause(share);
            assert_eq!(pause(0.0), Duration::ZERO, "full jitter: from nothing");
            assert!(pause(0.5) < pause(1.0) && pause(1.0) >= CEILINGS.0, "{failures}");
        }
        for seconds in [1, 30, 3_600, u64::from(u32::MAX)] {
            let pause = |share| Backoff::default().spread(Duration::from_secs(seconds), share);
            assert!(pause(0.0) < pause(0.5) && pause(0.5) < pause(1.0), "{seconds}");
        }
    }
}
