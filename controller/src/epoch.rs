//! Notices that the state store is an older copy, and says which epoch begins then.
//!
//! A store that was brought back from a backup, or was lost, goes on counting where the copy stood, and sites
//! refuse whatever is not above the last manifest that they accepted. The store cannot know; the sites
//! do: each hello names the highest place that the site accepted, and one that this store never gave
//! tells that it is older than the fleet. A new epoch is above all of them. Pure.

use skerry_core::id::{Epoch, Generation, Timestamp};

/// Where a manifest stands: epochs count before generations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The life of the core's state.
    pub epoch: Epoch,
    /// The publication within it.
    pub generation: Generation,
}

/// What a hello tells of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The site accepted nothing that was not given.
    Known,
    /// The store is an older copy: this epoch begins.
    SetBack(Epoch),
    /// No store of this fleet can have given that: the site is wrong.
    Absurd,
}

/// How far in the future an epoch may lie, in seconds: 20 years. Epochs are times at which stores began, by
/// clocks that may have been ten years off; a site must not be able to use up all numbers.
const FARTHEST: u64 = 20 * 366 * 86_400;

/// How many epochs a core may begin while it runs. A store is set back only while the core is down, so one is
/// enough, and another one when clocks were wrong. A site that asks for more is wrong.
pub const MAX_EPOCHS: u32 = 2;

/// Compares the place that a site accepted with the highest one that was given.
pub fn judge(accepted: Place, given: Place, begun: u32, now: Timestamp) -> Finding {
    let now = now.0 / 1000;
    if accepted <= given {
        Finding::Known
    } else if begun >= MAX_EPOCHS || accepted.epoch.0 > now.saturating_add(FARTHEST) {
        Finding::Absurd
    } else {
        Finding::SetBack(Epoch(now.max(accepted.epoch.0 + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026, in seconds.
    const NOW: u64 = 1_790_000_000;

    fn place(epoch: u64, generation: u64) -> Place {
        Place { epoch: Epoch(epoch), generation: Generation(generation) }
    }

    #[test]
    fn a_place_that_was_never_given_begins_an_epoch_above_it() {
        let year = 365 * 86_400;
        let given = place(NOW - 100, 7);
        for (accepted, begun, finding) in [
            (place(0, 0), 0, Finding::Known),
            (given, 0, Finding::Known),
            (place(NOW - 200, 900), 0, Finding::Known),
            (place(NOW - 100, 8), 0, Finding::SetBack(Epoch(NOW))),
            (place(NOW - 50, 1), 0, Finding::SetBack(Epoch(NOW))),
            // A store that began while its clock was ten years ahead.
            (place(NOW + 10 * year, 1), 0, Finding::SetBack(Epoch(NOW + 10 * year + 1))),
            (place(NOW - 100, 8), 1, Finding::SetBack(Epoch(NOW))),
            (place(NOW - 100, 8), MAX_EPOCHS, Finding::Absurd),
            (place(NOW + 30 * year, 1), 0, Finding::Absurd),
            (place(u64::MAX, u64::MAX), 0, Finding::Absurd),
        ] {
            assert_eq!(judge(accepted, given, begun, Timestamp(NOW * 1000)), finding, "{accepted:?} {begun}");
        }
    }

    #[test]
    fn a_clock_that_is_ten_years_late_still_begins_an_epoch_above() {
        let late = NOW - 10 * 365 * 86_400;
        let finding = judge(place(NOW, 40), place(late, 0), 0, Timestamp(late * 1000));
        assert_eq!(finding, Finding::SetBack(Epoch(NOW + 1)));
    }
}
