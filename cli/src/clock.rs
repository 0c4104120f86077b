//! The clock of this machine, for what is valid for a time. Ages of a fleet count by the core's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970; 0 if the clock is before that.
#[expect(clippy::disallowed_methods, reason = "this is the place for it")]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
