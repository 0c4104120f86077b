//! Overrides of one rank that touch one field: neither is applied, and both are told.

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::{below, field_path};
use crate::policy::Object;
use crate::policy::site_override::{Change, Operation, OperationKind, Patch};
use crate::trace::is_within;

use super::{Layer, patch};

/// A field that an override touches.
#[derive(Debug, Clone)]
struct Touch {
    /// In the target, as a JSON pointer.
    field: String,
    /// In the override.
    own: String,
}

/// Finds the layers that are left out, by their places.
pub(super) fn find(layers: &[Layer<'_>], base: &Object, diagnostics: &mut Vec<Diagnostic>) -> Vec<usize> {
    let mut losers = Vec::new();
    if layers.len() < 2 {
        return losers;
    }
    let base = base.document.value();
    let touched: Vec<Vec<Touch>> = layers.iter().map(|layer| touched(layer, &base)).collect();
    for (i, (a, touched_a)) in layers.iter().zip(&touched).enumerate() {
        for (j, (b, touched_b)) in layers.iter().zip(&touched).enumerate().skip(i + 1) {
            if a.rank() != b.rank() {
                continue;
            }
            if let Some((field_a, field_b)) = common_field(touched_a, touched_b) {
                diagnostics.push(conflict(a, field_a, b, field_b));
                diagnostics.push(conflict(b, field_b, a, field_a));
                losers.extend([i, j]);
            }
        }
    }
    losers
}

fn common_field<'t>(a: &'t [Touch], b: &'t [Touch]) -> Option<(&'t Touch, &'t Touch)> {
    a.iter().find_map(|mine| Some((mine, b.iter().find(|other| overlaps(&mine.field, &other.field))?)))
}

/// Says whether one pointer is the other or leads to it.
fn overlaps(a: &str, b: &str) -> bool {
    is_within(a, b) || is_within(b, a)
}

fn conflict(loser: &Layer<'_>, mine: &Touch, other: &Layer<'_>, theirs: &Touch) -> Diagnostic {
    let place = other.object.document.locate(&theirs.own);
    let message = format!(
        "changes `{}` of {} with the same precedence ({}) as {} at {place}; neither is applied",
        field_path(&mine.field),
        loser.target,
        loser.spec.precedence,
        other.object.key,
    );
    Diagnostic::error(Code::OverrideConflict, loser.object.document.locate(&mine.own), message)
        .object(loser.object.key.clone())
        .field(field_path(&mine.own))
        .help("give one of the two a higher `spec.precedence`, or selectors that share no site")
}

fn touched(layer: &Layer<'_>, base: &Value) -> Vec<Touch> {
    layer.patches().flat_map(|patch| touched_by(patch, base)).collect()
}

fn touched_by(patch: &Patch, base: &Value) -> Vec<Touch> {
    match &patch.change {
        Change::Merge(merge) => {
            let mut leaves = Vec::new();
            collect_leaves(merge, String::new(), &mut leaves);
            let touch = |field| Touch { own: format!("{}{field}", patch.pointer), field };
            leaves.into_iter().map(touch).collect()
        }
        Change::Json(operations) => {
            let touch = |(at, operation): (usize, &Operation)| {
                let own = format!("{}/{at}/{}", patch.pointer, patch::says(operation.op)?);
                Some(Touch { field: touched_field(operation, base).to_owned(), own })
            };
            operations.iter().enumerate().filter_map(touch).collect()
        }
    }
}

/// An item that comes or goes gives those behind it another number: it touches its whole list.
fn touched_field<'o>(operation: &'o Operation, base: &Value) -> &'o str {
    let path = &operation.path;
    let Some((list, item)) = path.rsplit_once('/') else { return path };
    let moves = matches!(operation.op, OperationKind::Add | OperationKind::Remove);
    // Where the base has no such field, another patch makes it: a number is taken for an item's.
    let is_item = (item == "-" || item.bytes().all(|byte| byte.is_ascii_digit()))
        && base.pointer(list).is_none_or(|parent| !parent.is_object());
    if moves && is_item { list } else { path }
}

fn collect_leaves(value: &Value, pointer: String, leaves: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                collect_leaves(field, below(&pointer, name), leaves);
            }
        }
        _ => leaves.push(pointer),
    }
}
