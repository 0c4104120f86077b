//! The launcher's log: a line of text on standard error. A subscriber with its formatters would be a
//! quarter of a megabyte of what each launcher keeps resident.

use std::fmt::Arguments;
use std::io::Write as _;

use crate::clock::wall_ms;

/// Writes a line with the time, UTC. One that cannot be written is lost.
pub(super) fn say(words: Arguments<'_>) {
    let line = format!("{} {words}\n", to_utc(wall_ms() / 1_000));
    let _lost = std::io::stderr().write_all(line.as_bytes());
}

/// Formats seconds since the epoch as RFC 3339, by the days of the 400-year cycle that begins in March.
fn to_utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year_of_era + after;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_795_454_568, "2026-11-23T17:22:48Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(to_utc(seconds), expected);
        }
    }
}
