//! Compares a value with a shape and notes every difference, not just the first.

use serde_json::{Map, Value};
use skerry_core::diagnostic::Code;

use super::{Field, Shape, did_you_mean};
use crate::findings::{Findings, below, placeholder};

/// Checks a value and all below it. `null` stands for "not there", as in the Kubernetes API.
pub(crate) fn check(shape: &Shape, value: &Value, pointer: &str, findings: &mut Findings<'_>) {
    if let Value::String(text) = value
        && placeholder(text).is_some()
    {
        findings.error(Code::InvalidField, pointer, "", "");
        return;
    }
    match (shape, value) {
        (Shape::Object(fields), Value::Object(map)) => check_fields(fields, map, pointer, findings),
        (Shape::Map(values), Value::Object(map)) => {
            for (key, value) in map {
                check(values, value, &below(pointer, key), findings);
            }
        }
        (Shape::List { items, least, most }, Value::Array(list)) => {
            check_size(list.len(), *least, *most, "items", pointer, findings);
            for (at, value) in list.iter().enumerate() {
                check(items, value, &format!("{pointer}/{at}"), findings);
            }
        }
        (Shape::Text { values, least, most }, Value::String(text)) => {
            check_value(values, text, pointer, findings);
            check_size(text.chars().count(), *least, *most, "characters", pointer, findings);
        }
        (Shape::Integer { least, most }, Value::Number(number)) if !number.is_f64() => {
            let inside = number.as_i64().is_some_and(|number| (*least..=*most).contains(&number));
            check_bounds(inside, number, &bounds(least, most, &i64::MIN, &i64::MAX), pointer, findings);
        }
        (Shape::Number { least, most }, Value::Number(number)) => {
            let inside = number.as_f64().is_some_and(|number| (*least..=*most).contains(&number));
            check_bounds(inside, number, &bounds(least, most, &f64::MIN, &f64::MAX), pointer, findings);
        }
        (Shape::Any, value) => check_any(value, pointer, findings),
        (Shape::Boolean, Value::Bool(_)) | (Shape::IntegerOrText | Shape::Duration, Value::String(_)) => {}
        (Shape::IntegerOrText, Value::Number(number)) if !number.is_f64() => {}
        (shape, value) => mismatch(shape, value, pointer, findings),
    }
}

/// Looks for placeholders in what has no shape.
fn check_any(value: &Value, pointer: &str, findings: &mut Findings<'_>) {
    match value {
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                check(&Shape::Any, value, &format!("{pointer}/{at}"), findings);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                check(&Shape::Any, value, &below(pointer, key), findings);
            }
        }
        _ => {}
    }
}

fn check_fields(
    fields: &std::collections::BTreeMap<String, Field>,
    map: &Map<String, Value>,
    pointer: &str,
    findings: &mut Findings<'_>,
) {
    for (name, value) in map {
        let pointer = below(pointer, name);
        match fields.get(name) {
            Some(_) if value.is_null() => {}
            Some(field) => check(&field.shape, value, &pointer, findings),
            None => {
                let help = did_you_mean(name, fields.keys().map(String::as_str));
                findings.error(
                    Code::UnknownField,
                    &pointer,
                    format!("there is no field `{name}` here"),
                    help,
                );
            }
        }
    }
    for (name, _) in fields.iter().filter(|(_, field)| field.required) {
        if map.get(name).is_none_or(Value::is_null) {
            let help = format!("add `{name}`");
            findings.error(Code::InvalidField, &below(pointer, name), "the field is required", help);
        }
    }
}

fn check_value(values: &[String], text: &str, pointer: &str, findings: &mut Findings<'_>) {
    if !values.is_empty() && !values.iter().any(|value| value == text) {
        let all = super::one_of(values.iter().map(String::as_str));
        let help = match did_you_mean(text, values.iter().map(String::as_str)) {
            nearest if nearest == all => all,
            nearest => format!("{nearest} {all}"),
        };
        findings.error(Code::UnknownValue, pointer, format!("`{text}` is not a value of this field"), help);
    }
}

fn check_size(
    size: usize,
    least: usize,
    most: usize,
    what: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) {
    if !(least..=most).contains(&size) {
        let help = format!("give {} {what}", bounds(&least, &most, &0, &usize::MAX));
        findings.error(Code::InvalidValue, pointer, format!("{size} {what} are out of bounds"), help);
    }
}

fn check_bounds(
    inside: bool,
    number: &serde_json::Number,
    bounds: &str,
    pointer: &str,
    findings: &mut Findings<'_>,
) {
    if !inside {
        findings.error(
            Code::InvalidValue,
            pointer,
            format!("{number} is out of bounds"),
            format!("give {bounds}"),
        );
    }
}

fn bounds<T: PartialEq + std::fmt::Display>(least: &T, most: &T, lowest: &T, highest: &T) -> String {
    match (least == lowest, most == highest) {
        (true, true) => "a smaller number".to_owned(),
        (true, false) => format!("at most {most}"),
        (false, true) => format!("at least {least}"),
        (false, false) => format!("{least} to {most}"),
    }
}

fn mismatch(shape: &Shape, value: &Value, pointer: &str, findings: &mut Findings<'_>) {
    let expected = match shape {
        Shape::Object(_) | Shape::Map(_) => "a mapping",
        Shape::List { .. } => "a list",
        Shape::Text { .. } => "text",
        Shape::Duration => "a duration",
        Shape::Integer { .. } => "a whole number",
        Shape::Number { .. } => "a number",
        Shape::Boolean => "`true` or `false`",
        Shape::IntegerOrText => "a whole number or text",
        Shape::Any => return,
    };
    let help = match (shape, value) {
        (Shape::Duration, _) => "write it with its unit, as 10s, 1m30s or 500ms (GEP-2257)".to_owned(),
        (Shape::Text { .. }, Value::Number(_) | Value::Bool(_)) => format!("put it in quotes: \"{value}\""),
        (Shape::Integer { .. } | Shape::Number { .. }, Value::String(text)) => {
            number_help(shape, text, expected)
        }
        (Shape::List { .. }, Value::Object(_) | Value::String(_)) => "start each item with `- `".to_owned(),
        _ => format!("write {expected}"),
    };
    findings.error(Code::InvalidField, pointer, format!("expected {expected}, found {}", found(value)), help);
}

/// A number that is text: it has leading zeros, is beyond what a number can be, or is in quotes.
fn number_help(shape: &Shape, text: &str, expected: &str) -> String {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits && digits.len() > 1 && digits.starts_with('0') {
        let octal = match i64::from_str_radix(digits, 8) {
            Ok(octal) => format!("octal {octal}"),
            Err(_) => "octal".to_owned(),
        };
        let decimal = digits.trim_start_matches('0');
        let decimal = if decimal.is_empty() { "0" } else { decimal };
        return format!(
            "leading zeros mean {octal} in YAML 1.1 and decimal {decimal} in YAML 1.2: write the number without them"
        );
    }
    match (text.parse::<f64>(), shape) {
        (Ok(number), _) if number.is_finite() => "take the quotes away".to_owned(),
        (Ok(_), Shape::Integer { least, most }) => {
            format!("it is too large for a number: give {}", bounds(least, most, &i64::MIN, &i64::MAX))
        }
        (Ok(_), Shape::Number { least, most }) => {
            format!("it is too large for a number: give {}", bounds(least, most, &f64::MIN, &f64::MAX))
        }
        _ => format!("write {expected}"),
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
        Value::String(text) if text.chars().count() <= 40 => format!("the text \"{text}\""),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}
