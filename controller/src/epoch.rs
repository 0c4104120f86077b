//! Notices that the state store is an older copy, and says which epoch begins then.
//!
//! A store that was brought back from a backup, or was lost, goes on counting where the copy stood, and sites
//! refuse whatever is not above the last manifest that they accepted. The store cannot know; the sites
//! do: each hello names the manifest that the site accepted last, and one that this store never gave it
//! tells that it is older than the fleet. A new epoch is above all of them. Pure.

use skerry_core::accept::farthest_epoch;
use skerry_core::id::{DigestPrefix, Epoch, Generation, Timestamp};

/// Where a manifest stands: epochs count before generations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The life of the core's state.
    pub epoch: Epoch,
    /// The publication within it.
    pub generation: Generation,
}

/// A manifest of one site: the one that it accepted last, or the one that it shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Where it stands.
    pub place: Place,
    /// Which one it is, if that is known.
    pub manifest: Option<DigestPrefix>,
}

/// What a hello tells of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The store is an older copy: this epoch begins.
    SetBack(Epoch),
    /// No store of this fleet can have given that: the site is wrong.
    Absurd,
}

/// How many epochs a core may begin while it runs. A store is set back only while the core is down, so one is
/// enough, and another one when clocks were wrong. A site that asks for more is wrong.
pub const MAX_EPOCHS: u32 = 2;

/// Says whether this store gave a site what that accepted: nothing is above the highest place that was given to any site,
/// and nothing above what the site shall run now; and one place is one manifest.
pub fn is_given(accepted: &Named, given: Place, shall_run: Option<&Named>) -> bool {
    let is_same = |own: &Named| match (accepted.manifest, own.manifest) {
        (Some(accepted), Some(own)) => accepted == own,
        _ => true,
    };
    let is_own = |own: &Named| accepted.place < own.place || (accepted.place == own.place && is_same(own));
    accepted.place <= given && shall_run.is_none_or(is_own)
}

/// Decides what follows from a manifest that a site accepted and this store never gave it.
pub fn judge(accepted: Place, begun: u32, now: Timestamp) -> Finding {
    if begun >= MAX_EPOCHS || accepted.epoch.0 > farthest_epoch(now) {
        Finding::Absurd
    } else {
        Finding::SetBack(Epoch((now.0 / 1000).max(accepted.epoch.0 + 1)))
    }
}

#[cfg(test)]
mod tests {
    use skerry_core::id::Digest;

    use super::*;

    /// 2026, in seconds.
    const NOW: u64 = 1_790_000_000;

    fn place(epoch: u64, generation: u64) -> Place {
        Place { epoch: Epoch(epoch), generation: Generation(generation) }
    }

    fn named(epoch: u64, generation: u64, manifest: u8) -> Named {
        Named { place: place(epoch, generation), manifest: Some(Digest::of(&[manifest]).prefix()) }
    }

    #[test]
    fn a_site_accepted_what_was_given_or_something_else() {
        let (given, own) = (place(9, 7), named(9, 5, 1));
        for (accepted, is_known) in [
            (named(0, 0, 0), true),
            (named(9, 5, 1), true),
            (Named { manifest: None, ..named(9, 5, 0) }, true),
            (named(9, 4, 2), true),
            (named(8, 900, 2), true),
            // The place of what it shall run, and another manifest.
            (named(9, 5, 2), false),
            // Others have such places, and it has not.
            (named(9, 6, 1), false),
            (named(9, 8, 1), false),
            (named(10, 1, 1), false),
        ] {
            assert_eq!(is_given(&accepted, given, Some(&own)), is_known, "{accepted:?}");
        }
        assert!(is_given(&named(9, 7, 3), given, None), "a site that is no more");
        assert!(!is_given(&named(9, 8, 3), given, None));
    }

    #[test]
    fn a_place_that_was_never_given_begins_an_epoch_above_it() {
        let year = 365 * 86_400;
        for (accepted, begun, finding) in [
            (place(NOW - 100, 8), 0, Finding::SetBack(Epoch(NOW))),
            // A store that began twice within a second.
            (place(NOW, 1), 0, Finding::SetBack(Epoch(NOW + 1))),
            // A store that began while its clock was ten years ahead.
            (place(NOW + 10 * year, 1), 0, Finding::SetBack(Epoch(NOW + 10 * year + 1))),
            (place(NOW - 100, 8), 1, Finding::SetBack(Epoch(NOW))),
            // The highest of all generations: an epoch is above it.
            (place(NOW - 100, u64::MAX), 0, Finding::SetBack(Epoch(NOW))),
            (place(NOW - 100, 8), MAX_EPOCHS, Finding::Absurd),
            (place(NOW + 30 * year, 1), 0, Finding::Absurd),
            (place(u64::MAX, u64::MAX), 0, Finding::Absurd),
        ] {
            assert_eq!(judge(accepted, begun, Timestamp(NOW * 1000)), finding, "{accepted:?} {begun}");
        }
    }

    #[test]
    fn a_clock_that_is_ten_years_late_still_begins_an_epoch_above() {
        let late = NOW - 10 * 365 * 86_400;
        let finding = judge(place(NOW, 40), 0, Timestamp(late * 1000));
        assert_eq!(finding, Finding::SetBack(Epoch(NOW + 1)));
    }
}
