//! How often the two ends of a link speak while neither has anything to say: by the class of a site's uplink, and
//! never more than a small share of its budget.
//!
//! A connection that lost one end, or a path that swallows everything, is noticed only by asking. Asking more often
//! notices sooner and costs more, so each class has its own bargain:
//!
//! | class | asked after | answer within | noticed in | reported at least every | asking costs | reports cost |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | `Broadband` | 1 min | 20 s | 1 min 20 s | 5 min | 360 kB a day | 144 kB a day |
//! | `Metered` | 15 min | 30 s | 15 min 30 s | 30 min | 24 kB a day | 24 kB a day |
//! | `Satellite` | 15 min | 60 s | 16 min | 30 min | 24 kB a day | 24 kB a day |
//! | `Intermittent` | 20 s | 10 s | 30 s | 30 min | while it is up | while it is up |
//!
//! A question and its answer are two HTTP/2 PING frames of 17 bytes in TLS records and TCP segments, and an
//! acknowledgement: [`ASK_BYTES`]. A report of which nothing changed is [`REPORT_BYTES`] with its answer.

use std::time::Duration;

use crate::bundle::v1;
use crate::policy::site::{Uplink, UplinkClass};

/// What asking once costs, both ways: 2 × (17 B frame + 22 B TLS + 52 B IPv4 and TCP with timestamps) + 52 B
/// acknowledgement = 234 B; 20 B more for each packet over IPv6 are within what is rounded up.
pub const ASK_BYTES: u64 = 250;

/// What a report of which nothing changed costs, both ways: some 60 B, since it is compressed against the one before,
/// 60 B of frames and acknowledgement, 3 packets with TCP and TLS; and on each new connection one that is whole.
pub const REPORT_BYTES: u64 = 500;

/// One in so many bytes of a site's daily budget may go into asking: 1 %.
const ASKING_SHARE: u64 = 100;

/// One in so many may go into reports of which nothing changed: 2 %.
const REPORTING_SHARE: u64 = 50;

const DAY: u64 = 86_400;

/// Every interval that a budget can lead to, in seconds. A few, since sites of one class run one bundle only if they
/// have the same settings. The last one is kept to even if the budget is smaller: 4 questions and 4 reports a day.
const RUNGS: [u32; 8] = [60, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600];

/// The least and the most that an agent takes from a bundle: seconds.
const BOUNDS: (u32, u32) = (5, 86_400);

/// What both ends of a link keep to, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pace {
    /// After so long without a word from the core the agent asks whether it is there.
    pub keepalive_seconds: u32,
    /// How long the answer may take.
    pub keepalive_timeout_seconds: u32,
    /// The agent reports at least this often.
    pub report_seconds: u32,
}

impl Default for Pace {
    /// That of `Broadband`.
    fn default() -> Self {
        Self::of_class(UplinkClass::Broadband)
    }
}

impl Pace {
    /// Returns the pace of a site with this uplink.
    pub fn of(uplink: &Uplink) -> Self {
        let class = Self::of_class(uplink.class);
        let Some(budget) = uplink.bytes_per_day else { return class };
        Self {
            keepalive_seconds: rung(class.keepalive_seconds, budget, ASK_BYTES * ASKING_SHARE),
            report_seconds: rung(class.report_seconds, budget, REPORT_BYTES * REPORTING_SHARE),
            ..class
        }
    }

    const fn of_class(class: UplinkClass) -> Self {
        let (keepalive_seconds, keepalive_timeout_seconds, report_seconds) = match class {
            UplinkClass::Broadband => (60, 20, 300),
            UplinkClass::Metered => (900, 30, 1_800),
            UplinkClass::Satellite => (900, 60, 1_800),
            UplinkClass::Intermittent => (20, 10, 1_800),
        };
        Self { keepalive_seconds, keepalive_timeout_seconds, report_seconds }
    }

    /// Reads it from a bundle; settings that say nothing mean the default.
    pub fn of_settings(settings: &v1::Settings) -> Self {
        let Some(link) = settings.link else { return Self::default() };
        let bound = |seconds: u32| seconds.clamp(BOUNDS.0, BOUNDS.1);
        Self {
            keepalive_seconds: bound(link.keepalive_seconds),
            keepalive_timeout_seconds: bound(link.keepalive_timeout_seconds),
            report_seconds: bound(link.report_seconds),
        }
    }

    /// Writes it for a bundle. The default is left out, so a bundle says nothing of it.
    pub fn to_settings(self) -> Option<v1::Link> {
        (self != Self::default()).then_some(v1::Link {
            keepalive_seconds: self.keepalive_seconds,
            keepalive_timeout_seconds: self.keepalive_timeout_seconds,
            report_seconds: self.report_seconds,
        })
    }
}

/// The interval of a class, or the next longer one at which something stays within its share of a daily budget.
/// `cost` is the bytes that it takes each time, times what it is one in of the budget.
fn rung(of_class: u32, budget: u64, cost: u64) -> u32 {
    let least = u64::from(of_class).max((DAY * cost).div_ceil(budget.max(1)));
    let fits = |rung: &u32| u64::from(*rung) >= least;
    if u64::from(of_class) >= least { of_class } else { RUNGS.into_iter().find(fits).unwrap_or(RUNGS[7]) }
}

/// Returns the first beat after a time, of one every so often; all three from the same start.
///
/// `share`, from 0 to 1, is where in the interval an agent has its beats. Taken by chance once, it keeps those apart whose
/// last report was of the same moment, as after a commit that all of them apply.
pub fn next_beat(after: Duration, every: Duration, share: f64) -> Duration {
    let every = every.max(Duration::from_secs(1));
    let first = every.mul_f64(share.clamp(0.0, 1.0));
    let Some(gone) = after.checked_sub(first) else { return first };
    let beats = u32::try_from(gone.as_nanos() / every.as_nanos()).unwrap_or(u32::MAX - 1);
    first.saturating_add(every.saturating_mul(beats + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn beats_are_one_interval_apart_and_at_a_place_of_their_own() {
        let second = Duration::from_secs(1);
        for (after, share, next) in [
            (0, 0.5, 150),
            (149, 0.5, 150),
            (150, 0.5, 450),
            (449, 0.5, 450),
            (0, 0.0, 300),
            (3_000, 0.25, 3_075),
        ] {
            assert_eq!(next_beat(after * second, 300 * second, share), next * second, "{after} {share}");
        }
        assert!(next_beat(Duration::MAX, Duration::ZERO, 2.0) > second, "it cannot overflow");
    }

    /// Invariant 9: ten thousand that applied one commit at the same moment spread their next words over the interval.
    #[test]
    fn invariant_9_beats_after_one_moment_are_spread() {
        let (moment, every) = (Duration::from_secs(12_345), Duration::from_secs(300));
        let mut minutes = [0_u32; 5];
        for agent in 0..10_000_u32 {
            let wait =
                next_beat(moment, every, f64::from(agent) / 10_000.0).checked_sub(moment).expect("later");
            minutes[usize::try_from(wait.as_secs() / 60).expect("within the interval").min(4)] += 1;
        }
        assert!(minutes.iter().all(|agents| (1_900..=2_100).contains(agents)), "{minutes:?}");
    }

    const CLASSES: [UplinkClass; 4] =
        [UplinkClass::Broadband, UplinkClass::Metered, UplinkClass::Satellite, UplinkClass::Intermittent];

    fn pace(class: UplinkClass, bytes_per_day: Option<u64>) -> (u32, u32, u32) {
        let pace = Pace::of(&Uplink { class, bytes_per_day });
        (pace.keepalive_seconds, pace.keepalive_timeout_seconds, pace.report_seconds)
    }

    #[test]
    fn a_table_of_paces() {
        use UplinkClass::{Broadband, Intermittent, Metered, Satellite};
        for (class, budget, expected) in [
            (Broadband, None, (60, 20, 300)),
            (Metered, None, (900, 30, 1_800)),
            (Satellite, None, (900, 60, 1_800)),
            (Intermittent, None, (20, 10, 1_800)),
            (Broadband, Some(100_000_000), (60, 20, 300)),
            (Broadband, Some(5_000_000), (900, 20, 900)),
            (Satellite, Some(5_000_000), (900, 60, 1_800)),
            (Metered, Some(1_000_000), (3_600, 30, 3_600)),
            (Intermittent, Some(50_000_000), (60, 10, 1_800)),
            (Metered, Some(1), (21_600, 30, 21_600)),
        ] {
            assert_eq!(pace(class, budget), expected, "{class:?} with {budget:?} bytes a day");
        }
    }

    proptest! {
        /// Sites of one class of selectors fall into a few classes of bundles, whatever budgets people write.
        #[test]
        fn idle_talk_keeps_to_its_share_and_there_are_few_paces(
            class in prop::sample::select(&CLASSES[..]), budget in 100_000_u64..1 << 40,
        ) {
            let (keepalive, _, report) = pace(class, Some(budget));
            let a_day = |seconds: u32, bytes: u64| DAY * bytes / u64::from(seconds);
            prop_assert!(a_day(keepalive, ASK_BYTES) <= budget / 100 + 1);
            prop_assert!(a_day(report, REPORT_BYTES) <= budget / 50 + 1);
            let (of_class, _, reports_of_class) = pace(class, None);
            prop_assert!(keepalive == of_class || RUNGS.contains(&keepalive) && keepalive > of_class);
            prop_assert!(report == reports_of_class || RUNGS.contains(&report) && report > reports_of_class);
        }

        #[test]
        fn a_bundle_carries_it(class in prop::sample::select(&CLASSES[..]), budget in prop::option::of(1..u64::MAX)) {
            let pace = Pace::of(&Uplink { class, bytes_per_day: budget });
            let settings = v1::Settings { link: pace.to_settings(), ..v1::Settings::default() };
            prop_assert_eq!(Pace::of_settings(&settings), pace);
        }
    }

    #[test]
    fn what_a_bundle_says_is_bounded_and_the_default_is_not_said() {
        assert_eq!(Pace::default().to_settings(), None);
        let link = Some(v1::Link { keepalive_timeout_seconds: u32::MAX, ..v1::Link::default() });
        let read = Pace::of_settings(&v1::Settings { link, ..v1::Settings::default() });
        let expected = Pace { keepalive_seconds: 5, keepalive_timeout_seconds: 86_400, report_seconds: 5 };
        assert_eq!(read, expected);
    }
}
