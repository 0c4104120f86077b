//! News of whom the site shall believe: when it renews because the core has another version of that than the site.
//!
//! Soon, since a revocation may be among it, and spread, since every site of the fleet hears of it at once: 10,000 renewals
//! are 10,000 handshakes and writes to the core's disk, which take it most of a minute. How far they are spread is the core's
//! to say, which knows how many there are. Pure: time and chance are arguments.

use std::time::Duration;

use skerry_proto::v1::TrustNews;

use crate::clock::Elapsed;

/// The longest spread that the core is obeyed in: news of a revocation are of use while they are new.
const LONGEST_SPREAD: Duration = Duration::from_secs(300);

/// How many renewals news may cause in a row: a rotation of everything takes eight.
const IN_A_ROW: u32 = 16;

/// How long until there is one more: a core that always names another version is asked 12 times an hour.
const ONE_MORE: Duration = Duration::from_secs(300);

/// What the core said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Its version; 0: it said none.
    version: u64,
    /// Within how long the site shall renew.
    spread: Duration,
}

impl Heard {
    /// Takes the core's word.
    pub(super) fn of(news: TrustNews) -> Self {
        let spread = Duration::from_secs(news.spread_seconds.into()).min(LONGEST_SPREAD);
        Self { version: news.version, spread }
    }
}

/// When to renew because of news.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    due: Option<Elapsed>,
    /// How many renewals of these were made lately.
    made: u32,
    /// Since when they are counted less.
    since: Option<Elapsed>,
}

impl News {
    /// Takes what the core said to a site that has a version. What is due already stays due.
    pub(super) fn handle_heard(&mut self, heard: Heard, has: u64, now: Elapsed, share: f64) {
        if heard.version == 0 || heard.version == has {
            self.due = None;
        } else if self.due.is_none() {
            let spread = heard.spread.mul_f64(share.clamp(0.0, 1.0));
            self.due = Some(self.allowed_at(now).max(now + spread));
        }
    }

    /// The site has renewed, for whatever reason.
    pub(super) fn handle_renewed(&mut self, now: Elapsed) {
        if self.due.take().is_some() {
            self.forget(now);
            self.made += 1;
        }
    }

    /// Returns how long it is until a renewal is due.
    pub(super) fn until_due(&self, now: Elapsed) -> Option<Duration> {
        self.due.map(|due| due.saturating_sub(now))
    }

    fn allowed_at(&mut self, now: Elapsed) -> Elapsed {
        self.forget(now);
        let next = self.since.unwrap_or(now) + ONE_MORE;
        if self.made < IN_A_ROW { now } else { next }
    }

    /// Counts less what is long ago.
    fn forget(&mut self, now: Elapsed) {
        let since = *self.since.get_or_insert(now);
        let passed = now.saturating_sub(since).as_secs() / ONE_MORE.as_secs();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX).min(self.made);
        self.made -= passed;
        self.since = if self.made == 0 { Some(now) } else { Some(since + ONE_MORE * passed) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(version: u64, spread_seconds: u32) -> Heard {
        Heard::of(TrustNews { version, spread_seconds })
    }

    /// The table: what the core says to a site that has version 7, and within how long the site renews.
    #[test]
    fn another_version_is_fetched_soon_and_spread() {
        for (said, share, expected) in [
            (heard(8, 60), 0.0, Some(0)),
            (heard(8, 60), 0.5, Some(30)),
            (heard(8, 0), 1.0, Some(0)),
            // A core that was put back counts lower: it is the core all the same.
            (heard(3, 60), 1.0, Some(60)),
            (heard(8, u32::MAX), 1.0, Some(300)),
            (heard(7, 60), 0.5, None),
            (heard(0, 60), 0.5, None),
        ] {
            let (mut news, now) = (News::default(), Elapsed::ZERO);
            news.handle_heard(said, 7, now, share);
            let due = news.until_due(now).map(|due| due.as_secs());
            assert_eq!(due, expected, "{said:?} {share}");
        }
    }

    #[test]
    fn what_is_due_stays_due_until_the_site_has_it() {
        let (mut news, now) = (News::default(), Elapsed::ZERO);
        news.handle_heard(heard(8, 60), 7, now, 0.1);
        news.handle_heard(heard(9, 60), 7, now, 1.0);
        assert_eq!(
            news.until_due(now),
            Some(Duration::from_secs(6)),
            "said again, it waits no longer for it"
        );
        news.handle_heard(heard(9, 60), 9, now, 1.0);
        assert_eq!(news.until_due(now), None, "it has renewed for another reason");
    }

    /// Invariant 9: a core that always names another version is not asked again and again.
    #[test]
    fn invariant_9_a_core_that_always_has_news_is_asked_seldom() {
        let start = Elapsed::ZERO;
        let (mut news, mut now, mut renewals) = (News::default(), start, 0);
        while now < start + Duration::from_secs(3_600) {
            news.handle_heard(heard(u64::from(renewals) + 1, 0), 0, now, 0.5);
            now += news.until_due(now).unwrap();
            news.handle_renewed(now);
            renewals += 1;
        }
        assert!((IN_A_ROW + 11..=IN_A_ROW + 13).contains(&renewals), "{renewals}");
        now += ONE_MORE * 100;
        for _ in 0..IN_A_ROW {
            news.handle_heard(heard(1, 0), 0, now, 0.5);
            assert_eq!(news.until_due(now), Some(Duration::ZERO), "after a while it is as at first");
            news.handle_renewed(now);
        }
    }
}
