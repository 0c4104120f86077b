//! The workloads' identities: when they are looked at, and how what is new comes to the proxies.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use skerry_core::id::Timestamp;
use skerry_identity::ca::Authority as _;
use tracing::{debug, info, warn};

use super::Site;
use crate::clock::{Now, share, wall_ms};
use crate::enrolment::Enrolment;
use crate::identity::{Clocks, Minter, News};

/// How often the clocks are looked at in any case. What moves them at once comes as a letter.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long callers may take to learn that a port takes mutual TLS, before it may refuse plain text.
const TURN: Duration = Duration::from_secs(30);

/// How long after its start an agent says what it has mended by itself: long enough for somebody to see it.
const TELL_FOR: Duration = Duration::from_secs(3_600);

/// How far trusted time may be ahead of what the disk knows of it.
const KEEP_EVERY: Duration = Duration::from_secs(3600);

/// What a site knows of its identities.
#[derive(Default)]
pub(super) struct Identities {
    pub(super) minter: Minter,
    /// When they are looked at next.
    due: Option<Now>,
    turning: Option<Turning>,
    /// Trusted time as it was last kept: milliseconds.
    kept_trusted_ms: u64,
    /// What was wrong with the files of the site's identity when the agent started.
    troubles: Vec<String>,
    /// Why the Workload API is not served.
    pub(super) unserved: Option<String>,
}

impl Identities {
    /// Begins with what the disk knows of trusted time, and with what is wrong with what it has of the site's identity.
    pub(super) fn new(kept_trusted_ms: u64, troubles: Vec<String>) -> Self {
        Self { kept_trusted_ms, troubles, ..Self::default() }
    }

    /// What is wrong with the files of the site's identity: for as long as it is lost, and else for a while.
    pub(super) fn troubles(&self, now: Now) -> &[String] {
        let is_told = self.minter.mesh().is_none() || now < TELL_FOR;
        if is_told { &self.troubles } else { &[] }
    }

    /// Returns when they are to be looked at.
    pub(super) fn poll_timeout(&self) -> Option<Now> {
        self.due.into_iter().chain(self.turning.as_ref().map(|turning| turning.until)).min()
    }

    /// Ports that take plain text for now, whatever the policy says.
    pub(super) fn turning(&self) -> impl Iterator<Item = SocketAddr> {
        self.turning.iter().flat_map(|turning| turning.ports.iter().copied())
    }
}

/// Ports that took plain text alone and take both now: they refuse none until their callers know.
#[derive(Debug)]
struct Turning {
    until: Now,
    ports: BTreeSet<SocketAddr>,
}

impl Site {
    /// Takes what the site has now.
    pub(super) fn handle_enrolment(&mut self, now: Now, enrolment: Option<Arc<Enrolment>>) {
        self.enrol(enrolment);
        // What was not believed may be by now.
        self.again.hasten(now);
        let news = self.mint(now);
        self.bring(&News { holders: true, ..news });
    }

    /// What was signed for the site says how late it is at least.
    pub(super) fn enrol(&mut self, enrolment: Option<Arc<Enrolment>>) {
        for signed in enrolment.iter().flat_map(|it| [it.authority.certificate(), &it.agent]) {
            self.trusted.observe_ms(signed.validity().issued.0);
        }
        match &enrolment {
            Some(enrolment) => info!(mesh = enrolment.mesh().as_str(), "the site is enrolled"),
            None if self.identities.troubles.is_empty() => {
                debug!("the site is not enrolled: workloads call each other in plain text");
            }
            None => self.identities.minter.handle_lost(),
        }
        self.identities.minter.handle_enrolment(enrolment, self.clocks());
    }

    pub(super) fn clocks(&self) -> Clocks {
        Clocks { trusted: Timestamp(self.trusted.now_ms()), wall: Timestamp(wall_ms()) }
    }

    /// The machine slept, or its clock was set: what is due by now is not what was due a moment ago.
    pub(super) fn handle_clocks(&mut self, now: Now) {
        self.identities.due = Some(now);
        self.look_at_identities(now);
    }

    /// Mints what is due, if that is to be looked at.
    pub(super) fn look_at_identities(&mut self, now: Now) {
        if self.identities.due.is_none_or(|due| due > now) {
            return;
        }
        self.keep_trusted();
        let news = self.mint(now);
        self.bring(&news);
    }

    /// Mints what is due, and says when to look again.
    pub(super) fn mint(&mut self, now: Now) -> News {
        let clocks = self.clocks();
        let news = self.identities.minter.handle_time(clocks, share);
        if !news.secrets.is_empty() {
            info!(workloads = news.secrets.len(), "secrets are new");
        }
        let wait = |due: Duration| now + due.min(LOOK_EVERY);
        self.identities.due = self.identities.minter.until_due(clocks).map(wait);
        self.publish_issued();
        news
    }

    /// Hands what is new to the proxies. Certificates alone cost no lowering.
    pub(super) fn bring(&mut self, news: &News) {
        if news.holders {
            return self.publish_again();
        }
        if news.secrets.is_empty() {
            return;
        }
        self.lowered = None;
        let hashes = self.publisher.renew(&news.secrets, &self.identities.minter);
        self.machine.handle_published(&hashes);
        self.snapshots_change();
    }

    /// Hands what is issued to the processes that ask for it.
    pub(super) fn publish_issued(&self) {
        let issued = self.identities.minter.issued();
        self.out.issued.send_if_modified(|before| {
            let is_new = **before != issued;
            if is_new {
                *before = Arc::new(issued);
            }
            is_new
        });
    }

    /// Goes on with what waits for the proxies, once none of them has yet to answer.
    pub(super) fn settle_identities(&mut self, now: Now) {
        if self.identities.turning.is_none() && !self.identities.minter.is_spreading() {
            return;
        }
        let is_settled = !self.machine.proxies().any_is_pending();
        // One that runs and is not connected has what it had: it is given the time to come back.
        let is_spread = is_settled && !self.machine.proxies().any_is_absent();
        if is_spread && self.identities.minter.is_spreading() {
            self.identities.minter.handle_spread(self.clocks());
            let news = self.mint(now);
            self.bring(&news);
        }
        let is_known = |turning: &mut Turning| is_settled || turning.until <= now;
        if self.identities.turning.take_if(is_known).is_some() {
            self.publish_again();
        }
    }

    /// These ports take mutual TLS from now on.
    pub(super) fn turn(&mut self, now: Now, ports: BTreeSet<SocketAddr>) {
        if ports.is_empty() {
            return;
        }
        let turning = self.identities.turning.get_or_insert(Turning { until: now, ports: BTreeSet::new() });
        turning.until = now + TURN;
        turning.ports.extend(ports);
    }

    /// A machine that is switched off begins with what the disk knows.
    fn keep_trusted(&mut self) {
        let trusted = self.trusted.now_ms();
        let since = trusted.saturating_sub(self.identities.kept_trusted_ms);
        if since < u64::try_from(KEEP_EVERY.as_millis()).unwrap_or(u64::MAX) || self.store.is_volatile() {
            return;
        }
        match self.store.keep_trusted(trusted) {
            Ok(()) => self.identities.kept_trusted_ms = trusted,
            Err(error) => warn!("trusted time is not kept: {error}"),
        }
    }
}
