//! An object as a class of sites has it: with overrides folded in, and each field's origin at hand.
//!
//! Diagnostics about an object are made here, so that one about a field that an override set points at
//! that override. Must not fold anything itself; that is `overrides`.

use std::sync::Arc;

use crate::diagnostic::{Code, Diagnostic};
use crate::document::field_path;
use crate::id::ObjectKey;
use crate::overrides::{Layer, is_within};
use crate::policy::{Object, OfSpec};
use crate::world::Aged;

/// An object with its overrides.
#[derive(Debug, Clone, PartialEq)]
pub struct Form {
    /// The object as patched; its age is that of the base.
    pub aged: Aged,
    /// The overrides that are folded into it, in the order in which they were applied.
    pub applied: Vec<Arc<Object>>,
}

impl Form {
    /// Takes an object as the source has it.
    pub fn plain(aged: Aged) -> Self {
        Self { aged, applied: Vec::new() }
    }

    /// Returns the object as patched.
    pub fn object(&self) -> &Object {
        &self.aged.object
    }

    /// Returns kind and name.
    pub fn key(&self) -> &ObjectKey {
        &self.aged.object.key
    }

    /// Finds the override that a field has its value from, and the field in that override.
    pub fn origin(&self, pointer: &str) -> Option<(&Object, String)> {
        self.applied.iter().rev().find_map(|over| {
            let touched = Layer::new(over, self.key())?.touched();
            let (target, own) = touched.into_iter().find(|(target, _)| is_within(pointer, target))?;
            Some((&**over, format!("{own}{}", &pointer[target.len()..])))
        })
    }

    /// Finds the override that has a say in what is wrong with a field: that set it, or a part of it.
    fn blamed(&self, pointer: &str) -> Option<(&Object, String)> {
        let part = || {
            self.applied.iter().rev().find_map(|over| {
                let touched = Layer::new(over, self.key())?.touched();
                let (_, own) = touched.into_iter().find(|(target, _)| is_within(target, pointer))?;
                Some((&**over, own))
            })
        };
        self.origin(pointer).or_else(|| if pointer.is_empty() { None } else { part() })
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
        start: fn(Code, crate::diagnostic::Location, String) -> Diagnostic,
        code: Code,
        pointer: &str,
        message: String,
    ) -> Diagnostic {
        let (object, own, message) = match self.blamed(pointer) {
            None => (self.object(), pointer.to_owned(), message),
            Some((over, own)) => {
                let patched = format!("{} {}", self.key(), field_path(pointer));
                (over, own, format!("{} (patched): {message}", patched.trim_end()))
            }
        };
        start(code, object.document.locate(&own), message).object(object.key.clone()).field(field_path(&own))
    }
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
