//! Agents whose sites are not in the policy repository: the newest of them, for people to see.
//!
//! Anybody who reaches the address can name a site, so there are few, and none is kept elsewhere.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use parking_lot::Mutex;
use skerry_core::id::SiteId;
use skerry_proto::v1;

use super::claim::SHOWN;
use crate::clock::Moment;

/// How many are kept: 100 × (63 name + 50) B = 11 KiB.
const MOST: usize = 100;

/// The last agent that came for a site.
#[derive(Debug, Clone, Copy)]
struct Stranger {
    peer: Option<SocketAddr>,
    last: Moment,
}

/// All of them, by the site that they ask for.
#[derive(Debug, Default)]
pub(super) struct Strangers(Mutex<BTreeMap<SiteId, Stranger>>);

impl Strangers {
    /// Notes one. Of too many the one that came first is forgotten.
    pub(super) fn note(&self, site: SiteId, peer: Option<SocketAddr>, now: Moment) {
        let mut all = self.0.lock();
        all.insert(site, Stranger { peer, last: now });
        if all.len() > MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, one)| one.last.at).map(|(site, _)| site.clone())
        {
            all.remove(&oldest);
        }
    }

    /// Lists those that came lately and whose site is still not known.
    pub(super) fn list(&self, now: Moment, is_known: impl Fn(&SiteId) -> bool) -> Vec<v1::Stranger> {
        let mut all = self.0.lock();
        all.retain(|site, one| now.at.saturating_duration_since(one.last.at) <= SHOWN && !is_known(site));
        let to_wire = |(site, one): (&SiteId, &Stranger)| v1::Stranger {
            site: site.to_string(),
            peer: one.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            last_seen_ms: one.last.wall.0,
        };
        all.iter().map(to_wire).collect()
    }
}
