//! Addresses that an Envoy said it cannot bind: somebody else has them, or they are not this host's.
//! Their listeners are left out, and each is looked at again, with backoff, until it is free.
//!
//! Envoy is the one to say so, not a look of the agent before: it may live in another network
//! namespace, or have other rights. Pure: time is an argument, looks are by `probe`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use skerry_core::id::NamespacedName;

use crate::clock::Now;

mod probe;

pub(crate) use probe::probe;

/// The first pause between two looks, and the longest one while it is taken: a look is one system call.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// The longest pause when an address is free here and not for Envoy: each try is a response to it.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The most addresses: ten services with three ports each at thirty proxies. A bundle of which more
/// cannot be bound is a bad bundle.
const MAX_ADDRESSES: usize = 900;

/// What Envoy says of an address that no interface of its host has (`EADDRNOTAVAIL`).
const NOT_HERE: &str = "Cannot assign requested address";

/// How Envoy ends words of more than 4,096 bytes.
const CUT: &str = "...(truncated)";

/// Addresses by proxy.
#[derive(Debug, Default)]
pub(crate) struct Unbound {
    by_proxy: BTreeMap<NamespacedName, BTreeMap<SocketAddr, Entry>>,
}

#[derive(Debug)]
struct Entry {
    reason: String,
    pause: Duration,
    /// The next look; `None`: it was free at the last one, and Envoy may have it again.
    at: Option<Now>,
}

impl Unbound {
    /// Takes Envoy's words about a refusal. True when they are about addresses and nothing else, and
    /// all of those are known now.
    pub(crate) fn handle_refusal(&mut self, now: Now, proxy: &NamespacedName, detail: &str) -> bool {
        let Some(found) = addresses(detail) else { return false };
        let entries = self.by_proxy.entry(proxy.clone()).or_default();
        if found.keys().filter(|at| !entries.contains_key(at)).count() + entries.len() > MAX_ADDRESSES {
            return false;
        }
        for (at, reason) in found {
            let entry = entries.entry(at).or_insert_with(|| Entry {
                reason: String::new(),
                pause: LOOKS.0,
                at: None,
            });
            entry.reason = reason;
            // Said twice about one response: the look stays where it is.
            entry.at.get_or_insert(now + entry.pause);
        }
        true
    }

    /// Forgets the proxies that are gone.
    pub(crate) fn retain(&mut self, is_there: impl Fn(&NamespacedName) -> bool) {
        self.by_proxy.retain(|name, _| is_there(name));
    }

    /// Returns what a proxy cannot bind, and why.
    pub(crate) fn of(&self, proxy: &NamespacedName) -> BTreeMap<SocketAddr, String> {
        let entries = self.by_proxy.get(proxy).into_iter().flatten();
        entries
            .filter(|(_, entry)| entry.at.is_some())
            .map(|(at, entry)| (*at, entry.reason.clone()))
            .collect()
    }

    /// Returns when `handle_timeout` is due.
    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        self.by_proxy.values().flat_map(BTreeMap::values).filter_map(|entry| entry.at).min()
    }

    /// Looks at what is due by `is_free`, which is also told whether the address is one of this host;
    /// true when something is free. One that Envoy refuses all the same waits
    /// twice as long the next time.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Now,
        mut is_free: impl FnMut(SocketAddr, bool) -> bool,
    ) -> bool {
        let mut any = false;
        for (at, entry) in self.by_proxy.values_mut().flatten() {
            if entry.at.is_some_and(|due| due <= now) {
                let free = is_free(*at, !entry.reason.contains(NOT_HERE));
                let longest = if free { LONGEST_PAUSE } else { LOOKS.1.max(entry.pause) };
                entry.pause = longest.min(entry.pause * 2);
                entry.at = (!free).then(|| now + entry.pause);
                any |= free;
            }
        }
        any
    }
}

/// Finds the addresses that Envoy could not bind, and why: `cannot bind '127.0.0.1:80': Address already
/// in use`, one on a line. `None` when a line is about something else. Envoy cuts long words, so the last line may be
/// half a one; what it would have said comes with the next refusal.
fn addresses(detail: &str) -> Option<BTreeMap<SocketAddr, String>> {
    let detail = match detail.trim_end().strip_suffix(CUT) {
        Some(cut) => cut.rsplit_once('\n')?.0,
        None => detail,
    };
    let of_line = |line: &str| {
        let (_, rest) = line.split_once("cannot bind '")?;
        let (at, reason) = rest.split_once("': ")?;
        Some((at.parse().ok()?, reason.trim().to_owned()))
    };
    let found: Option<BTreeMap<_, _>> =
        detail.lines().filter(|line| !line.trim().is_empty()).map(of_line).collect();
    found.filter(|found| !found.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn proxy() -> NamespacedName {
        NamespacedName::new("shop", "a")
    }

    fn words(at: &str) -> String {
        format!(
            "Error adding/updating listener(s) outbound/shop/x/80: cannot bind '{at}': Address already in use\n"
        )
    }

    #[test]
    fn only_words_about_addresses_count() {
        let mut unbound = Unbound::default();
        for detail in ["", "bad regex", "cannot bind 'x': no", &format!("{}bad regex", words("1.1.1.1:1"))] {
            assert!(!unbound.handle_refusal(Now::ZERO, &proxy(), detail), "{detail}");
        }
        let both = format!("{}{}", words("127.0.0.1:80"), words("[::1]:80"));
        assert!(unbound.handle_refusal(Now::ZERO, &proxy(), &both));
        let known: Vec<_> = unbound.of(&proxy()).into_iter().collect();
        let in_use = || "Address already in use".to_owned();
        let expected = ["127.0.0.1:80", "[::1]:80"].map(|at| (at.parse().unwrap(), in_use()));
        assert_eq!(known, expected);
    }

    #[test]
    fn it_looks_again_with_longer_pauses_until_it_is_free() {
        let (mut unbound, mut now, mut pauses) = (Unbound::default(), Now::ZERO, Vec::new());
        assert!(unbound.handle_refusal(now, &proxy(), &words("127.0.0.1:80")));
        for _ in 0..5 {
            let due = unbound.poll_timeout().unwrap();
            pauses.push((due - now).as_secs());
            now = due;
            assert!(!unbound.handle_timeout(now, |_, _| false));
        }
        assert_eq!(pauses, [1, 2, 4, 5, 5]);
        assert!(!unbound.handle_timeout(now, |_, _| true), "not before it is due");
        now += 5 * SECOND;
        for pause in [10, 20, 30, 30] {
            assert!(unbound.handle_timeout(now, |_, is_here| is_here));
            assert_eq!((unbound.of(&proxy()).len(), unbound.poll_timeout()), (0, None));
            assert!(unbound.handle_refusal(now, &proxy(), &words("127.0.0.1:80")));
            let due = unbound.poll_timeout().unwrap();
            assert_eq!(due, now + pause * SECOND, "free for us, not for Envoy");
            now = due;
        }
        assert!(!unbound.handle_timeout(now, |_, _| false));
        assert_eq!(unbound.poll_timeout(), Some(now + 30 * SECOND), "it is not asked for sooner than Envoy");
        unbound.retain(|_| false);
        assert_eq!(unbound.poll_timeout(), None);
    }

    #[test]
    fn words_that_envoy_cut_are_about_addresses_as_far_as_they_go() {
        let mut unbound = Unbound::default();
        let many: String = (1..60).map(|port| words(&format!("127.0.0.1:{port}"))).collect();
        let cut = format!("{}...(truncated)", &many[..4_096]);
        assert!(unbound.handle_refusal(Now::ZERO, &proxy(), &cut));
        assert!(unbound.of(&proxy()).len() > 30);
        let not_so = format!("bad regex {}...(truncated)", "x".repeat(4_096));
        assert!(!Unbound::default().handle_refusal(Now::ZERO, &proxy(), &not_so));
        let one_of_them = format!("bad regex\n{cut}");
        assert!(!Unbound::default().handle_refusal(Now::ZERO, &proxy(), &one_of_them));
    }

    #[test]
    fn there_are_bounds() {
        let mut unbound = Unbound::default();
        let many: String = (0..=MAX_ADDRESSES).map(|port| words(&format!("127.0.0.1:{port}"))).collect();
        assert!(!unbound.handle_refusal(Now::ZERO, &proxy(), &many));
    }
}
