//! A document: one YAML document as a plain value, with the place of every field.
//!
//! `crds` makes documents from bytes and typed objects from documents; overrides patch the value
//! in between, so this is the one form that both sides share.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::diagnostic::Location;

/// One document of a source file.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Where it begins.
    pub location: Location,
    /// Its content.
    pub value: Value,
    /// Line and column of each field's value, by JSON pointer (RFC 6901).
    pub spans: Spans,
}

/// Line and column, from 1, by JSON pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(pub BTreeMap<String, (u32, u32)>);

impl Document {
    /// Finds the place of a field, or of its nearest parent that the text has.
    pub fn locate(&self, pointer: &str) -> Location {
        let mut pointer = pointer;
        loop {
            if let Some(&(line, column)) = self.spans.0.get(pointer) {
                return Location { file: self.location.file.clone(), line, column };
            }
            match pointer.rfind('/') {
                Some(cut) => pointer = &pointer[..cut],
                None => return self.location.clone(),
            }
        }
    }
}

/// Turns a JSON pointer into a field path: `/spec/rules/0/name` → `spec.rules[0].name`.
pub fn field_path(pointer: &str) -> String {
    let mut path = String::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            path.push_str(&format!("[{token}]"));
        } else if token.contains(['.', '/']) {
            path.push_str(&format!("[\"{token}\"]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&token);
        }
    }
    path
}
