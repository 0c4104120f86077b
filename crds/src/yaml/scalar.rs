//! The text of a scalar → null, boolean, number or text, by the core schema of YAML 1.2 (§10.3).
//!
//! Narrower in two points, so that nothing changes its meaning by accident: a number with leading zeros
//! (`0755`) is text, and so are infinities, which JSON does not have.

use serde_json::{Number, Value};
use serde_saphyr::granit_parser::{ScalarStyle, Tag};

/// Resolves a scalar. `None`: it does not fit its tag. A tag that is not of the core schema makes it text.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Value> {
    let as_text = || Some(Value::String(text.to_owned()));
    let Some(tag) = tag else {
        let plain = if style == ScalarStyle::Plain { resolve_plain(text) } else { None };
        return plain.or_else(as_text);
    };
    match tag.core_suffix() {
        Some("null") => is_null(text).then_some(Value::Null),
        Some("bool") => boolean(text).map(Value::Bool),
        Some("int" | "float") => number(text).map(Value::Number),
        _ => as_text(),
    }
}

fn resolve_plain(text: &str) -> Option<Value> {
    if is_null(text) {
        return Some(Value::Null);
    }
    boolean(text).map(Value::Bool).or_else(|| number(text).map(Value::Number))
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).ok().map(Number::from);
    match text.as_bytes() {
        [b'0', b'x', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit) => {
            return radix(&text[2..], 16);
        }
        [b'0', b'o', digits @ ..] if digits.iter().all(|digit| matches!(digit, b'0'..=b'7')) => {
            return radix(&text[2..], 8);
        }
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits(unsigned) {
        if unsigned.len() > 1 && unsigned.starts_with('0') {
            return None;
        }
        let whole = text.strip_prefix('+').unwrap_or(text);
        let number =
            whole.parse::<u64>().map(Number::from).or_else(|_| whole.parse::<i64>().map(Number::from));
        return number.ok().or_else(|| float(whole));
    }
    is_float(unsigned).then(|| float(text)).flatten()
}

/// `[0-9]*(\.[0-9]*)?([eE][-+]?[0-9]+)?` with a digit before the exponent.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digit = !whole.is_empty() || !fraction.is_empty();
    has_digit
        && is_digits(whole)
        && is_digits(fraction)
        && exponent.is_none_or(|it| !it.is_empty() && is_digits(it))
}

fn float(text: &str) -> Option<Number> {
    text.parse().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use serde_saphyr::granit_parser::ScalarStyle;

    use super::resolve;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn plain_scalars_are_those_of_the_core_schema() {
        let cases = [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("nULL", json!("nULL")),
            ("true", json!(true)),
            ("False", json!(false)),
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("0", json!(0)),
            ("-1", json!(-1)),
            ("+12", json!(12)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551616", json!(1.844_674_407_370_955_2e19)),
            ("0755", json!("0755")),
            ("-01", json!("-01")),
            ("1_000", json!("1_000")),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0xZZ", json!("0xZZ")),
            ("0x", json!("0x")),
            ("0xFFFFFFFFFFFFFFFFFF", json!("0xFFFFFFFFFFFFFFFFFF")),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("5.", json!(5.0)),
            ("-1e3", json!(-1000.0)),
            ("1e", json!("1e")),
            (".", json!(".")),
            ("-", json!("-")),
            (".inf", json!(".inf")),
            (".nan", json!(".nan")),
            ("1e999", json!("1e999")),
            ("infinity", json!("infinity")),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("2026-01-31", json!("2026-01-31")),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, ScalarStyle::Plain, None), Some(expected), "{text}");
        }
        assert_eq!(resolve("1", ScalarStyle::DoubleQuoted, None), Some(json!("1")));
        assert_eq!(resolve("", ScalarStyle::SingleQuoted, None), Some(json!("")));
    }
}
