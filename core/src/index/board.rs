//! Diagnostics by what they are about, replaced where a change touches and gathered for people when asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::id::ObjectKey;

use super::classes::ClassId;

/// What diagnostics are about, so that they go when it goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// Overrides folded into a form, by its id.
    Fold(u64),
    /// References of a form, by its id.
    References(u64),
    /// A compiled service, by its id.
    Service(u64),
    /// The selector of an object.
    Selector(ObjectKey),
    /// A route and the sites of its parents.
    Apart(ObjectKey),
    /// More than one `Mesh`.
    Meshes,
    /// Contents of a class that do not pass verification.
    Class(ClassId),
}

/// All diagnostics of the index.
#[derive(Debug, Default)]
pub(super) struct Board {
    by_owner: BTreeMap<Owner, Vec<Diagnostic>>,
    /// How many owners say the same: forms of one object do, where no override touches what is wrong.
    counts: BTreeMap<Diagnostic, usize>,
    gathered: Option<Arc<Diagnostics>>,
}

impl Board {
    /// Replaces what is said about an owner.
    pub(super) fn set(&mut self, owner: Owner, found: Vec<Diagnostic>) {
        if self.by_owner.get(&owner).map_or(&[][..], Vec::as_slice) == found {
            return;
        }
        self.gathered = None;
        for diagnostic in &found {
            *self.counts.entry(diagnostic.clone()).or_default() += 1;
        }
        let before =
            if found.is_empty() { self.by_owner.remove(&owner) } else { self.by_owner.insert(owner, found) };
        for diagnostic in before.unwrap_or_default() {
            if let Some(count) = self.counts.get_mut(&diagnostic) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&diagnostic);
                }
            }
        }
    }

    /// Returns each diagnostic once. Shared until one changes.
    pub(super) fn gather(&mut self) -> Arc<Diagnostics> {
        let gather = || Arc::new(self.counts.keys().cloned().collect());
        Arc::clone(self.gathered.get_or_insert_with(gather))
    }
}
