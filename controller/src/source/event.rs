//! What the source tells the planner.

use std::collections::BTreeMap;

use skerry_core::diagnostic::Diagnostics;
use skerry_core::id::ObjectKey;
use skerry_core::world::Aged;
use skerry_gitops::snapshot::Advance;

use crate::store::{Accepted, LearnedAges};

/// How much an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Its objects are all there are: what it does not name is gone.
    Whole,
    /// It names what changed.
    Changes,
}

/// Whether somebody said that an event is meant, removals and all: sites are told so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirmed {
    /// Nobody was asked.
    No,
    /// What the event changes.
    Change,
    /// What is in force: nothing changes, and sites that refused a removal are told that it is meant.
    InForce,
}

/// A revision was accepted.
#[derive(Debug)]
pub struct SourceEvent {
    /// How much it says.
    pub scope: Scope,
    /// Objects that are new or differ.
    pub upserts: Vec<Aged>,
    /// Objects that are gone.
    pub deletes: Vec<ObjectKey>,
    /// The state of the source after it, to be kept with what comes of it.
    pub accepted: Accepted,
    /// What became known of ages since the last event; `None` when ages were not looked at.
    pub ages: Option<LearnedAges>,
    /// All diagnostics of the source as it is now.
    pub diagnostics: Diagnostics,
    /// Documents of other systems there are now, by kind.
    pub foreign: BTreeMap<String, u32>,
    /// Whether it was confirmed.
    pub confirmed: Confirmed,
}

impl SourceEvent {
    /// Makes an event of what the source tree says.
    pub fn new(
        scope: Scope,
        advance: Advance,
        accepted: Accepted,
        ages: Option<LearnedAges>,
        confirmed: Confirmed,
    ) -> Self {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            scope,
            upserts: advance.upserts,
            deletes: advance.deletes,
            accepted,
            ages,
            diagnostics: advance.diagnostics,
            foreign: advance.foreign.into_iter().map(|(kind, number)| (kind, count(number))).collect(),
            confirmed,
        }
    }
}
