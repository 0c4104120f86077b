//! Why a document cannot be read → a diagnostic with the place in the whole file and a line that helps.

use serde_saphyr::granit_parser::{ErrorKind, Marker, ScanError};
use skerry_core::diagnostic::{Code, Diagnostic, Location};

use super::cost::Limit;
use super::split::Part;
use super::{MAX_DEPTH, MAX_NODES, clamp};

/// A reason and its place in the part, both counted from 1.
#[derive(Debug)]
pub(super) struct Failure {
    line: u32,
    column: u32,
    reason: Reason,
}

/// Why a document cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The parser's words.
    Syntax(String),
    /// The parser gave up on nesting, or the tree is over a limit.
    Limit(Limit),
    UnknownAnchor,
    /// An alias inside the node that it stands for.
    EndlessAlias,
    DuplicateKey(String),
    KeyNotText,
    /// `<<` with something that is no mapping.
    MergeNotMapping,
    /// A tag that the text does not fit.
    WrongTag,
    SecondDocument,
}

impl Failure {
    /// Names a reason at a place of the part.
    pub(super) fn new(mark: &Marker, reason: Reason) -> Self {
        Self { line: clamp(mark.line()).max(1), column: clamp(mark.col()).saturating_add(1), reason }
    }

    /// Names a reason at a place that is already counted from 1.
    pub(super) fn at(line: u32, column: u32, reason: Reason) -> Self {
        Self { line, column, reason }
    }

    /// Takes over what the parser says.
    pub(super) fn of_parser(error: &ScanError) -> Self {
        let reason = match error.kind() {
            ErrorKind::RecursionLimitExceeded => Reason::Limit(Limit::Depth),
            ErrorKind::UnknownAnchor => Reason::UnknownAnchor,
            _ => Reason::Syntax(error.info()),
        };
        Self::new(error.marker(), reason)
    }

    /// Words the diagnostic.
    pub(super) fn into_diagnostic(self, file: &str, part: &Part<'_>) -> Diagnostic {
        let line = part.first_line.saturating_add(self.line - 1);
        let location = Location { file: file.to_owned(), line, column: self.column };
        let help = self.reason.help(part);
        match self.reason {
            Reason::Limit(limit) => {
                let message = format!("the document is too large to read: {}", words(limit));
                Diagnostic::error(Code::BudgetExceeded, location, message).help(help)
            }
            other => {
                let message = format!("the document cannot be read: {}", other.message());
                Diagnostic::error(Code::InvalidYaml, location, message).help(help)
            }
        }
    }
}

fn words(limit: Limit) -> String {
    match limit {
        Limit::Nodes => format!("it has more than {MAX_NODES} nodes, aliases expanded"),
        Limit::Text => "it has too much text, aliases expanded".to_owned(),
        Limit::Pointers => "its keys are too long for its number of fields".to_owned(),
        Limit::Depth => format!("it is nested deeper than {MAX_DEPTH} levels"),
    }
}

impl Reason {
    fn message(self) -> String {
        match self {
            Self::Syntax(words) => words,
            Self::Limit(limit) => words(limit),
            Self::UnknownAnchor => "there is no such anchor in this document".to_owned(),
            Self::EndlessAlias => "the alias stands for something that holds it".to_owned(),
            Self::DuplicateKey(key) => format!("key `{key}` is there twice"),
            Self::KeyNotText => "a key must be text".to_owned(),
            Self::MergeNotMapping => "`<<` merges a mapping or a list of mappings".to_owned(),
            Self::WrongTag => "the value does not fit its tag".to_owned(),
            Self::SecondDocument => "a second document starts here".to_owned(),
        }
    }

    fn help(&self, part: &Part<'_>) -> &'static str {
        match self {
            Self::Limit(_) => "split it, write aliases out, or keep it out of the policy path",
            _ if part.text.contains("{{") => {
                "this looks like a template: render it first, or keep it out of the policy path"
            }
            Self::UnknownAnchor => "anchors are known inside one document only: write the value out",
            Self::EndlessAlias => "write the value out",
            Self::DuplicateKey(_) => "keep one of the two; the other documents of the file are read",
            Self::KeyNotText => "put the key in quotes; the other documents of the file are read",
            Self::WrongTag => "remove the tag",
            Self::SecondDocument => "put `---` on a line of its own before it",
            Self::Syntax(_) | Self::MergeNotMapping => {
                "check indentation, quotes and brackets here and on the line above; the other documents are read"
            }
        }
    }
}
