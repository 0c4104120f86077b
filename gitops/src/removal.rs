//! Mass removal: whether a head takes away more than may go unasked (ARCHITECTURE.md, invariant 6; ADR 0008).
//!
//! Pure. Counts objects by kind: a fleet of 3 sites and 900 routes must not lose its sites because they are 1 in 300.
//! What went unconfirmed within the last hour counts with what a head removes, so that ten commits in a minute are
//! not ten small removals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use skerry_core::id::{Kind, ObjectKey};
use skerry_core::removal::Removal;

use crate::limits::NAMES_IN_ERROR;

/// How long a removal counts: one hour, in which somebody notices.
pub const WINDOW_SECONDS: u64 = 3_600;

/// Kinds whose last object does not go unasked, however few there were: without them every site loses everything.
const NEVER_NONE: [Kind; 3] = [Kind::Mesh, Kind::Site, Kind::Service];

/// Objects that went unconfirmed and have not come back, with the time (seconds since 1970). Bounded: what is removed
/// within the window stays below the limit of what there was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recent(Vec<(ObjectKey, u64)>);

impl Recent {
    /// Adds removals, and forgets what is older than the window or has come back.
    #[must_use]
    pub fn with(&self, removed: &[ObjectKey], now: u64, is_there: impl Fn(&ObjectKey) -> bool) -> Self {
        let new = removed.iter().map(|key| (key.clone(), now));
        let all = self.0.iter().cloned().chain(new);
        Self(all.filter(|(key, at)| at + WINDOW_SECONDS > now && !is_there(key)).collect())
    }
}

/// What a head is held against.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// How many objects of each kind are in force.
    pub counts: &'a BTreeMap<Kind, usize>,
    /// What went a short time ago.
    pub recent: &'a Recent,
    /// The limit that is in force, whatever the head says of it: percent, 1 to 100.
    pub percent: u8,
    /// Now: seconds since 1970.
    pub now: u64,
}

/// What a head removes, if that is too much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MassRemoval {
    /// Every kind of which something goes.
    pub kinds: BTreeMap<Kind, Removal>,
    /// Kinds among them of which too much goes.
    pub over: BTreeSet<Kind>,
    /// What goes, in the order of kinds and names; what went before the head is not among it.
    pub removed: Vec<ObjectKey>,
    /// The limit.
    pub percent: u8,
}

/// Judges what a head removes. `is_there` tells what there is after it.
pub fn judge(
    standing: &Standing<'_>,
    removed: &[ObjectKey],
    is_there: impl Fn(&ObjectKey) -> bool,
    left: &BTreeMap<Kind, usize>,
) -> Option<MassRemoval> {
    let recent = standing.recent.with(&[], standing.now, |_| false);
    let mut kinds: BTreeMap<Kind, Removal> = BTreeMap::new();
    for key in removed {
        kinds.entry(key.kind).or_default().gone += 1;
    }
    for (key, _) in &recent.0 {
        let removal = kinds.entry(key.kind).or_default();
        removal.of += 1;
        removal.gone += usize::from(!is_there(key));
    }
    for (kind, removal) in &mut kinds {
        removal.of += standing.counts.get(kind).copied().unwrap_or_default();
    }
    let goes = |kind: &Kind| removed.iter().any(|key| key.kind == *kind);
    let is_last = |kind: &Kind| NEVER_NONE.contains(kind) && left.get(kind).is_none_or(|left| *left == 0);
    let over: BTreeSet<Kind> = kinds
        .iter()
        .filter(|(kind, removal)| goes(kind) && (removal.is_mass(standing.percent) || is_last(kind)))
        .map(|(kind, _)| *kind)
        .collect();
    let removed = removed.to_vec();
    (!over.is_empty()).then_some(MassRemoval { kinds, over, removed, percent: standing.percent })
}

/// One sentence: how much of what goes, then names.
impl fmt::Display for MassRemoval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<String> = self
            .over
            .iter()
            .map(|kind| {
                let removal = self.kinds.get(kind).copied().unwrap_or_default();
                format!("{} of {} {kind} ({} %)", removal.gone, removal.of, removal.percent())
            })
            .collect();
        let names: Vec<String> = self.removed.iter().take(NAMES_IN_ERROR).map(ToString::to_string).collect();
        let more = match self.removed.len() - names.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        write!(
            f,
            "takes away {} within an hour, and the limit in force (`Mesh.spec.maxRemovalPercent`) is {} %: {}{more}",
            counts.join(", "),
            self.percent,
            names.join(", ")
        )
    }
}
