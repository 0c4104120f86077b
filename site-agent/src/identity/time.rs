//! What time it is for certificates. Two clocks disagree at times: trusted time is never too late but may lag, since it
//! stands still while the machine is off; the wall clock may be anything. Pure.

use std::time::Duration;

use skerry_core::id::Timestamp;
use skerry_identity::lifetimes::BACKDATE;

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Clocks {
    /// It is at least this late: what was signed says so.
    pub(crate) trusted: Timestamp,
    /// What the machine says. Proxies check dates by it.
    pub(crate) wall: Timestamp,
}

/// Whether the machine's clock can be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wall {
    /// Nothing speaks against it.
    Plausible,
    /// It is behind what was signed, or past all that could be checked by it.
    Suspect,
}

/// The hour of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hour {
    /// The earliest that it can be.
    pub(crate) earliest: Timestamp,
    /// What certificates and their renewal go by.
    pub(crate) now: Timestamp,
    /// Whether the machine's clock can be right.
    pub(crate) wall: Wall,
}

impl Clocks {
    /// Judges the wall clock, given the end of the site's authority. One that is a little behind is believed: certificates
    /// begin that much earlier. So is one that is a little ahead at the end: trusted time lags by a moment at least.
    ///
    /// A machine that was off for longer than its authority lasts cannot be told from one whose clock is ahead. It goes on
    /// by trusted time, and says so.
    pub(crate) fn judge(self, end: Timestamp) -> Hour {
        let Self { trusted, wall } = self;
        let is_behind = wall.0.saturating_add(millis(BACKDATE)) < trusted.0;
        let is_ahead = wall >= end && trusted < end && wall.0 > trusted.0.saturating_add(millis(BACKDATE));
        if is_behind || is_ahead {
            return Hour { earliest: trusted, now: trusted, wall: Wall::Suspect };
        }
        Hour { earliest: trusted.min(wall), now: trusted.max(wall), wall: Wall::Plausible }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const NOW: u64 = 500_000 * HOUR;
    const END: Timestamp = Timestamp(NOW + 300 * HOUR);

    fn judge(trusted: u64, wall: u64) -> (u64, u64, Wall) {
        let hour = Clocks { trusted: Timestamp(trusted), wall: Timestamp(wall) }.judge(END);
        (hour.earliest.0, hour.now.0, hour.wall)
    }

    #[test]
    fn a_wall_clock_is_believed_between_what_was_signed_and_the_end() {
        let cases = [
            ("equal", NOW, NOW, (NOW, NOW, Wall::Plausible)),
            ("off over a weekend", NOW, NOW + 60 * HOUR, (NOW, NOW + 60 * HOUR, Wall::Plausible)),
            ("a minute behind", NOW, NOW - 60_000, (NOW - 60_000, NOW, Wall::Plausible)),
            ("two hours behind", NOW, NOW - 2 * HOUR, (NOW, NOW, Wall::Suspect)),
            ("1970", NOW, 0, (NOW, NOW, Wall::Suspect)),
            ("2038", NOW, 600_000 * HOUR, (NOW, NOW, Wall::Suspect)),
            ("the end of time", NOW, u64::MAX, (NOW, NOW, Wall::Suspect)),
            ("just before the end", NOW, END.0 - 1, (NOW, END.0 - 1, Wall::Plausible)),
            ("at the end", NOW, END.0, (NOW, NOW, Wall::Suspect)),
            ("at the end, a moment ahead", END.0 - 1, END.0, (END.0 - 1, END.0, Wall::Plausible)),
            (
                "an hour ahead of the end",
                END.0 - HOUR / 2,
                END.0 + HOUR,
                (END.0 - HOUR / 2, END.0 - HOUR / 2, Wall::Suspect),
            ),
        ];
        for (what, trusted, wall, expected) in cases {
            assert_eq!(judge(trusted, wall), expected, "{what}");
        }
    }

    #[test]
    fn what_is_over_by_trusted_time_is_no_fault_of_the_wall_clock() {
        let past = END.0 + 5 * HOUR;
        assert_eq!(judge(past, past + HOUR), (past, past + HOUR, Wall::Plausible));
        assert_eq!(judge(past, 0).2, Wall::Suspect);
    }
}
