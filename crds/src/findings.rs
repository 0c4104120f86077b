//! The diagnostics of one document, gathered while it is decoded: each with its place and field path.
//!
//! Must not decide what an error costs; that is the part of whoever decodes.

use serde_json::Value;
use skerry_core::diagnostic::{Code, Diagnostic, Diagnostics, Location, Severity};
use skerry_core::document::{Document, field_path};

pub(crate) use skerry_core::document::below;
use skerry_core::id::ObjectKey;
use skerry_core::trace::is_within;

/// Gathers diagnostics about one document. Pointers are JSON pointers (RFC 6901) into it.
pub(crate) struct Findings<'d> {
    document: &'d Document,
    object: Option<ObjectKey>,
    found: Diagnostics,
    errors: usize,
    /// Where the errors are, in their order.
    pointers: Vec<String>,
    /// What was taken out, once the document is read on for further mistakes alone.
    taken_out: Option<Vec<String>>,
}

impl<'d> Findings<'d> {
    /// Starts with nothing found.
    pub(crate) fn new(document: &'d Document) -> Self {
        let (found, pointers) = (Diagnostics::new(), Vec::new());
        Self { document, object: None, found, errors: 0, pointers, taken_out: None }
    }

    /// Names the object that further findings are about.
    pub(crate) fn set_object(&mut self, object: ObjectKey) {
        self.object = Some(object);
    }

    /// Notes that something was refused.
    ///
    /// A value that holds a `${VAR}` is said to be that, whatever it was refused for.
    pub(crate) fn error(
        &mut self,
        code: Code,
        pointer: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.errors += 1;
        self.pointers.push(pointer.to_owned());
        match self.value(pointer).and_then(Value::as_str).and_then(placeholder) {
            Some(name) => self.add(
                Severity::Error,
                Code::InvalidField,
                pointer,
                placeholder_message(name),
                PLACEHOLDER_HELP,
            ),
            None => self.add(Severity::Error, code, pointer, message, help),
        }
    }

    /// Notes that something has an effect that its author may not expect, or none.
    pub(crate) fn warning(
        &mut self,
        code: Code,
        pointer: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(Severity::Warning, code, pointer, message, help);
    }

    /// Says how many errors were noted so far: compare before and after a part to know whether it is sound.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Lists where the errors are that were noted after the first `before` ones.
    pub(crate) fn error_pointers(&self, before: usize) -> impl Iterator<Item = &str> {
        self.pointers.iter().skip(before).map(String::as_str)
    }

    /// From now on the document is read without what was taken out, for further errors alone: it is refused. What is
    /// found at a place that something was taken out of may only be for its absence, and is not noted.
    pub(crate) fn look_on(&mut self, taken_out: Vec<String>) {
        self.taken_out.get_or_insert_default().extend(taken_out);
    }

    /// Says whether the document is refused, whatever is made of the rest of it.
    pub(crate) fn is_refused(&self) -> bool {
        self.taken_out.is_some()
    }

    fn is_for_an_absence(&self, severity: Severity, pointer: &str) -> bool {
        self.taken_out.as_ref().is_some_and(|taken_out| {
            severity == Severity::Warning
                || taken_out.iter().any(|taken| is_within(taken, pointer) || is_within(pointer, taken))
        })
    }

    /// Ends the gathering: sorted by place, each finding once.
    pub(crate) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found.into_iter().collect()
    }

    /// Finds the place of a field.
    pub(crate) fn locate(&self, pointer: &str) -> Location {
        self.document.locate(pointer)
    }

    /// Finds a value of the document.
    pub(crate) fn value(&self, pointer: &str) -> Option<&'d Value> {
        self.document.value.pointer(pointer)
    }

    fn add(
        &mut self,
        severity: Severity,
        code: Code,
        pointer: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        if self.is_for_an_absence(severity, pointer) {
            return;
        }
        let location = self.document.locate(pointer);
        let diagnostic = match severity {
            Severity::Error => Diagnostic::error(code, location, message),
            Severity::Warning => Diagnostic::warning(code, location, message),
        };
        let mut diagnostic = diagnostic.field(field_path(pointer)).help(help);
        diagnostic.object = self.object.clone();
        self.found.insert(diagnostic);
    }
}

const PLACEHOLDER_HELP: &str =
    "post-build substitution is not applied to what is read from Git: write the value itself";

fn placeholder_message(name: &str) -> String {
    format!("`${{{name}}}` stands for a value that is not here")
}

/// Finds the name in the first `${NAME}` or `${NAME:=default}` of a text, as Flux substitutes them.
pub(crate) fn placeholder(text: &str) -> Option<&str> {
    text.match_indices("${").find_map(|(at, opening)| {
        let inner = &text[at + opening.len()..];
        let inner = &inner[..inner.find('}')?];
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
        let (name, rest) = inner.split_at(end);
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (is_name && (rest.is_empty() || rest.starts_with([':', '-', '=', '+', '?']))).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::placeholder;

    #[test]
    fn placeholders_are_those_that_flux_substitutes() {
        let cases = [
            ("${PORT}", Some("PORT")),
            ("a-${_x1:=80}-b", Some("_x1")),
            ("${A:-b}", Some("A")),
            ("${1}", None),
            ("$PORT", None),
            ("${PORT", None),
            ("${}", None),
            ("^/a${2}$", None),
            ("${a b}", None),
            ("${1} ${B}", Some("B")),
        ];
        for (text, expected) in cases {
            assert_eq!(placeholder(text), expected, "{text}");
        }
    }
}
