//! How long something lasts, as people write it.

/// Seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life(pub u64);

/// Reads `30m`, `24h` or `7d`: at least a second, at most so many days.
pub fn parse_life<const MAX_DAYS: u64>(text: &str) -> Result<Life, String> {
    let wrong = || format!("write it as `30m`, `24h` or `7d`, at most {MAX_DAYS} days");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let seconds = number.checked_mul(unit).filter(|seconds| (1..=MAX_DAYS * 86_400).contains(seconds));
    seconds.map(Life).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_have_a_unit_and_bounds() {
        for (text, expected) in [
            ("30m", Some(1_800)),
            ("24h", Some(86_400)),
            ("30d", Some(2_592_000)),
            ("31d", None),
            ("0h", None),
        ] {
            assert_eq!(parse_life::<30>(text).ok(), expected.map(Life), "{text}");
        }
        for text in ["", "h", "24", "-1h", "ä", "99999999999999999999d"] {
            assert!(parse_life::<30>(text).is_err(), "{text}");
        }
    }
}
