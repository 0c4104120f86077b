//! Where proxies were seen to listen, and whether they take mutual TLS there: their peers call them so.
//!
//! Kept in the proxies' folders, so that a restarted agent serves the same; a proxy that is down for a while is none that
//! does not listen yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use skerry_core::id::NamespacedName;
use tracing::warn;

use crate::layout::{Layout, ProxyDir, replace_file};

/// What a proxy takes at an inbound address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// Plain text alone.
    Plain,
    /// Mutual TLS, whether or not plain text as well.
    Mutual,
    /// Nothing: it must be mutual TLS, and the workload can prove nothing. It is not called by another way.
    Closed,
}

/// The inbound addresses of a proxy.
pub(super) type Addresses = BTreeMap<SocketAddr, Takes>;

/// What follows an address that takes mutual TLS in a line of the file.
const MUTUAL: &str = "mtls";

/// What follows one that is closed.
const CLOSED: &str = "closed";

/// The inbound addresses of the site's proxies.
#[derive(Debug, Default)]
pub(super) struct Listening {
    by_workload: BTreeMap<NamespacedName, Addresses>,
}

impl Listening {
    /// Takes note of the workloads that have a proxy: where those that are new were seen to listen is
    /// in their folders.
    pub(super) fn set_proxied<'a>(
        &mut self,
        layout: &Layout,
        names: impl Iterator<Item = &'a NamespacedName>,
    ) {
        let before = std::mem::take(&mut self.by_workload);
        for name in names {
            let read = || parse(&fs_err::read_to_string(layout.proxy(name).listening()).unwrap_or_default());
            self.by_workload.insert(name.clone(), before.get(name).cloned().unwrap_or_else(read));
        }
        for name in before.keys().filter(|name| !self.by_workload.contains_key(*name)) {
            // It goes with the folder at the latest.
            let _is_gone = fs_err::remove_file(layout.proxy(name).listening());
        }
    }

    /// A proxy listens at these addresses. Returns those that took plain text alone until now and take mutual TLS;
    /// nothing when all is as before.
    pub(super) fn note(
        &mut self,
        name: &NamespacedName,
        folder: &ProxyDir,
        inbound: &Addresses,
    ) -> Option<BTreeSet<SocketAddr>> {
        let before = self.by_workload.get(name);
        if before == Some(inbound) {
            return None;
        }
        if let Err(error) = replace_file(&folder.listening(), print(inbound).as_bytes()) {
            warn!(proxy = %name, "a restarted agent will not know that it listens: {error}");
        }
        let was_plain = |at: &SocketAddr| before.is_some_and(|before| before.get(at) == Some(&Takes::Plain));
        let turned = inbound.iter().filter(|(at, takes)| **takes == Takes::Mutual && was_plain(at));
        let turned = turned.map(|(at, _)| *at).collect();
        self.by_workload.insert(name.clone(), inbound.clone());
        Some(turned)
    }

    /// All addresses at which anybody listens.
    pub(super) fn all(&self) -> Addresses {
        self.by_workload.values().flatten().map(|(at, takes)| (*at, *takes)).collect()
    }
}

fn print(inbound: &Addresses) -> String {
    let line = |(at, takes): (&SocketAddr, &Takes)| match takes {
        Takes::Plain => format!("{at}\n"),
        Takes::Mutual => format!("{at} {MUTUAL}\n"),
        Takes::Closed => format!("{at} {CLOSED}\n"),
    };
    inbound.iter().map(line).collect()
}

fn parse(text: &str) -> Addresses {
    let read = |line: &str| {
        let (at, takes) = match line.split_once(' ') {
            Some((at, MUTUAL)) => (at, Takes::Mutual),
            Some((at, CLOSED)) => (at, Takes::Closed),
            _ => (line, Takes::Plain),
        };
        Some((at.parse().ok()?, takes))
    };
    text.lines().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let inbound: Addresses =
            [(at(15006), Takes::Plain), (at(15007), Takes::Mutual), (at(15008), Takes::Closed)].into();
        assert_eq!(parse(&print(&inbound)), inbound);
        assert_eq!(
            parse("127.0.0.1:15006\nnonsense\n127.0.0.1:15007 mtls\n127.0.0.1:15008 closed\n"),
            inbound
        );
    }

    #[test]
    fn a_port_that_learns_mutual_tls_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, name) = (Layout::new(folder.path()), NamespacedName::new("shop", "a"));
        let proxy = layout.proxy(&name);
        fs_err::create_dir_all(proxy.path()).unwrap();
        let at = SocketAddr::from(([127, 0, 0, 1], 15006));
        let (plain, mutual): (Addresses, Addresses) =
            ([(at, Takes::Plain)].into(), [(at, Takes::Mutual)].into());
        let mut listening = Listening::default();
        listening.set_proxied(&layout, [&name].into_iter());
        assert_eq!(listening.note(&name, &proxy, &plain), Some(BTreeSet::new()));
        assert_eq!(listening.note(&name, &proxy, &plain), None);

        // Another agent goes on from there.
        let mut listening = Listening::default();
        listening.set_proxied(&layout, [&name].into_iter());
        assert_eq!(listening.all(), plain);
        assert_eq!(listening.note(&name, &proxy, &mutual), Some([at].into()));
        assert_eq!(listening.note(&name, &proxy, &mutual), None);

        // One that was closed has no callers in plain text: it opens for none of them.
        let closed: Addresses = [(at, Takes::Closed)].into();
        assert_eq!(listening.note(&name, &proxy, &closed), Some(BTreeSet::new()));
        assert_eq!(listening.note(&name, &proxy, &mutual), Some(BTreeSet::new()));

        // One that begins with mutual TLS has no callers who know nothing of it.
        listening.set_proxied(&layout, [].into_iter());
        listening.set_proxied(&layout, [&name].into_iter());
        assert_eq!(listening.all(), Addresses::new());
        assert_eq!(listening.note(&name, &proxy, &mutual), Some(BTreeSet::new()));
    }
}
