//! When to look at a repository again.
//!
//! Pure: randomness is an argument. The webhook makes looking again at once; this is the floor under it.

use std::time::Duration;

/// The first wait after a failure; doubled with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest wait after failures, unless the interval itself is longer.
const LONGEST_RETRY: Duration = Duration::from_mins(5);
/// The shortest wait of all, whatever interval is asked for.
const SHORTEST: Duration = Duration::from_secs(1);

/// Computes the wait until the next poll.
///
/// * `interval`: what the source asks for; less than a second counts as a second.
/// * `failures`: how many attempts have failed in a row. With none, the wait is the interval ±10 %. Otherwise it
///   starts at 5 s (or the interval, if that is shorter), doubles, and ends at 5 min (or the interval, if that is
///   longer), less up to 20 %.
/// * `jitter`: evenly drawn from 0 to 1; other values are taken as the nearer bound.
pub fn next_poll(interval: Duration, failures: u32, jitter: f64) -> Duration {
    let interval = interval.max(SHORTEST);
    let jitter = if jitter.is_nan() { 0.5 } else { jitter.clamp(0.0, 1.0) };
    if failures == 0 {
        return interval.mul_f64(0.9 + 0.2 * jitter);
    }
    let first = FIRST_RETRY.min(interval);
    let longest = LONGEST_RETRY.max(interval);
    let doubled = first.saturating_mul(2_u32.saturating_pow(failures - 1));
    doubled.min(longest).mul_f64(0.8 + 0.2 * jitter)
}
