//! One policy file, read: its objects, its refused documents, and what else it holds.
//!
//! Pure: takes bytes. Must not know other files.

use std::collections::BTreeMap;
use std::sync::Arc;

use skerry_core::diagnostic::{Code, Diagnostic, Location, has_errors};
use skerry_core::id::ObjectKey;
use skerry_core::policy::{Decoded, Object};

use crate::limits::FILE_BYTES;
use crate::oid::BlobId;

/// How documents without a kind are counted: Helm values, say.
const NO_KIND: &str = "(no kind)";

/// What came of a file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SourceFile {
    pub(super) blob: Option<BlobId>,
    /// Documents of ours whose identity is known, in order.
    pub(super) entries: Vec<Entry>,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// How many documents may be anything: unreadable, or ours with no usable name or kind.
    pub(super) unreadable: usize,
    pub(super) foreign: BTreeMap<String, usize>,
}

/// A document of ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: ObjectKey,
    pub(super) location: Location,
    /// `None` when the document was refused.
    pub(super) object: Option<Arc<Object>>,
}

impl SourceFile {
    /// Reads a file. `blob` is its id in Git, if it comes from there.
    pub fn read(path: &str, blob: Option<BlobId>, bytes: &[u8]) -> Self {
        let parsed = skerry_crds::parse(path, bytes);
        let (diagnostics, unreadable) = (parsed.diagnostics, parsed.unreadable);
        let mut file = Self { blob, diagnostics, unreadable, ..Self::default() };
        for document in &parsed.documents {
            file.take(&document.location, skerry_crds::decode(document));
        }
        file
    }

    /// Stands for a file that was not loaded for its size in bytes.
    pub fn over_budget(path: &str, blob: Option<BlobId>, size: usize) -> Self {
        let message = format!("the file has {size} bytes; at most {FILE_BYTES} are read");
        let diagnostic = Diagnostic::error(Code::BudgetExceeded, Location::file(path), message)
            .help("split the file, or keep it out of the policy path");
        Self { blob, diagnostics: vec![diagnostic], unreadable: 1, ..Self::default() }
    }

    fn take(&mut self, location: &Location, decoded: Decoded) {
        match decoded {
            Decoded::Object(object, diagnostics) => {
                self.diagnostics.extend(diagnostics);
                let (key, location) = (object.key.clone(), location.clone());
                self.entries.push(Entry { key, location, object: Some(Arc::from(object)) });
            }
            Decoded::Refused { key, diagnostics } => {
                match key {
                    Some(key) => self.entries.push(Entry { key, location: location.clone(), object: None }),
                    // An error without identity: a name or a kind that is mistyped. A mere warning: a kind that is
                    // known and not supported, so that it never was an object.
                    None => self.unreadable += usize::from(has_errors(&diagnostics)),
                }
                self.diagnostics.extend(diagnostics);
            }
            Decoded::Foreign { kind, .. } => {
                let kind = if kind.is_empty() { NO_KIND.to_owned() } else { kind };
                *self.foreign.entry(kind).or_default() += 1;
            }
        }
    }

    /// Lists the objects in good order.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.entries.iter().filter_map(|entry| entry.object.as_ref())
    }

    /// Finds an object by key, the one at `line` if there are several.
    pub(super) fn find(&self, key: &ObjectKey, line: u32) -> Option<Arc<Object>> {
        let good = || self.entries.iter().filter(|entry| entry.key == *key && entry.object.is_some());
        let found = good().find(|entry| entry.location.line == line).or_else(|| good().next())?;
        found.object.clone()
    }
}
