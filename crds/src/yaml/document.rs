//! One part of a stream → a document: a plain value, and the place of every field by JSON pointer.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use skerry_core::diagnostic::Location;
use skerry_core::document::{Document, Spans};

use super::cost::Ledger;
use super::failure::Failure;
use super::split::Part;
use super::tree::{self, Node, Placed};

/// Reads a part; `None` when it holds nothing. Charges the ledger for what is kept.
pub(super) fn read(file: &str, part: &Part<'_>, ledger: &mut Ledger) -> Result<Option<Document>, Failure> {
    let Some(root) = tree::read(part.text)? else { return Ok(None) };
    if matches!(root.node, Node::Scalar(Value::Null)) {
        return Ok(None);
    }
    ledger.charge(root.cost);
    let line = part.first_line.saturating_add(root.line - 1);
    let location = Location { file: file.to_owned(), line, column: root.column };
    let mut places = Places { first_line: part.first_line, ..Places::default() };
    let value = places.place(&root);
    Ok(Some(Document { location, value, spans: Spans(places.spans) }))
}

/// Walks the tree with the pointer of the current node at hand. The tree's cost bounds depth and size.
#[derive(Default)]
struct Places {
    first_line: u32,
    pointer: String,
    spans: BTreeMap<String, (u32, u32)>,
}

impl Places {
    fn place(&mut self, node: &Placed) -> Value {
        let line = self.first_line.saturating_add(node.line - 1);
        self.spans.insert(self.pointer.clone(), (line, node.column));
        match &node.node {
            Node::Scalar(value) => value.clone(),
            Node::List(items) => {
                let items = items.iter().enumerate();
                Value::Array(items.map(|(at, item)| self.below(&at.to_string(), item)).collect())
            }
            Node::Map(entries) => {
                let mut map = Map::new();
                for (name, node) in entries {
                    let token = name.replace('~', "~0").replace('/', "~1");
                    map.insert(name.to_string(), self.below(&token, node));
                }
                Value::Object(map)
            }
        }
    }

    fn below(&mut self, token: &str, node: &Placed) -> Value {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(token);
        let value = self.place(node);
        self.pointer.truncate(length);
        value
    }
}
