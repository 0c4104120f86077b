//! When the core is asked again for a bundle that could not be taken: damaged on its way, or for want of a disk. Pure.
//!
//! Each try may cost the whole bundle, so pauses grow; and they are spread, since a core that lies lies to many.

use std::time::Duration;

use skerry_core::id::Digest;

use crate::clock::Now;

/// The ceiling of the first pause, and of every pause.
const CEILINGS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// How many times a bundle may arrive damaged before that is reported: once is chance, three times is a core or a link that
/// somebody should look at.
const DAMAGED: u32 = 3;

/// How many failures the first one of the disk counts for: a disk that is full is so for longer than a link is bad.
const DISK_HEAD_START: u32 = 4;

/// Why a bundle could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is not what it claims to be.
    Damaged,
    /// The disk takes nothing.
    Disk,
    /// It is not signed by those who are believed.
    Distrusted,
}

/// Failures with one manifest.
#[derive(Debug, Default)]
pub(super) struct Again {
    about: Option<Digest>,
    failures: u32,
    due: Option<Now>,
    is_told: bool,
}

impl Again {
    /// The core offers a manifest: what failed with another one is over, and what was to be asked for is here.
    pub(super) fn handle_offer(&mut self, manifest: Digest) {
        if self.about == Some(manifest) {
            self.due = None;
        } else {
            *self = Self { about: Some(manifest), ..Self::default() };
        }
    }

    /// It could not be taken; `share` is a random number from 0 to 1. Failures before the next try count as one.
    pub(super) fn handle_failure(&mut self, now: Now, trouble: Trouble, share: f64) {
        if self.due.is_none() {
            self.due = Some(now + self.next_pause(trouble, share));
        }
    }

    /// Nothing came of what was asked for: returns for how long to hang up.
    pub(super) fn handle_stall(&mut self, share: f64) -> Duration {
        self.next_pause(Trouble::Damaged, share)
    }

    fn next_pause(&mut self, trouble: Trouble, share: f64) -> Duration {
        let doublings = match trouble {
            Trouble::Damaged => self.failures,
            Trouble::Disk | Trouble::Distrusted => self.failures.saturating_add(DISK_HEAD_START),
        };
        self.failures = self.failures.saturating_add(1);
        let ceiling = CEILINGS.1.min(CEILINGS.0 * 2_u32.saturating_pow(doublings.min(16)));
        // From half of it on: what grows has to be seen to grow.
        ceiling.mul_f64(0.5 + share.clamp(0.0, 1.0) / 2.0)
    }

    /// What stood in the way may be over: what is to be asked for again is asked for now.
    pub(super) fn hasten(&mut self, now: Now) {
        self.due = self.due.map(|due| due.min(now));
    }

    /// It is to be asked for again at this time, whatever failed.
    pub(super) fn ask_at(&mut self, at: Now) {
        self.due = Some(at);
    }

    /// Says whether this is to be reported now; once for each manifest.
    pub(super) fn is_news(&mut self, trouble: Trouble) -> bool {
        let enough = match trouble {
            Trouble::Damaged => DAMAGED,
            Trouble::Disk | Trouble::Distrusted => 1,
        };
        let is_news = !self.is_told && self.failures >= enough;
        self.is_told |= is_news;
        is_news
    }

    /// How many times it could not be taken.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns when `handle_timeout` is due.
    pub(super) fn poll_timeout(&self) -> Option<Now> {
        self.due
    }

    /// Says whether the core is to be asked now.
    pub(super) fn handle_timeout(&mut self, now: Now) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// There is nothing to be asked for: it runs, or the core has no more than what runs.
    pub(super) fn handle_current(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(number: u8) -> Digest {
        Digest::of(&[number])
    }

    /// The pauses after so many failures in a row, in milliseconds.
    fn pauses(trouble: Trouble, failures: usize, share: f64) -> Vec<u128> {
        let (mut again, mut now) = (Again::default(), Now::ZERO);
        let mut pause = || {
            again.handle_offer(manifest(1));
            again.handle_failure(now, trouble, share);
            let due = again.poll_timeout().unwrap();
            let pause = due - now;
            now = due;
            assert!(again.handle_timeout(now) && !again.handle_timeout(now), "once");
            pause.as_millis()
        };
        (0..failures).map(|_| pause()).collect()
    }

    /// Invariant 9: pauses grow up to a ceiling, and are spread.
    #[test]
    fn invariant_9_pauses_grow_and_have_jitter() {
        let damaged =
            [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000];
        assert_eq!(pauses(Trouble::Damaged, 11, 1.0), damaged);
        assert_eq!(pauses(Trouble::Damaged, 3, 0.0), [500, 1_000, 2_000]);
        assert_eq!(pauses(Trouble::Disk, 6, 1.0), [16_000, 32_000, 64_000, 128_000, 256_000, 300_000]);
        assert_eq!(pauses(Trouble::Disk, 1, 0.5), [12_000]);
    }

    #[test]
    fn what_is_damaged_again_and_again_is_reported_once_and_a_disk_at_once() {
        for (trouble, expected) in
            [(Trouble::Damaged, [false, false, true, false]), (Trouble::Disk, [true, false, false, false])]
        {
            let mut again = Again::default();
            let told = [(); 4].map(|()| {
                again.handle_offer(manifest(1));
                again.handle_failure(Now::ZERO, trouble, 1.0);
                again.handle_failure(Now::ZERO, trouble, 1.0);
                let is_news = again.is_news(trouble);
                assert!(!again.is_news(trouble), "once");
                is_news
            });
            assert_eq!((told, again.failures()), (expected, 4), "{trouble:?}");
        }
    }

    #[test]
    fn another_manifest_begins_anew() {
        let mut again = Again::default();
        again.handle_offer(manifest(1));
        again.handle_failure(Now::ZERO, Trouble::Disk, 1.0);
        assert!(again.is_news(Trouble::Disk));
        again.handle_offer(manifest(2));
        assert_eq!((again.failures(), again.poll_timeout()), (0, None));
        again.handle_failure(Now::ZERO, Trouble::Disk, 1.0);
        assert!(again.is_news(Trouble::Disk));
        again.handle_current();
        assert_eq!(again.poll_timeout(), None);
    }
}
