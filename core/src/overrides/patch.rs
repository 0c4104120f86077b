//! One patch of an override: what it does to a document, to the places of its fields, and to the trace of them.

use std::sync::Arc;

use serde_json::Value;

use crate::document::{Document, below};
use crate::policy::Object;
use crate::policy::site_override::{Change, Operation, OperationKind, Patch};
use crate::trace::{Edit, Source, Trace};

use super::misfit;

/// Why a patch does not fit.
pub(super) struct Misfit {
    /// The field of the override that does not, as a JSON pointer.
    pub(super) pointer: String,
    /// In words.
    pub(super) reason: String,
}

/// A document into which overrides are folded.
pub(super) struct Patched<'a> {
    /// The document; spans are those of fields that came from the base.
    pub(super) document: Document,
    /// Where its fields come from.
    pub(super) trace: Trace,
    /// The overrides that are in it already; the one whose turn it is comes after them.
    pub(super) applied: &'a [Arc<Object>],
}

impl Patched<'_> {
    /// The override whose turn it is, by its place among those that are applied.
    pub(super) fn layer(&self) -> usize {
        self.applied.len()
    }

    /// Applies a patch. After a misfit the document is of no use.
    pub(super) fn apply(&mut self, patch: &Patch) -> Result<(), Misfit> {
        match &patch.change {
            Change::Merge(merge) => {
                let mut edits = Vec::new();
                merge_edits(&self.document.value, merge, String::new(), &mut edits);
                json_patch::merge(&mut self.document.value, merge);
                for edit in edits {
                    let (Edit::Set(field) | Edit::Unset(field)) = &edit else { continue };
                    let pointer = format!("{}{field}", patch.pointer);
                    self.note(&edit, pointer);
                }
                Ok(())
            }
            Change::Json(operations) => operations.iter().enumerate().try_for_each(|(at, operation)| {
                self.operate(operation, at, &format!("{}/{at}", patch.pointer))
            }),
        }
    }

    fn operate(&mut self, operation: &Operation, at: usize, pointer: &str) -> Result<(), Misfit> {
        let edit = edit_of(operation, &self.document.value);
        if run(&mut self.document.value, operation).is_err() {
            return Err(Misfit {
                pointer: format!("{pointer}/path"),
                reason: misfit::explain(operation, at, self),
            });
        }
        if let (Some(edit), Some(field)) = (edit, says(operation.op)) {
            self.note(&edit, format!("{pointer}/{field}"));
        }
        Ok(())
    }

    fn note(&mut self, edit: &Edit, pointer: String) {
        edit.move_keys(&mut self.document.spans.0);
        self.trace.edit(edit, Source { layer: Some(self.layer()), pointer });
    }
}

/// The field of an operation that says what becomes of its path.
pub(super) fn says(op: OperationKind) -> Option<&'static str> {
    match op {
        OperationKind::Test => None,
        OperationKind::Remove => Some("path"),
        OperationKind::Add | OperationKind::Replace => Some("value"),
    }
}

fn run(value: &mut Value, operation: &Operation) -> Result<(), json_patch::PatchError> {
    let Operation { op, path, value: given } = operation;
    let step = serde_json::json!([{ "op": op.as_str(), "path": path, "value": given }]);
    // The path was checked when the override was read; of one that is none the empty patch would say nothing.
    let step: json_patch::Patch = serde_json::from_value(step).unwrap_or_default();
    json_patch::patch(value, &step)
}

/// What an operation is about to do to a value.
fn edit_of(operation: &Operation, value: &Value) -> Option<Edit> {
    let path = operation.path.clone();
    let (list, item) = path.rsplit_once('/')?;
    let length = value.pointer(list).and_then(Value::as_array).map(Vec::len);
    let list = list.to_owned();
    match (operation.op, length) {
        (OperationKind::Test, _) => None,
        (OperationKind::Add, Some(length)) => {
            let at = if item == "-" { length } else { item.parse().ok()? };
            Some(Edit::Insert { list, at, length })
        }
        (OperationKind::Remove, Some(length)) => Some(Edit::Remove { list, at: item.parse().ok()?, length }),
        (OperationKind::Remove, None) => Some(Edit::Unset(path)),
        (OperationKind::Add | OperationKind::Replace, _) => Some(Edit::Set(path)),
    }
}

/// What a merge patch is about to do: it goes down only where both sides are mappings.
fn merge_edits(value: &Value, merge: &Value, pointer: String, edits: &mut Vec<Edit>) {
    let (Value::Object(there), Value::Object(fields)) = (value, merge) else {
        edits.push(Edit::Set(pointer));
        return;
    };
    for (name, field) in fields {
        let pointer = below(&pointer, name);
        match (there.get(name), field) {
            (Some(_), Value::Null) => edits.push(Edit::Unset(pointer)),
            (None, Value::Null) => {}
            (Some(before), field) => merge_edits(before, field, pointer, edits),
            (None, _) => edits.push(Edit::Set(pointer)),
        }
    }
}
