//! How often the writer commits. Pure.
//!
//! A commit costs the disk the same for one report as for a thousand, and 10,000 sites that are spread over five minutes
//! report 33 times a second. So a few commits are free, for a site that says something now, and beyond those reports
//! gather for a moment.

use std::time::{Duration, Instant};

/// The time between two commits when many sites report.
const INTERVAL: Duration = Duration::from_millis(500);

/// So many commits may come at once before that.
const FREE: u32 = 8;

/// Counts commits: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Default)]
pub(super) struct Pacing {
    /// When the commits so far would have come at the interval.
    due: Option<Instant>,
}

impl Pacing {
    /// Returns until when the next commit may gather reports; a time in the past if it is free.
    pub(super) fn gathers_until(&self, now: Instant) -> Instant {
        self.due
            .and_then(|due| due.checked_sub(INTERVAL * FREE))
            .map_or(now, |until| until.min(now + INTERVAL))
    }

    /// A commit begins.
    pub(super) fn handle_commit(&mut self, now: Instant) {
        self.due = Some(self.due.map_or(now, |due| due.max(now)) + INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says when commits begin if there is a report every so often, for a while.
    fn commits(every: Duration, reports: u32) -> Vec<Duration> {
        let (start, mut pacing) = (Instant::now(), Pacing::default());
        let (mut free_at, mut begun) = (start, Vec::new());
        for report in 0..reports {
            let comes = start + every * report;
            if comes < free_at {
                continue; // it is gathered
            }
            let begins = pacing.gathers_until(comes).max(comes);
            pacing.handle_commit(begins);
            begun.push(begins - start);
            free_at = begins;
        }
        begun
    }

    #[test]
    fn a_few_sites_are_written_at_once_and_many_gather() {
        let second = Duration::from_secs(1);
        let one_a_second = commits(second, 60);
        assert_eq!(one_a_second, (0..60).map(|at| second * at).collect::<Vec<_>>());

        let many = commits(second / 33, 33 * 60);
        assert!((120..=130).contains(&many.len()), "2 a second and the free ones: {}", many.len());
        assert!(
            many.windows(2).all(|pair| pair[1] - pair[0] <= INTERVAL + second / 33),
            "no report waits for longer"
        );
    }

    #[test]
    fn what_is_free_comes_back() {
        let (start, mut pacing) = (Instant::now(), Pacing::default());
        for _ in 0..FREE {
            assert!(pacing.gathers_until(start) <= start);
            pacing.handle_commit(start);
        }
        pacing.handle_commit(start);
        assert!(pacing.gathers_until(start) > start);
        assert!(pacing.gathers_until(start + INTERVAL * FREE) <= start + INTERVAL * FREE);
    }
}
