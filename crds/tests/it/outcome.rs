//! What came of a text, in the two forms that tests want: words to compare, and the object itself.

use std::fmt::Write as _;

use skerry_core::diagnostic::Diagnostic;
use skerry_core::document::Document;
use skerry_core::policy::{Decoded, Object};
use skerry_crds::{decode, parse};

/// The file name that places are shown with.
pub(crate) const FILE: &str = "policy.yaml";

/// Reads a text that holds one document.
pub(crate) fn document(text: &str) -> Document {
    let mut parsed = parse(FILE, text.as_bytes());
    assert_eq!(parsed.diagnostics, [], "{text}");
    assert_eq!(parsed.documents.len(), 1, "{text}");
    parsed.documents.remove(0)
}

/// Decodes a text that must be one object without any diagnostic.
pub(crate) fn object(text: &str) -> Object {
    let (object, diagnostics) = object_with(text);
    assert_eq!(lines(&diagnostics), "", "{text}");
    object
}

/// Decodes a text that must be one object.
pub(crate) fn object_with(text: &str) -> (Object, Vec<Diagnostic>) {
    match decode(&document(text)) {
        Decoded::Object(object, diagnostics) => (*object, diagnostics),
        other => panic!("no object: {other:#?}\n{text}"),
    }
}

/// Tells in words what came of every document of a text, with all diagnostics.
pub(crate) fn explain(text: &str) -> String {
    let parsed = parse(FILE, text.as_bytes());
    let mut words = lines(&parsed.diagnostics);
    if parsed.unreadable > 0 {
        let _ = writeln!(words, "unreadable: {}", parsed.unreadable);
    }
    for document in &parsed.documents {
        match decode(document) {
            Decoded::Object(object, diagnostics) => {
                let _ = write!(words, "{}\n{}", object.key, lines(&diagnostics));
            }
            Decoded::Foreign { api_version, kind } => {
                let _ = writeln!(words, "foreign: {api_version} {kind}");
            }
            Decoded::Refused { key, diagnostics } => {
                let key = key.map_or_else(|| "something".to_owned(), |key| key.to_string());
                let _ = write!(words, "refused: {key}\n{}", lines(&diagnostics));
            }
        }
    }
    words
}

/// Shows diagnostics as a person sees them, one to a line.
pub(crate) fn lines(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}
