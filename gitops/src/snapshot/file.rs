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
use crate::tree::Ignored;

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
    /// It stands for what is never read, whatever is in it.
    pub(super) is_passed_over: bool,
    pub(super) foreign: BTreeMap<String, usize>,
}

/// A document of ours.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: ObjectKey,
    pub(super) location: Location,
    /// `None` when the document was refused.
    pub(super) version: Option<Version>,
}

/// An object as one document describes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Version {
    pub(crate) object: Arc<Object>,
    pub(crate) soundness: Soundness,
}

/// Whether a version is as its author meant it. The order is that of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Soundness {
    /// Without errors; there may be warnings.
    Good,
    /// With errors: an `HTTPRoute` whose broken rules answer 500, say.
    Flawed,
}

impl Version {
    fn new(object: Object, diagnostics: &[Diagnostic]) -> Self {
        let soundness = if has_errors(diagnostics) { Soundness::Flawed } else { Soundness::Good };
        Self { object: Arc::new(object), soundness }
    }
}

impl SourceFile {
    /// Reads a file. `blob` is the id that Git gives it.
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

    /// Stands for a file or folder on disk that cannot be read.
    pub(super) fn unreadable(path: &str, reason: &std::io::Error) -> Self {
        let message = format!("it cannot be read: {reason}");
        let diagnostic = Diagnostic::error(Code::Unreadable, Location::file(path), message)
            .help("see that you may read it, or keep it out of the policy path");
        Self { diagnostics: vec![diagnostic], unreadable: 1, ..Self::default() }
    }

    /// Stands for a link, a submodule, a name that cannot be read or what is no file: what is behind it may be anything, and is not read.
    pub(super) fn passed_over(path: &str, why: Ignored) -> Self {
        let (message, help) = why.explain();
        let diagnostic = Diagnostic::warning(Code::Unsupported, Location::file(path), message).help(help);
        Self { diagnostics: vec![diagnostic], unreadable: 1, is_passed_over: true, ..Self::default() }
    }

    fn take(&mut self, location: &Location, decoded: Decoded) {
        match decoded {
            Decoded::Object(object, diagnostics) => {
                let (key, location) = (object.key.clone(), location.clone());
                let version = Some(Version::new(*object, &diagnostics));
                self.entries.push(Entry { key, location, version });
                self.diagnostics.extend(diagnostics);
            }
            Decoded::Refused { key, diagnostics } => {
                match key {
                    Some(key) => self.entries.push(Entry { key, location: location.clone(), version: None }),
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

    /// Lists the objects that can be used, good or flawed.
    pub(super) fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.entries.iter().filter_map(|entry| entry.version.as_ref()).map(|version| &version.object)
    }

    /// Says whether an object may be held for this file: a document in it is not good, or may be
    /// anything. What is passed over is not asked for: it is so for good.
    pub(super) fn is_doubtful(&self) -> bool {
        let is_good = |entry: &Entry| {
            entry.version.as_ref().is_some_and(|version| version.soundness == Soundness::Good)
        };
        !self.is_passed_over && (self.unreadable > 0 || !self.entries.iter().all(is_good))
    }

    /// Finds an object by key: of several the one at `line`, else the one that would count.
    pub(super) fn find(&self, key: &ObjectKey, line: u32) -> Option<Version> {
        let named = self.entries.iter().filter(|entry| entry.key == *key);
        let versions = named.filter_map(|entry| Some((entry.location.line, entry.version.as_ref()?)));
        let (_, found) = versions.min_by_key(|(at, version)| (*at != line, version.soundness))?;
        Some(found.clone())
    }
}
