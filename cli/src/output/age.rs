//! Moments and ages: `3m12s` for people, RFC 3339 for programs.

use jiff::Timestamp;
use serde::Serialize;

/// A moment with its age, as programs see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Moment {
    /// RFC 3339, in UTC.
    pub at: String,
    /// How long ago that was, by the clock of whoever answered; nobody knows when that clock was set back since.
    pub age_seconds: Option<u64>,
}

/// How far ahead a moment may be without a clock having been set back: milliseconds.
pub const AHEAD_MS: u64 = 1000;

impl Moment {
    /// Takes milliseconds since 1970; 0 is never.
    pub fn at(ms: u64, now_ms: u64) -> Option<Self> {
        let is_past = ms <= now_ms.saturating_add(AHEAD_MS);
        let age_seconds = is_past.then(|| now_ms.saturating_sub(ms) / 1000);
        (ms > 0).then(|| Self { at: rfc3339(ms), age_seconds })
    }

    /// Writes the age in two units at most, or `?`.
    pub fn age(&self) -> String {
        self.age_seconds.map_or_else(|| "?".to_owned(), age)
    }
}

/// Writes the age of a moment, or `never`.
pub fn age_or_never(moment: Option<&Moment>) -> String {
    moment.map_or_else(|| "never".to_owned(), Moment::age)
}

/// Writes milliseconds since 1970 as RFC 3339 in UTC, to the second.
pub fn rfc3339(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| "unknown".to_owned(), |moment| moment.to_string())
}

/// Writes seconds since 1970 as a day in UTC.
pub fn day(seconds: i64) -> String {
    let text = Timestamp::from_second(seconds).map(|moment| moment.to_string()).unwrap_or_default();
    text.split('T').next().unwrap_or_default().to_owned()
}

/// Writes how long something took or takes, in two units at most.
pub fn span(ms: u64) -> String {
    age(ms / 1000)
}

/// Writes two units as long as the first is small, and leaves out the second when it is zero.
fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |first: u64, unit: &str, second: u64, smaller: &str| match (first, second) {
        (10.., _) | (_, 0) => format!("{first}{unit}"),
        _ => format!("{first}{unit}{second}{smaller}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => two(minutes, "m", seconds % 60, "s"),
        (0, ..) => two(hours, "h", minutes % 60, "m"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let ages = [0, 59, 61, 599, 600, 3_599, 3_660, 36_000, 90_000, 864_000, 300].map(age);
        assert_eq!(ages, ["0s", "59s", "1m1s", "9m59s", "10m", "59m", "1h1m", "10h", "1d1h", "10d", "5m"]);
    }

    #[test]
    fn a_moment_ahead_of_the_clock_has_no_age() {
        let moment = Moment::at(3_000, 1_000).unwrap();
        assert_eq!((moment.at.as_str(), moment.age_seconds), ("1970-01-01T00:00:03Z", None));
        assert_eq!(moment.age(), "?");
        assert_eq!(Moment::at(2_000, 1_000).unwrap().age_seconds, Some(0));
        assert_eq!(Moment::at(0, 1_000), None);
    }
}
