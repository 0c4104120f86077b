//! The words of a test that is passed over. They go past the harness, which keeps what a passing test prints to itself.

use std::io::Write as _;

/// Says why a test is passed over, on a line that begins with `skipped: `.
pub fn say(why: &str) {
    // One write, so that the lines of tests that run side by side do not mix. Nobody may be listening.
    let _unheard = std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes());
}
