//! Points in time as `allowed_signers` files have them, and as people read them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS`, each with or without `Z` (ssh-keygen(1), "ALLOWED SIGNERS"), as
/// seconds since 1970. Without `Z` OpenSSH takes the time zone of the machine; here it is always UTC.
pub(super) fn parse(text: &str) -> Option<i64> {
    let digits = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i8>().ok());
    let year = digits[..4].parse::<i16>().ok()?;
    let (month, day) = (part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Writes a time as RFC 3339 has it; one that no calendar has, as a number.
pub(super) fn shown(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::{parse, shown};

    #[test]
    fn times_are_read_as_openssh_writes_them_and_always_in_utc() {
        let table = [
            ("20270101", Some("2027-01-01T00:00:00Z")),
            ("20270101Z", Some("2027-01-01T00:00:00Z")),
            ("202702281530", Some("2027-02-28T15:30:00Z")),
            ("20270228153045Z", Some("2027-02-28T15:30:45Z")),
            ("20270229", None),
            ("20271301", None),
            ("202701012460", None),
            ("2027010", None),
            ("2027-01-01", None),
            ("+2270101", None),
            ("always", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).map(shown).as_deref(), expected, "{text}");
        }
    }
}
