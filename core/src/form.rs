//! An object as a class of sites has it: with overrides folded in, and each field's origin at hand.
//!
//! Diagnostics about an object are made here, so that one about a field that an override set points at
//! that override. Must not fold anything itself; that is `overrides`.

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic, Location};
use crate::document::field_path;
use crate::id::ObjectKey;
use crate::policy::{Object, OfSpec};
use crate::trace::{Source, Trace};
use crate::world::Aged;

/// An object with its overrides.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// The object as patched; its age is that of the base.
    pub aged: Aged,
    /// The overrides that are folded into it, in the order in which they were applied.
    pub applied: Vec<Arc<Object>>,
    /// Where its fields come from; layers are those of `applied`.
    pub trace: Trace,
}

impl Form {
    /// Takes an object as the source has it.
    pub fn plain(aged: Aged) -> Self {
        Self { aged, applied: Vec::new(), trace: Trace::default() }
    }

    /// Returns the object as patched.
    pub fn object(&self) -> &Object {
        &self.aged.object
    }

    /// Returns kind and name.
    pub fn key(&self) -> &ObjectKey {
        &self.aged.object.key
    }

    /// Finds the text that a field has its value from, and the field there.
    pub fn origin(&self, pointer: &str) -> Origin<'_> {
        self.find(self.trace.resolve(pointer), pointer)
    }

    /// A field of the base is found by its place in the patched document, whose spans moved with it, and is named as
    /// the file has it.
    fn find(&self, source: Source, patched: &str) -> Origin<'_> {
        let over = source.layer.and_then(|layer| self.applied.get(layer));
        let (object, place) = match over {
            Some(over) => (&**over, source.pointer.as_str()),
            None => (self.object(), patched),
        };
        let location = object.document.locate(place);
        Origin { object, pointer: source.pointer, location }
    }

    /// Says in words at which sites an override has a say in a field; `None` where none has.
    pub fn patched_at(&self, pointer: &str) -> Option<String> {
        let over = self.applied.get(self.trace.blamed(pointer)?.layer?)?;
        let selected = |sites| format!("at sites with `{sites}`");
        Some(over.sites.as_ref().map_or_else(|| "at every site".to_owned(), selected))
    }

    /// Starts an error about a field; `pointer` is empty when it is about the whole object.
    pub fn error(&self, code: Code, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Diagnostic::error, code, pointer, message.into())
    }

    /// Starts a warning about a field; `pointer` is empty when it is about the whole object.
    pub fn warning(&self, code: Code, pointer: &str, message: impl Into<String>) -> Diagnostic {
        self.diagnostic(Diagnostic::warning, code, pointer, message.into())
    }

    fn diagnostic(
        &self,
        start: fn(Code, Location, String) -> Diagnostic,
        code: Code,
        pointer: &str,
        message: String,
    ) -> Diagnostic {
        let (origin, message) = match self.trace.blamed(pointer) {
            None => (self.origin(pointer), message),
            Some(source) => {
                let patched = format!("{} {}", self.key(), field_path(pointer));
                (self.find(source, pointer), format!("{} (patched): {message}", patched.trim_end()))
            }
        };
        let Origin { object, pointer, location } = origin;
        start(code, location, message).object(object.key.clone()).field(field_path(&pointer))
    }
}

/// A field in the text that says it.
#[derive(Debug, Clone)]
pub struct Origin<'a> {
    /// Whose text: the object's own, or that of an override.
    pub object: &'a Object,
    /// The field there, as a JSON pointer.
    pub pointer: String,
    /// Its place.
    pub location: Location,
}

/// A form of a known kind.
#[derive(Debug)]
pub struct Input<'a, T> {
    /// The object.
    pub form: &'a Form,
    /// What it asks for.
    pub spec: &'a T,
}

impl<T> Clone for Input<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Input<'_, T> {}

impl<'a, T: OfSpec> Input<'a, T> {
    /// Takes a form as an object of this kind.
    pub fn new(form: &'a Form) -> Option<Self> {
        Some(Self { form, spec: T::of(&form.object().spec)? })
    }
}

impl<T> Input<'_, T> {
    /// Returns kind and name.
    pub fn key(&self) -> &ObjectKey {
        self.form.key()
    }
}
