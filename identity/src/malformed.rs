//! What is said of bytes that are not what they should be.
//!
//! Must not quote the bytes: they may be a secret.

use std::fmt;

/// Bytes or text that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {what}: {reason}")]
pub struct Malformed {
    /// What was expected, in words.
    pub what: &'static str,
    /// Why it is not one.
    pub reason: String,
}

impl Malformed {
    pub(crate) fn new(what: &'static str, reason: &dyn fmt::Display) -> Self {
        Self { what, reason: reason.to_string() }
    }
}
