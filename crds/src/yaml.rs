//! Bytes of a file → documents with the place of every field.
//!
//! Splits the stream itself, so that one unreadable document hides no other. Knows nothing of kinds,
//! save that a `v1 List` stands for its items. Reads YAML 1.2 (and so JSON) with strict booleans:
//! `on` and `yes` are text.
//!
//! Built on the parser's events, not on serde: a tree of bounded depth and cost is made without
//! recursion, and what aliases would expand to is known before anything is expanded.

use skerry_core::diagnostic::{Code, Diagnostic, Location};
use skerry_core::document::Document;

mod cost;
mod document;
mod failure;
mod list;
mod scalar;
mod split;
mod tree;

use cost::Ledger;

/// The longest file that is read: 4 MiB, ten times a large generated manifest.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// The most documents of one file; further ones are not read.
pub const MAX_DOCUMENTS: usize = 10_000;

/// The most nodes (scalars, lists, mappings, with aliases expanded) of one document.
pub const MAX_NODES: usize = 250_000;

/// The deepest nesting of lists and mappings in one document, with aliases expanded. The schemas of large
/// CRDs, which stand in policy repositories too, have about 60.
pub const MAX_DEPTH: usize = 100;

/// What came of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parsed {
    /// The documents that could be read, in order. Empty ones are left out; a `v1 List` is its items.
    pub documents: Vec<Document>,
    /// Why the others could not: `InvalidYaml` or `BudgetExceeded`.
    pub diagnostics: Vec<Diagnostic>,
    /// How many could not: documents, or 1 for a file that could not be split.
    pub unreadable: usize,
}

impl Parsed {
    fn refuse(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
        self.unreadable += 1;
    }
}

/// Reads every document of a file; `file` is the name that locations carry.
///
/// Never fails as a whole for one bad document. Time and memory are bounded whatever the bytes: see
/// the constants of this module; all documents of a file together share four times a document's budget.
pub fn parse(file: &str, bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    match to_text(file, bytes) {
        Ok(text) => read_documents(file, text, &mut parsed),
        Err(diagnostic) => parsed.refuse(*diagnostic),
    }
    parsed
}

fn to_text<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, Box<Diagnostic>> {
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_FILE_BYTES} are read", bytes.len());
        let diagnostic = Diagnostic::error(Code::BudgetExceeded, Location::file(file), message);
        return Err(Box::new(diagnostic.help("split the file, or keep it out of the policy path")));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(file, &bytes[..error.valid_up_to()]))?;
    // A byte order mark is no content (YAML 1.2 §5.2).
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

fn not_utf8(file: &str, valid: &[u8]) -> Box<Diagnostic> {
    let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
    let after = valid.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = 1 + String::from_utf8_lossy(after).chars().count();
    let location = Location { file: file.to_owned(), line: clamp(line), column: clamp(column) };
    let diagnostic = Diagnostic::error(Code::InvalidYaml, location, "the file is not UTF-8 text");
    Box::new(diagnostic.help("save the file as UTF-8; nothing of it is read until then"))
}

fn read_documents(file: &str, text: &str, parsed: &mut Parsed) {
    let mut ledger = Ledger::default();
    for (count, part) in split::parts(text).enumerate() {
        if let Some(reason) = over_file_budget(count, &ledger) {
            let location = Location { file: file.to_owned(), line: part.first_line, column: 1 };
            let diagnostic = Diagnostic::error(Code::BudgetExceeded, location, reason);
            parsed.refuse(diagnostic.help("split the file; nothing from this line on is read"));
            return;
        }
        match document::read(file, &part, &mut ledger) {
            Ok(None) => {}
            Ok(Some(document)) => list::expand(document, &mut parsed.documents),
            Err(failure) => parsed.refuse(failure.into_diagnostic(file, &part)),
        }
    }
}

fn over_file_budget(documents: usize, ledger: &Ledger) -> Option<String> {
    if documents >= MAX_DOCUMENTS {
        return Some(format!("the file has more than {MAX_DOCUMENTS} documents"));
    }
    ledger.is_spent().then(|| "the documents of the file before this one are too large together".to_owned())
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
