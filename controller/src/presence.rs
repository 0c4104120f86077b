//! Which sites are connected, by which agent, and when each was last heard from.
//!
//! Holds no queue: a wake is one bit for each stream, and whoever is woken looks up what is newest.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use skerry_core::id::{SiteId, Timestamp};
use skerry_proto::v1;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Moment;

pub mod claim;
mod strangers;

use claim::{Claim, Claimant, Claims, Fenced, Place};
use strangers::Strangers;

/// Sites that connect at once wait for each other only within one of these.
const SHARDS: usize = 64;

/// One site's stream, as others see it.
#[derive(Debug, Default)]
struct Line {
    wake: Notify,
    /// A newer stream of the same site took its place.
    is_replaced: AtomicBool,
    /// Nothing was heard over it for too long.
    is_silent: AtomicBool,
    /// Cuts what it runs over, if its end is not heard there.
    cut: OnceLock<CancellationToken>,
}

/// A stream that was told to end. Its word goes out when its peer takes it, which may be never.
#[derive(Debug)]
struct Leaving {
    /// Gone when the stream has ended.
    line: Weak<Line>,
    /// It has had a whole interval for it, at least.
    is_due: bool,
}

#[derive(Debug, Default)]
struct Contact {
    line: Option<Arc<Line>>,
    /// Streams before that one; those that have ended are taken out before there are more.
    leaving: Vec<Leaving>,
    claims: Claims,
    /// It came by pull last.
    pulls: bool,
    last_seen: Timestamp,
    /// `last_seen` was not handed out by `take_seen` yet.
    is_new: bool,
    /// How long its stream has been silent, as far as it was counted.
    silent_for: Duration,
    /// The last agent that could not be talked to, until one can.
    turned_away: Option<Box<TurnedAway>>,
}

/// An agent that the core cannot talk to: of a release that is too old, for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnedAway {
    /// Where it came from.
    pub peer: Option<SocketAddr>,
    /// What it was told.
    pub reason: String,
    /// When it came last.
    pub last: Moment,
}

impl TurnedAway {
    /// Writes it for people.
    pub fn to_wire(self) -> v1::TurnedAway {
        v1::TurnedAway {
            peer: self.peer.map(|peer| peer.to_string()).unwrap_or_default(),
            reason: self.reason,
            last_seen_ms: self.last.wall.0,
        }
    }
}

/// When a site was heard from, and whether it is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// A stream is open.
    pub connected: bool,
    /// It came by pull last: no stream is due.
    pub pulls: bool,
    /// The last message, by the core's clock; 0 when there was none since the core started.
    pub last_seen: Timestamp,
    /// The agent that is served.
    pub agent: Option<Claim>,
    /// Another agent that claims the site.
    pub rival: Option<Claim>,
    /// An agent that cannot be talked to.
    pub turned_away: Option<TurnedAway>,
}

/// All sites that were heard from since the core started.
#[derive(Debug)]
pub struct Presence(Vec<Mutex<BTreeMap<SiteId, Contact>>>, Strangers);

impl Default for Presence {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect(), Strangers::default())
    }
}

/// What a stream learns when it is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Something was published for its site.
    Published,
    /// A newer stream of its site took its place: it is to end.
    Replaced,
    /// Nothing was heard of its site for too long: it hangs half-open, and is to end.
    Silent,
}

/// A registered stream; the site is no longer connected when it is dropped.
#[derive(Debug)]
pub struct Connection {
    presence: Arc<Presence>,
    site: SiteId,
    line: Arc<Line>,
}

impl Presence {
    fn shard(&self, site: &SiteId) -> &Mutex<BTreeMap<SiteId, Contact>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(site);
        &self.0[usize::try_from(hash % SHARDS as u64).unwrap_or_default()]
    }

    /// Notes that a site was heard from.
    pub fn touch(&self, site: &SiteId, now: Moment) {
        self.shard(site).lock().entry(site.clone()).or_default().see(now);
    }

    /// Registers a stream. The newest one of an agent wins, as the agent counts them: the other hangs half-open.
    ///
    /// # Errors
    /// Another agent is served, or a newer stream of this one.
    pub fn connect(self: &Arc<Self>, site: &SiteId, by: Claimant, now: Moment) -> Result<Connection, Fenced> {
        let line = Arc::new(Line::default());
        let mut shard = self.shard(site).lock();
        let contact = shard.entry(site.clone()).or_default();
        contact.claim(by, now)?;
        contact.pulls = false;
        if let Some(older) = contact.line.replace(Arc::clone(&line)) {
            older.is_replaced.store(true, Ordering::Release);
            older.wake.notify_one();
            contact.leaving.retain(|leaving| leaving.line.strong_count() > 0);
            contact.leaving.push(Leaving { line: Arc::downgrade(&older), is_due: false });
        }
        drop(shard);
        Ok(Connection { presence: Arc::clone(self), site: site.clone(), line })
    }

    /// Notes that a site came by pull.
    ///
    /// # Errors
    /// Another agent is served.
    pub fn pull(&self, site: &SiteId, by: Claimant, now: Moment) -> Result<(), Fenced> {
        let mut shard = self.shard(site).lock();
        let contact = shard.entry(site.clone()).or_default();
        contact.claim(by, now)?;
        contact.pulls = true;
        Ok(())
    }

    /// Forgets which agent of a site is served: its box is another one by now.
    pub fn forget_agent(&self, site: &SiteId) {
        if let Some(contact) = self.shard(site).lock().get_mut(site) {
            contact.claims = Claims::default();
            contact.turned_away = None;
        }
    }

    /// Notes that an agent of a site cannot be talked to. It changes no figure of the site.
    pub fn turn_away(&self, site: &SiteId, turned_away: TurnedAway) {
        self.shard(site).lock().entry(site.clone()).or_default().turned_away = Some(Box::new(turned_away));
    }

    /// Notes that an agent came for a site that is not in the policy repository.
    pub fn note_stranger(&self, site: SiteId, peer: Option<SocketAddr>, now: Moment) {
        self.1.note(site, peer, now);
    }

    /// Lists agents that came lately for sites which are still not known.
    pub fn strangers(&self, now: Moment, is_known: impl Fn(&SiteId) -> bool) -> Vec<v1::Stranger> {
        self.1.list(now, is_known)
    }

    /// Wakes the streams of these sites. Wakes that come before one looks are one. Costs the sites that were heard
    /// from, not those of the fleet.
    pub fn wake_those(&self, which: impl Fn(&SiteId) -> bool) {
        for shard in &self.0 {
            let shard = shard.lock();
            let lines = shard.iter().filter_map(|(site, contact)| Some((site, contact.line.as_ref()?)));
            lines.filter(|(site, _)| which(site)).for_each(|(_, line)| line.wake.notify_one());
        }
    }

    /// Tells what is known of a site.
    pub fn seen(&self, site: &SiteId, now: Moment) -> Seen {
        let shard = self.shard(site).lock();
        shard.get(site).map_or_else(Seen::default, |contact| Seen {
            connected: contact.line.is_some(),
            pulls: contact.pulls,
            last_seen: contact.last_seen,
            agent: contact.claims.holder(),
            rival: contact.claims.rival(now),
            turned_away: contact.turned_away(now),
        })
    }

    /// Ends the streams that were silent for too long: their agents are gone, or hang at another connection. Cuts those
    /// that were told to end and have had the time between two calls for it: nobody takes their last word. To be called
    /// before `take_seen`, each time so long after the time before. Counts what has passed, and does not
    /// compare times: a clock that jumps ends nothing.
    pub fn end_silent(&self, passed: Duration) {
        for shard in &self.0 {
            for contact in shard.lock().values_mut() {
                contact.cut_those_that_stay();
                contact.silent_for =
                    if contact.is_new { Duration::ZERO } else { contact.silent_for + passed };
                let holder = contact.claims.holder().map(|holder| holder.by);
                let allowed = holder.unwrap_or_default().absence();
                if let Some(line) = contact.line.as_ref().filter(|_| contact.silent_for > allowed) {
                    if line.is_silent.swap(true, Ordering::AcqRel) {
                        line.cut();
                    }
                    line.wake.notify_one();
                }
            }
        }
    }

    /// Returns the sites that were heard from since the last call, to be stored.
    pub fn take_seen(&self) -> Vec<(SiteId, Timestamp)> {
        let mut taken = Vec::new();
        for shard in &self.0 {
            for (site, contact) in shard.lock().iter_mut().filter(|(_, contact)| contact.is_new) {
                contact.is_new = false;
                taken.push((site.clone(), contact.last_seen));
            }
        }
        taken
    }
}

impl Contact {
    fn see(&mut self, now: Moment) {
        // Not the later of the two: a clock that was set back would leave a time that never comes.
        self.last_seen = now.wall;
        self.is_new = true;
        self.claims.heard(now);
    }

    fn cut_those_that_stay(&mut self) {
        self.leaving.retain_mut(|leaving| {
            let Some(line) = leaving.line.upgrade() else { return false };
            if leaving.is_due {
                line.cut();
            }
            !std::mem::replace(&mut leaving.is_due, true)
        });
    }

    /// Judges an agent. One that is not served leaves the figures of the one that is alone.
    fn claim(&mut self, by: Claimant, now: Moment) -> Result<(), Fenced> {
        let place = if self.line.is_some() || self.pulls { Place::Held } else { Place::Left };
        self.claims.claim(by, place, now)?;
        self.turned_away = None;
        self.see(now);
        Ok(())
    }

    fn turned_away(&self, now: Moment) -> Option<TurnedAway> {
        let is_recent = |one: &&TurnedAway| now.at.saturating_duration_since(one.last.at) <= claim::SHOWN;
        self.turned_away.as_deref().filter(is_recent).cloned()
    }
}

impl Line {
    fn cut(&self) {
        if let Some(cut) = self.cut.get() {
            cut.cancel();
        }
    }
}

impl Connection {
    /// Names what cuts the connection that the stream runs over; the first one counts.
    pub fn set_cut(&self, cut: CancellationToken) {
        self.line.cut.set(cut).ok();
    }

    /// Waits until there is something to look at.
    pub async fn woken(&self) -> Wake {
        self.line.wake.notified().await;
        match () {
            () if self.line.is_replaced.load(Ordering::Acquire) => Wake::Replaced,
            () if self.line.is_silent.load(Ordering::Acquire) => Wake::Silent,
            () => Wake::Published,
        }
    }

    /// Notes that the site was heard from.
    pub fn touch(&self, now: Moment) {
        self.presence.touch(&self.site, now);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut shard = self.presence.shard(&self.site).lock();
        if let Some(contact) = shard.get_mut(&self.site)
            && contact.line.as_ref().is_some_and(|line| Arc::ptr_eq(line, &self.line))
        {
            contact.line = None;
        }
    }
}

#[cfg(test)]
mod tests;
