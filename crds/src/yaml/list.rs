//! A `v1 List` (as `kubectl get -o yaml` prints one) → its items, each a document of its own.

use std::collections::BTreeMap;

use serde_json::Value;
use skerry_core::diagnostic::Location;
use skerry_core::document::{Document, Spans};

/// Appends the document, or the items of a list. A list inside a list stays what it is.
pub(super) fn expand(mut document: Document, documents: &mut Vec<Document>) {
    if !is_list(&document.value) {
        documents.push(document);
        return;
    }
    let Some(Value::Array(items)) = document.value.get_mut("items").map(Value::take) else { return };
    let mut spans = spans_by_item(&document.spans);
    for (at, value) in items.into_iter().enumerate() {
        let spans = Spans(spans.remove(&at).unwrap_or_default());
        let (line, column) = spans.0.get("").copied().unwrap_or_default();
        let location = Location { file: document.location.file.clone(), line, column };
        documents.push(Document { location, value, spans });
    }
}

fn is_list(value: &Value) -> bool {
    let is = |field: &str, expected: &str| value.get(field).and_then(Value::as_str) == Some(expected);
    is("apiVersion", "v1") && is("kind", "List") && value.get("items").is_some_and(Value::is_array)
}

/// The spans below `/items/N`, by N, with that prefix cut off.
fn spans_by_item(spans: &Spans) -> BTreeMap<usize, BTreeMap<String, (u32, u32)>> {
    let mut by_item: BTreeMap<usize, BTreeMap<String, (u32, u32)>> = BTreeMap::new();
    for (pointer, place) in &spans.0 {
        let Some(rest) = pointer.strip_prefix("/items/") else { continue };
        let digits = rest.find('/').unwrap_or(rest.len());
        let (item, below) = rest.split_at(digits);
        if let Ok(item) = item.parse() {
            by_item.entry(item).or_default().insert(below.to_owned(), *place);
        }
    }
    by_item
}
