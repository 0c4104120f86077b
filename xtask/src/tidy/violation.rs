//! What a check finds: a place, a message, and what to do about it.

use std::fmt;

/// Whether a violation fails the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// It does.
    Error,
    /// It is only printed.
    Warning,
}

/// One broken rule. Sorted by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Below the root, with `/`.
    pub(crate) path: String,
    /// From 1.
    pub(crate) line: usize,
    /// Whether it fails the run.
    pub(crate) severity: Severity,
    message: String,
    help: &'static str,
}

impl Violation {
    /// A broken rule that fails the run.
    pub(crate) fn error(path: &str, line: usize, message: impl Into<String>, help: &'static str) -> Self {
        Self { path: path.to_owned(), line, severity: Severity::Error, message: message.into(), help }
    }

    /// Something to look at.
    pub(crate) fn warning(path: &str, line: usize, message: impl Into<String>, help: &'static str) -> Self {
        Self { severity: Severity::Warning, ..Self::error(path, line, message, help) }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}:{}: {mark}{} (help: {})", self.path, self.line, self.message, self.help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_compiler_message() {
        let violation = Violation::error("core/src/lib.rs", 3, "too long", "split it");
        assert_eq!(violation.to_string(), "core/src/lib.rs:3: too long (help: split it)");
        let violation = Violation::warning("a.rs", 1, "long", "split it");
        assert_eq!(violation.to_string(), "a.rs:1: warning: long (help: split it)");
    }
}
