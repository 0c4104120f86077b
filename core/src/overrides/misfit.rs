//! Why an operation of a JSON patch does not fit, in words: what is there in its place, and who made it so.

use serde_json::Value;

use crate::document::{below, field_path};
use crate::policy::site_override::{Operation, OperationKind};
use crate::trace::Source;

use super::patch::Patched;

/// The most characters of a value that is shown.
const VALUE: usize = 60;

/// Explains an operation that cannot be carried out, the one at place `at` of its patch.
pub(super) fn explain(operation: &Operation, at: usize, patched: &Patched<'_>) -> String {
    let reason = reason(operation, patched);
    format!("json[{at}] ({} {}): {reason}", operation.op.as_str(), operation.path)
}

/// Goes down the path as far as it leads.
fn reason(operation: &Operation, patched: &Patched<'_>) -> String {
    let (mut here, mut there) = (String::new(), &patched.document.value);
    for token in operation.path.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        let next = match there {
            Value::Object(fields) => fields.get(&name),
            Value::Array(items) => name.parse().ok().and_then(|item: usize| items.get(item)),
            other => {
                return format!(
                    "{} is {}, with nothing below it{}",
                    named(&here),
                    shown(other),
                    who(patched, &here)
                );
            }
        };
        let pointer = below(&here, &name);
        let Some(next) = next else { return missing(operation.op, there, &here, &name, patched) };
        (here, there) = (pointer, next);
    }
    match operation.op {
        OperationKind::Test => {
            let wanted = shown(&operation.value);
            format!("{} is {} and not {wanted}{}", named(&here), shown(there), who(patched, &here))
        }
        // What is there can be replaced and removed; all but the whole object.
        OperationKind::Add | OperationKind::Remove | OperationKind::Replace => {
            format!("it cannot be done to {}", named(&here))
        }
    }
}

/// What has no such field or item.
fn missing(op: OperationKind, there: &Value, here: &str, name: &str, patched: &Patched<'_>) -> String {
    let Value::Array(items) = there else {
        let who = who(patched, &below(here, name));
        return format!("{} has no field `{name}`{who}", named(here));
    };
    let count = items.len();
    let has = match count {
        0 => "no items".to_owned(),
        1 => "1 item, number 0".to_owned(),
        more => format!("{more} items, numbers 0 to {}", more - 1),
    };
    let add = match op {
        OperationKind::Add => format!("; one is added at 0 to {count}, or at `-`, the end"),
        OperationKind::Remove | OperationKind::Replace | OperationKind::Test => String::new(),
    };
    format!("{} has {has}, and no `{name}`{add}{}", named(here), who(patched, here))
}

fn named(pointer: &str) -> String {
    if pointer.is_empty() { "the object".to_owned() } else { format!("`{}`", field_path(pointer)) }
}

/// Names the override that made a field what it is, or took it away; of a field of the object itself, its place.
fn who(patched: &Patched<'_>, pointer: &str) -> String {
    let Source { layer, pointer: own } =
        patched.trace.blamed(pointer).unwrap_or_else(|| patched.trace.resolve(pointer));
    match layer.map(|layer| patched.applied.get(layer)) {
        Some(Some(over)) => {
            format!(" (by {} at {}, which is applied before)", over.key, over.document.locate(&own))
        }
        // This override itself, by an operation before.
        Some(None) => " (by this override itself)".to_owned(),
        None => format!(" (at {})", patched.document.locate(pointer)),
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE) {
        Some((cut, _)) => format!("`{}…`", &text[..cut]),
        None => format!("`{text}`"),
    }
}
