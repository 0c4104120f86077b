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

/// What sites have said.
#[derive(Debug, Default)]
pub struct Standing(BTreeMap<SiteId, u64>);

impl Standing {
    /// Notes what a site says that it has.
    pub fn note(&mut self, site: &SiteId, version: u64) {
        match self.0.get_mut(site) {
            Some(known) => *known = version,
            None => drop(self.0.insert(site.clone(), version)),
        }
    }

    /// Forgets what a box said that is the site's no more.
    pub fn forget(&mut self, site: &SiteId) {
        self.0.remove(site);
    }

    /// Says whether a site is known to have a version, or a later one.
    pub fn has(&self, site: &SiteId, version: u64) -> bool {
        self.0.get(site).is_some_and(|known| *known >= version)
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
        assert!(!standing.has(&site, 1), "nothing is known of it");
        standing.note(&site, 5);
        assert!(standing.has(&site, 5) && standing.has(&site, 4) && !standing.has(&site, 6));
        standing.note(&site, 3);
        assert!(!standing.has(&site, 5), "its disk was put back");
        standing.forget(&site);
        assert!(!standing.has(&site, 1));
    }
}
