//! The time by which certificates and tokens are made and judged: the wall clock's at the start, and from then on that of a
//! clock that does not jump, and that counts while the machine sleeps. A wall clock that is set while the core runs makes nobody's
//! certificate void.

use std::time::Duration;

use skerry_core::id::Timestamp;
use tracing::warn;

use crate::clock::uptime;

/// The core's time for identities.
#[derive(Debug, Clone, Copy)]
pub struct IdentityTime {
    start: Timestamp,
    /// How long the machine had run by then.
    uptime: Duration,
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
        Self { start: wall.max(signed), uptime: uptime() }
    }

    /// Tells the time.
    pub fn now(&self) -> Timestamp {
        let passed = u64::try_from(uptime().saturating_sub(self.uptime).as_millis()).unwrap_or(u64::MAX);
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
