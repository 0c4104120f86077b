//! The one place that reads the wall clock. Everything else takes the time as an argument.
//!
//! Must not be asked inside a decision: read it once at the edge and hand the value on.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use skerry_core::id::Timestamp;

/// A point in time by two clocks: what is shown is of one that may jump, what is decided of one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the wall clock: for people and for the store.
    pub wall: Timestamp,
    /// By the monotonic clock: how long ago something was.
    pub at: Instant,
}

/// Tells the time; tests bring their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// Returns the machine's clock.
    pub fn system() -> Self {
        Self(Arc::new(read_system))
    }

    /// Makes a clock of a function.
    pub fn of(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Reads the clock.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// Reads this clock and the monotonic one.
    pub fn moment(&self) -> Moment {
        Moment { wall: self.now(), at: Instant::now() }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How long the machine has run, sleep included.
pub(crate) fn uptime() -> Duration {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(uptime).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "this is the place for it")]
fn read_system() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
