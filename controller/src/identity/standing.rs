//! Which version of whom it shall believe each site has, as far as it said; and how versions are numbered. Pure.
//!
//! In memory: after a restart each site says it again with its hello.

use std::collections::BTreeMap;

use skerry_core::id::{SiteId, Timestamp};

/// When counting begins: 2020-01-01, in minutes since 1970. A number of today is 4 bytes in a message.
const FIRST_MINUTE: u64 = 26_297_280;

/// How many sites may renew in one second because of news: a handshake, two signatures and a write to disk each, one after the other.
const RENEWALS_A_SECOND: usize = 150;

/// The number after another one: higher, and not less than the minutes since 2020, so that a copy of the store that is put back and
/// counts on from there does not give a number again that stood for something else.
pub fn next_version(before: u64, now: Timestamp) -> u64 {
    let minutes = (now.0 / 60_000).saturating_sub(FIRST_MINUTE);
    before.saturating_add(1).max(minutes)
}

/// Within how many seconds so many sites are to renew that hear of something at once.
pub fn spread_seconds(sites: usize) -> u32 {
    u32::try_from(sites / RENEWALS_A_SECOND).unwrap_or(u32::MAX)
}

/// What sites have said, and since when.
#[derive(Debug, Default)]
pub struct Standing(BTreeMap<SiteId, (u64, Timestamp)>);

impl Standing {
    /// Notes what a site says that it has.
    pub fn note(&mut self, site: &SiteId, version: u64, now: Timestamp) {
        match self.0.get_mut(site) {
            Some((known, _)) if *known == version => {}
            Some(said) => *said = (version, now),
            None => drop(self.0.insert(site.clone(), (version, now))),
        }
    }

    /// Forgets what a box said that is the site's no more.
    pub fn forget(&mut self, site: &SiteId) {
        self.0.remove(site);
    }

    /// Says since when a site is known to have a version, or a later one: at the earliest since it said what it has now.
    pub fn since(&self, site: &SiteId, version: u64) -> Option<Timestamp> {
        self.0.get(site).filter(|(known, _)| *known >= version).map(|(_, since)| *since)
    }

    /// Lets time pass.
    #[cfg(test)]
    pub(crate) fn age(&mut self, by: std::time::Duration) {
        let by = u64::try_from(by.as_millis()).unwrap();
        self.0.values_mut().for_each(|(_, since)| since.0 = since.0.saturating_sub(by));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_grow_whatever_the_clock_shows() {
        const NOW: Timestamp = Timestamp(1_800_000_000_000);
        let first = next_version(0, NOW);
        assert_eq!(first, 30_000_000 - FIRST_MINUTE);
        assert_eq!(next_version(first, NOW), first + 1);
        assert_eq!(next_version(first, Timestamp(0)), first + 1, "a clock of 1970");
        assert_eq!(next_version(first, Timestamp(NOW.0 + 600_000)), first + 10);
        assert_eq!(next_version(u64::MAX, NOW), u64::MAX);
    }

    #[test]
    fn news_to_many_are_spread_over_a_minute_and_to_few_over_nothing() {
        assert_eq!([3, 1_000, 10_000].map(spread_seconds), [0, 6, 66]);
    }

    #[test]
    fn a_site_has_what_it_said_last() {
        let (mut standing, site) = (Standing::default(), SiteId::new("oslo").unwrap());
        let at = Timestamp;
        assert_eq!(standing.since(&site, 1), None, "nothing is known of it");
        standing.note(&site, 5, at(10));
        standing.note(&site, 5, at(20));
        assert_eq!(
            [4, 5, 6].map(|version| standing.since(&site, version)),
            [Some(at(10)), Some(at(10)), None]
        );
        standing.note(&site, 6, at(30));
        assert_eq!(standing.since(&site, 5), Some(at(30)), "no earlier than it can be told");
        standing.note(&site, 3, at(40));
        assert_eq!(standing.since(&site, 5), None, "its disk was put back");
        standing.forget(&site);
        assert_eq!(standing.since(&site, 1), None);
    }
}
