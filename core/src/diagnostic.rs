//! Diagnostics: what a user got wrong, where, and what would help.
//!
//! A user's mistake is never an `Err` and never a log line; it is one of these values, ordered and
//! deduplicated so that equal input gives an equal list. Printing is the CLI's part.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::ObjectKey;

/// How much a diagnostic weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something was refused and has no effect.
    Error,
    /// Something has an effect that its author may not expect.
    Warning,
}

/// The closed list of diagnostic codes. Codes are stable: scripts and dashboards match on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Code {
    /// The text is not YAML or JSON.
    InvalidYaml,
    /// A document or file is over a size, depth, node or alias budget.
    BudgetExceeded,
    /// A document names one of our kinds but lacks a name, or its name breaks the rule.
    InvalidMetadata,
    /// A field has the wrong type or lacks a required value.
    InvalidField,
    /// A field that the kind does not have.
    UnknownField,
    /// A value that is not in the field's list of values.
    UnknownValue,
    /// A value out of its bounds, or two values that exclude each other.
    InvalidValue,
    /// A field, filter or kind that the standard has and Skerry does not support.
    Unsupported,
    /// The same object twice in one revision.
    DuplicateObject,
    /// A reference to a service, port or parent that is not there.
    DanglingReference,
    /// Two routes or policies of equal precedence; the age or the name decided.
    Tie,
    /// A policy that lost to another on the same target.
    Conflicted,
    /// Two overrides of equal precedence that touch one field; neither is applied.
    OverrideConflict,
    /// An override that does not fit its target; it is not applied.
    InvalidOverride,
    /// A selector that matches no site.
    MatchesNothing,
    /// What was compiled for some sites does not pass verification; they keep what they run.
    Unverified,
    /// An unreadable document; the object keeps its last good version.
    Held,
    /// A file or folder that may not be read, or that the disk does not give.
    Unreadable,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A place in the source of a world. `line` and `column` count from 1; 0 is "the whole file".
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Location {
    /// The path inside the source, with `/` between folders.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl Location {
    /// Names a whole file.
    pub fn file(path: impl Into<String>) -> Self {
        Self { file: path.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.line > 0 && self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// One thing that a user should know: what, where, how bad, and what would help.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Where in the source.
    pub location: Location,
    /// How much it weighs.
    pub severity: Severity,
    /// What kind of thing it is.
    pub code: Code,
    /// The object it is about, if that much could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectKey>,
    /// The field, as `spec.rules[0].backendRefs[1].port`; empty when it is about the whole object.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What would help, in one sentence.
    pub help: String,
}

impl Diagnostic {
    /// Starts an error.
    pub fn error(code: Code, location: Location, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, location, message)
    }

    /// Starts a warning.
    pub fn warning(code: Code, location: Location, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, location, message)
    }

    fn new(severity: Severity, code: Code, location: Location, message: impl Into<String>) -> Self {
        let (object, field, help) = (None, String::new(), String::new());
        Self { location, severity, code, object, field, message: message.into(), help }
    }

    /// Names the object.
    #[must_use]
    pub fn object(mut self, object: ObjectKey) -> Self {
        self.object = Some(object);
        self
    }

    /// Names the field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// Adds the help line.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}[{}]: ", self.location, self.code)?;
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        if !self.help.is_empty() {
            write!(f, " (help: {})", self.help)?;
        }
        Ok(())
    }
}

/// A set of diagnostics: sorted by place, each one once.
pub type Diagnostics = BTreeSet<Diagnostic>;

/// Says whether any of the diagnostics is an error.
pub fn has_errors<'a>(diagnostics: impl IntoIterator<Item = &'a Diagnostic>) -> bool {
    diagnostics.into_iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}
