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

/// A document as an object keeps it: the same in a few hundred bytes, where a tree of values has a node of several hundred
/// for each mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedDocument {
    /// Where it begins.
    pub location: Location,
    json: Box<[u8]>,
    /// All pointers in order, one after the other.
    pointers: Box<str>,
    places: Box<[PackedPlace]>,
}

/// Where a pointer ends among the pointers, and what it points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PackedPlace {
    end: u32,
    line: u32,
    column: u32,
}

/// Line and column, from 1, by JSON pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(pub BTreeMap<String, (u32, u32)>);

impl Document {
    /// Finds the place of a field, or of its nearest parent that the text has.
    pub fn locate(&self, pointer: &str) -> Location {
        locate(&self.location, pointer, |pointer| self.spans.0.get(pointer).copied())
    }

    /// Writes it in the form that is kept.
    pub fn pack(&self) -> PackedDocument {
        let mut pointers = String::new();
        let mut pack = |(pointer, &(line, column)): (&String, &(u32, u32))| {
            pointers.push_str(pointer);
            // A file of policies is at most some MiB; what would not fit is not found, and its parent is.
            PackedPlace { end: u32::try_from(pointers.len()).unwrap_or(u32::MAX), line, column }
        };
        let places = self.spans.0.iter().map(&mut pack).collect();
        let json = serde_json::to_vec(&self.value).expect("keys of a value are text").into();
        PackedDocument { location: self.location.clone(), json, pointers: pointers.into(), places }
    }
}

impl PackedDocument {
    /// Reads it as it was.
    pub fn unpack(&self) -> Document {
        let spans = self.spans().map(|(pointer, place)| (pointer.to_owned(), place)).collect();
        Document { location: self.location.clone(), value: self.value(), spans: Spans(spans) }
    }

    /// Reads its content.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("it was written from a value")
    }

    /// Finds the place of a field, or of its nearest parent that the text has.
    pub fn locate(&self, pointer: &str) -> Location {
        let find = |pointer: &str| self.spans().find(|(known, _)| *known == pointer).map(|(_, place)| place);
        locate(&self.location, pointer, find)
    }

    /// Lists pointers with line and column, in order.
    fn spans(&self) -> impl Iterator<Item = (&str, (u32, u32))> {
        let ends = self.places.iter().map(|place| place.end as usize);
        let starts = std::iter::once(0).chain(ends);
        starts.zip(&self.places).filter_map(|(start, place)| {
            Some((self.pointers.get(start..place.end as usize)?, (place.line, place.column)))
        })
    }
}

fn locate(whole: &Location, pointer: &str, find: impl Fn(&str) -> Option<(u32, u32)>) -> Location {
    let mut pointer = pointer;
    loop {
        if let Some((line, column)) = find(pointer) {
            return Location { file: whole.file.clone(), line, column };
        }
        match pointer.rfind('/') {
            Some(cut) => pointer = &pointer[..cut],
            None => return whole.clone(),
        }
    }
}

/// Returns the pointer of a field below another: the name is escaped (RFC 6901 §3).
pub fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Document {
        let spans = [("", (3, 1)), ("/a", (3, 4)), ("/a/b~1c", (4, 6)), ("/ä\n", (9, 2))];
        Document {
            location: Location { file: "a.yaml".to_owned(), line: 3, column: 1 },
            value: json!({ "a": { "b/c": [1, -2, 1.0, 1e300, u64::MAX, null, true] }, "ä\n": "ü" }),
            spans: Spans(spans.map(|(pointer, place)| (pointer.to_owned(), place)).into()),
        }
    }

    #[test]
    fn a_packed_document_is_the_same_document() {
        let document = document();
        let packed = document.pack();
        assert_eq!(packed.unpack(), document);
        for pointer in ["", "/a", "/a/b~1c", "/a/b~1c/5", "/ä\n", "/a/x/y", "/zzz", "a"] {
            assert_eq!(packed.locate(pointer), document.locate(pointer), "{pointer}");
        }
        assert_eq!((packed.locate("/a/b~1c/5").line, packed.locate("/zzz").line), (4, 3));
        let empty = Document { spans: Spans::default(), ..document };
        assert_eq!(empty.pack().unpack(), empty);
    }
}
