//! The time by which certificates and tokens are made and judged: the wall clock's at the start, and from then on that of a
//! clock that does not jump. A wall clock that is set while the core runs makes nobody's certificate void.

use std::time::Instant;

use skerry_core::id::Timestamp;
use tracing::warn;

/// The core's time for identities.
#[derive(Debug, Clone, Copy)]
pub struct IdentityTime {
    start: Timestamp,
    since: Instant,
}

impl IdentityTime {
    /// Starts at what the wall clock shows, and never before a time that the core has signed itself.
    pub fn start(wall: Timestamp, signed: Timestamp) -> Self {
        if wall < signed {
            warn!(
                wall_ms = wall.0,
                signed_ms = signed.0,
                "the clock is behind what this core has signed already: it cannot be right; that time is taken"
            );
        }
        Self { start: wall.max(signed), since: Instant::now() }
    }

    /// Tells the time.
    pub fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        Timestamp(self.start.0.saturating_add(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_behind_is_not_believed() {
        let signed = Timestamp(1_000_000);
        for (wall, least) in [(Timestamp(0), signed), (Timestamp(2_000_000), Timestamp(2_000_000))] {
            let time = IdentityTime::start(wall, signed).now();
            assert!(time >= least && time.0 < least.0 + 60_000, "{wall:?}: {time:?}");
        }
    }
}
