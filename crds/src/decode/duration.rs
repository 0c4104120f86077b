//! Durations of the Gateway API (GEP-2257) → milliseconds or seconds.

use std::ops::RangeInclusive;

use crate::api::duration::Duration;
use crate::findings::Findings;

use super::invalid;

/// What a duration is, for help lines.
const RULE: &str = "write it as 10s, 1m30s or 500ms (GEP-2257)";

/// The hours of units that people know and GEP-2257 does not.
const LONG_UNITS: [(char, u64); 2] = [('d', 24), ('w', 7 * 24)];

/// In milliseconds.
const HOUR: u64 = 3_600_000;

/// Says how to write what somebody meant, who may mean so many milliseconds at most.
fn rule(text: &str, most: u64) -> String {
    let in_hours = |(unit, hours): (char, u64)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        let hours = number.checked_mul(hours)?;
        hours.checked_mul(HOUR).filter(|meant| *meant <= most).map(|_| format!("{hours}h"))
    };
    let is_long = text.split(|c: char| !c.is_ascii_digit()).any(|digits| digits.len() > 5);
    match LONG_UNITS.into_iter().find_map(in_hours) {
        Some(hours) => format!("write it in hours, {hours}: there are no days or weeks (GEP-2257)"),
        None if is_long => {
            format!("a number has five digits at most: write larger units, up to {} (GEP-2257)", shown(most))
        }
        None if text.starts_with('-') => {
            "no time is negative: write it as 10s, 1m30s or 500ms (GEP-2257)".to_owned()
        }
        None => RULE.to_owned(),
    }
}

/// A time as somebody would write it who is allowed this much: whole hours where it is that, and no more of them than can be written.
fn shown(milliseconds: u64) -> String {
    match milliseconds.min(99_999 * HOUR) {
        0 => "0s".to_owned(),
        whole if whole % HOUR == 0 => format!("{}h", whole / HOUR),
        long if long > HOUR => format!("{}h", long / HOUR),
        whole if whole % 1_000 == 0 => format!("{}s", whole / 1_000),
        short => format!("{short}ms"),
    }
}

/// Parses a duration: one to four parts, each of one to five digits and `h`, `m`, `s` or `ms` (GEP-2257).
///
/// Parts may come in any order and more than once; their sum is below 2^49 milliseconds.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (mut rest, mut total, mut parts) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest.get(..digits).filter(|_| (1..=5).contains(&digits))?.parse().ok()?;
        rest = &rest[digits..];
        let (unit, milliseconds) = if rest.starts_with("ms") {
            (2, 1)
        } else {
            let milliseconds = match rest.bytes().next()? {
                b'h' => 3_600_000,
                b'm' => 60_000,
                b's' => 1_000,
                _ => return None,
            };
            (1, milliseconds)
        };
        rest = &rest[unit..];
        total += number * milliseconds;
        parts += 1;
    }
    (1..=4).contains(&parts).then_some(total)
}

/// Reads a duration in milliseconds, at least `least`; at most 49 days, since bundles count in 32 bits.
pub(crate) fn milliseconds(
    text: &str,
    least: u32,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<u32> {
    let Some(total) = parse(text) else {
        invalid(findings, pointer, format!("`{text}` is not a duration"), rule(text, u64::from(u32::MAX)));
        return None;
    };
    match u32::try_from(total) {
        Ok(total) if total >= least => Some(total),
        Ok(_) => {
            invalid(findings, pointer, format!("`{text}` is too short"), format!("give at least {least}ms"));
            None
        }
        Err(_) => {
            let message = format!("`{text}` is too long");
            invalid(findings, pointer, message, "give at most 1193h (2^32 milliseconds), or 0s for no limit");
            None
        }
    }
}

/// Reads a duration in whole seconds within bounds, both included.
pub(crate) fn seconds(
    duration: &Duration,
    bounds: RangeInclusive<u32>,
    pointer: &str,
    findings: &mut Findings<'_>,
) -> Option<u32> {
    let text = &duration.0;
    let Some(total) = parse(text) else {
        let most = u64::from(*bounds.end()) * 1_000;
        invalid(findings, pointer, format!("`{text}` is not a duration"), rule(text, most));
        return None;
    };
    let seconds =
        u32::try_from(total / 1_000).ok().filter(|seconds| total % 1_000 == 0 && bounds.contains(seconds));
    if seconds.is_none() {
        let [least, most] = [bounds.start(), bounds.end()].map(|seconds| shown(u64::from(*seconds) * 1_000));
        let help = format!("give whole seconds, {least} to {most}");
        invalid(findings, pointer, format!("`{text}` is out of bounds"), help);
    }
    seconds
}

#[cfg(test)]
mod tests {
    use super::{HOUR, RULE, parse, rule, shown};

    #[test]
    fn days_and_weeks_are_told_in_hours() {
        for (text, hours) in [("30d", "720h"), ("1d", "24h"), ("2w", "336h")] {
            assert_eq!(
                rule(text, 4_320 * HOUR),
                format!("write it in hours, {hours}: there are no days or weeks (GEP-2257)")
            );
        }
        // What would be too long is not told so.
        for text in ["181d", "1.5d", "d", "1d12h", "1y", ""] {
            assert_eq!(rule(text, 4_320 * HOUR), RULE, "{text}");
        }
        assert!(rule("-5h", HOUR).starts_with("no time is negative: "));
        let long = "a number has five digits at most: write larger units, up to 4320h (GEP-2257)";
        assert_eq!(["100000h", "15552000s", "1m999999ms"].map(|text| rule(text, 4_320 * HOUR)), [long; 3]);
    }

    #[test]
    fn bounds_are_told_as_people_write_them() {
        let all = [3_600, 15_552_000, 90, 7_199].map(|seconds| shown(seconds * 1_000));
        assert_eq!(all, ["1h", "4320h", "90s", "1h"]);
        assert_eq!([0, 500, u64::from(u32::MAX)].map(shown), ["0s", "500ms", "1193h"]);
        assert_eq!(shown(u64::from(u32::MAX) * 1_000), "99999h");
    }

    #[test]
    fn durations_are_those_of_gep_2257() {
        let cases = [
            ("0s", Some(0)),
            ("10s", Some(10_000)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("1h2m3s4ms", Some(3_723_004)),
            ("30s1m", Some(90_000)),
            ("99999h", Some(359_996_400_000)),
            ("", None),
            ("10", None),
            ("s", None),
            ("1.5s", None),
            ("-1s", None),
            ("100000s", None),
            ("1s1s1s1s1s", None),
            ("1d", None),
            ("1 s", None),
            ("1µs", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
