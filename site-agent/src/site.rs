//! The site: the one owner of bundle, store, workloads and machines. Takes letters, carries out
//! what the machines decide, and publishes. Synchronous; `app` runs it in a loop.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use skerry_core::bundle::{Bundle, v1};
use skerry_core::id::{Digest, NamespacedName, SiteId};
use skerry_core::pace::Pace;
use skerry_core::workload::Workload;
use skerry_proto::v1::Report;
use skerry_proto::v1::site_event::Kind;
use skerry_xds::audit::Counts;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::bind::{self, Unbound};
use crate::clock::{Clock, Now, SharedTime, Stamp};
use crate::enrolment::Enrolment;
use crate::fetch::Fetch;
use crate::identity::Issued;
use crate::launcher::LauncherState;
use crate::layout::ProxyDir;
use crate::machine::Machine;
use crate::mailbox::Mail;
use crate::report::{self, Reporter};
use crate::step::step;
use crate::store::{Refused, Slot, Store, StoreError};
use crate::{ads, link, workloads};

mod again;
mod apply;
mod boot;
mod departed;
mod identities;
mod listening;
mod offer;
mod policy;
mod publish;
mod status;
mod vouchers;

use again::Again;
use identities::Identities;
pub(crate) use publish::{Desired, Feed, Publisher};
use publish::{Lowered, Lowerings};
pub(crate) use vouchers::Vouchers;

/// How often a disk that takes nothing is tried while reports wait in memory: it costs a write of some KiB.
const FLUSH_EVERY: Duration = Duration::from_secs(10);

/// A bundle with the bytes that it came from.
#[derive(Debug, Clone)]
struct Held {
    slot: Slot,
    bundle: Arc<Bundle>,
}

/// Where the site's words go.
pub(crate) struct Outlets {
    /// To the link.
    pub(crate) link: mpsc::Sender<link::Command>,
    /// What the next hello says.
    pub(crate) identity: watch::Sender<link::Identity>,
    /// Raised when reports were added.
    pub(crate) outbox: watch::Sender<u64>,
    /// What processes of the site can ask for.
    pub(crate) issued: watch::Sender<Arc<Issued>>,
}

/// What a site begins with.
pub(crate) struct Parts {
    /// Its name.
    pub(crate) id: SiteId,
    /// Its store.
    pub(crate) store: Arc<Store>,
    /// Counts the time.
    pub(crate) clock: Clock,
    /// The time that is trusted.
    pub(crate) time: SharedTime,
    /// Who is believed about what it is offered.
    pub(crate) vouchers: Vouchers,
    /// The apply machine.
    pub(crate) machine: Machine,
    /// How long after the start proxies that run may take to come back.
    pub(crate) returning: Now,
    /// Lowers and hands out.
    pub(crate) publisher: Publisher,
    /// Where its words go.
    pub(crate) out: Outlets,
    /// Where the last state is written for people.
    pub(crate) status_file: PathBuf,
    /// The Envoy that the supervisor has.
    pub(crate) envoy: Option<PathBuf>,
    /// What the site has, if it is enrolled.
    pub(crate) enrolment: Option<Arc<Enrolment>>,
    /// What is wrong with the files that hold it.
    pub(crate) identity_troubles: Vec<String>,
    /// Where the store is that was damaged, if this one is new in its place.
    pub(crate) damaged: Option<PathBuf>,
}

/// One site.
pub(crate) struct Site {
    id: SiteId,
    store: Arc<Store>,
    clock: Clock,
    trusted: SharedTime,
    /// Who is believed.
    vouchers: Vouchers,
    machine: Machine,
    returning: Now,
    publisher: Publisher,
    out: Outlets,
    status_file: PathBuf,
    envoy: Option<PathBuf>,
    /// What runs. Always verified.
    current: Option<Held>,
    /// What is being tried.
    candidate: Option<Held>,
    /// The candidate as it was lowered for a look, for the publication that follows.
    lowered: Option<Lowered>,
    /// What was lowered before, for the bundles that follow.
    lowerings: Lowerings,
    /// When the snapshots are to be written.
    snapshots_due: Option<Now>,
    /// What is being fetched.
    fetch: Option<Fetch>,
    /// The newest offer that came while another bundle was being tried.
    next_offer: Option<Box<skerry_proto::v1::Offer>>,
    /// What the core is to be asked for again.
    again: Again,
    /// The last bundle of which it was reported that the disk does not keep what became of it.
    not_kept: Option<Digest>,
    /// The last manifest that was refused, so that it is neither tried nor reported again.
    refused: Option<Refused>,
    workloads: Vec<Workload>,
    /// The workload folder could not be read: there may be more of them.
    workloads_are_partial: bool,
    workload_problems: Vec<String>,
    /// What proxies could not bind.
    unbound: Unbound,
    identities: Identities,
    launchers: BTreeMap<NamespacedName, LauncherState>,
    /// The folders of proxies that no launcher runs in, and since when.
    vacant: BTreeMap<ProxyDir, Now>,
    /// What the proxies' authorization counted.
    counts: Counts,
    reporter: Reporter,
    /// When the reports that wait in memory are to be written.
    flush_due: Option<Now>,
}

impl Site {
    /// Takes a letter.
    pub(crate) fn handle(&mut self, mail: Mail) {
        let now = self.clock.now();
        match mail {
            Mail::Link(event) => self.handle_link(now, event),
            Mail::Proxy(event) => self.handle_proxy(now, &event),
            Mail::Workloads(loaded) => self.handle_workloads(loaded),
            Mail::Enrolment(enrolment) => self.handle_enrolment(now, enrolment),
            Mail::Launchers(launchers) => self.handle_launchers(launchers),
            Mail::Counted(counts) => self.counts = counts,
            Mail::WorkloadApi(trouble) => self.identities.unserved = trouble,
            Mail::ClocksMoved => self.handle_clocks(now),
            Mail::Vacant(folders) => self.handle_vacant(now, folders),
        }
        self.reporter.handle_change(now);
        self.settle();
        self.settle_identities(now);
    }

    /// Returns when `handle_timeout` is due.
    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        let snapshots = self.snapshots_due.filter(|_| self.candidate.is_none());
        let (machine, reporter) = (self.machine.poll_timeout(), self.reporter.poll_timeout());
        let timers = [machine, reporter, self.unbound.poll_timeout(), snapshots];
        let fetch = self.fetch.as_ref().and_then(Fetch::poll_timeout);
        let more = [self.again.poll_timeout(), self.flush_due, fetch, self.poll_departed()];
        let more = more.into_iter().chain([self.identities.poll_timeout()]);
        timers.into_iter().chain(more).flatten().min()
    }

    /// The time of `poll_timeout` has come.
    pub(crate) fn handle_timeout(&mut self) {
        let now = self.clock.now();
        self.machine.handle_timeout(now);
        self.handle_again(now);
        self.handle_stall(now);
        self.handle_flush(now);
        self.delete_departed(now);
        if self.unbound.handle_timeout(now, bind::probe) {
            self.publish_again();
        }
        self.look_at_identities(now);
        self.settle();
        self.settle_identities(now);
        if self.snapshots_due.is_some_and(|due| due <= now) {
            self.write_snapshots();
        }
        self.report_state(now);
    }

    /// The agent is asked to end: what is put off is done now.
    pub(crate) fn handle_end(&mut self) {
        self.write_snapshots();
        self.stage_rest();
    }

    /// Carries out what the machine asks for; then takes the offer that waited for that.
    fn settle(&mut self) {
        loop {
            self.execute();
            let Some(offer) = self.next_offer.take_if(|_| self.machine.is_steady()) else { return };
            self.handle_offer(self.clock.now(), *offer);
        }
    }

    fn handle_link(&mut self, now: Now, event: link::Event) {
        match event {
            link::Event::Up => {
                info!("the core answers");
                self.reporter.handle_link(now, true);
            }
            link::Event::Down => {
                self.reporter.handle_link(now, false);
                if let Some(fetch) = &mut self.fetch {
                    info!(missing = fetch.missing(), "the link broke in the middle of a bundle");
                    fetch.handle_link_down();
                }
                self.stage_rest();
            }
            link::Event::Current => {
                self.set_fetch(None);
                self.again.handle_current();
            }
            link::Event::Offer(offer) => self.handle_offer(now, *offer),
            link::Event::Chunk(chunk) => self.handle_chunk(now, &chunk),
        }
    }

    fn handle_proxy(&mut self, now: Now, ads::Event { proxy, stream, news }: &ads::Event) {
        match news {
            ads::News::Connected => self.machine.handle_connected(proxy, *stream),
            ads::News::Acked(hash) => {
                self.machine.handle_acked(proxy, *stream, *hash);
                self.note_listening(proxy);
                self.note_taken();
            }
            ads::News::Refused(_, refusal) if self.unbound.handle_refusal(now, proxy, &refusal.detail) => {
                warn!(%proxy, "a listener is left out: {refusal}");
                self.publish_again();
            }
            ads::News::Refused(hash, refusal) => {
                warn!(%proxy, "Envoy refused: {refusal}");
                self.machine.handle_refused(proxy, *stream, *hash, &refusal.to_string());
            }
            ads::News::Gone => self.machine.handle_gone(proxy, *stream),
        }
    }

    fn handle_workloads(&mut self, loaded: workloads::Loaded) {
        info!(workloads = loaded.workloads.len(), problems = loaded.problems.len(), "workloads changed");
        for problem in &loaded.problems {
            warn!("{problem}");
        }
        self.note_kept(self.clock.now());
        self.workloads = loaded.workloads;
        self.workloads_are_partial = loaded.is_partial;
        self.workload_problems = loaded.problems;
        let proxied = self.workloads.iter().filter(|workload| workload.proxy.is_some());
        let names: BTreeSet<&NamespacedName> = proxied.map(|workload| &workload.name).collect();
        self.unbound.retain(|name| names.contains(name));
        self.publisher.set_proxied(names.into_iter());
        self.identities.minter.handle_workloads(&self.workloads);
        self.mint(self.clock.now());
        self.publish_again();
        if let Err(error) = self.store.put_workload_files(&loaded.files) {
            warn!("workload files are not kept: {error}");
        }
    }

    /// Reports the ends that the launchers counted, each once over the life of the store.
    fn handle_launchers(&mut self, launchers: BTreeMap<NamespacedName, LauncherState>) {
        for (name, state) in &launchers {
            if let Err(error) = self.report_ends(name, state) {
                warn!(proxy = %name, "its ends are not reported yet: {error}");
            }
        }
        self.launchers = launchers;
    }

    fn report_ends(&mut self, name: &NamespacedName, state: &LauncherState) -> Result<(), StoreError> {
        if self.launchers.get(name).is_some_and(|before| before.restarts == state.restarts) {
            return Ok(());
        }
        let (proxy, ends) = (name.to_string(), u64::from(state.restarts));
        let reported = self.store.reported_ends(&proxy)?;
        let detail = format!("proxy {name} ended: {} (end {ends})", state.last_exit);
        let event = (ends > reported)
            .then(|| report::of_event(Kind::ProxyExited, &self.manifest(), &detail, Stamp::now()));
        if ends != reported {
            self.store.append_ends(&proxy, ends, event)?;
            self.wake_reports();
        }
        Ok(())
    }

    /// The manifest that runs, or an empty one.
    fn manifest(&self) -> v1::Manifest {
        self.current.as_ref().map(|held| held.bundle.manifest.clone()).unwrap_or_default()
    }

    /// Hands a command to the link. One that finds no room, or no link, is said again after the
    /// next hello: the core then offers anew.
    fn tell_link(&self, command: link::Command) {
        if let Err(error) = self.out.link.try_send(command) {
            info!("not said to the core: {error}");
        }
    }

    fn publish_identity(&mut self) {
        let current = self.current.as_ref();
        let pace = current.map(|held| Pace::of_settings(&held.bundle.settings)).unwrap_or_default();
        self.reporter.handle_pace(pace);
        self.out.identity.send_replace(link::Identity {
            manifest: current.map(|held| held.slot.digest()),
            list: current.map(|held| held.slot.list_digest()),
            refused: self.refused.as_ref().map(|refused| refused.digest),
            pace,
            pending: self.pending(),
        });
    }

    fn report_event(&mut self, kind: Kind, manifest: &v1::Manifest, detail: &str) {
        let event = report::of_event(kind, manifest, detail, Stamp::now());
        self.keep_reports(vec![event]);
    }

    /// Keeps reports. Those that the disk does not take wait in memory, and are sent from there.
    fn keep_reports(&mut self, reports: Vec<Report>) {
        match self.store.append(reports) {
            Ok(()) => self.wake_reports(),
            Err(error) => {
                warn!("reports wait in memory: {error}");
                self.flush_later(self.clock.now());
                self.wake_link();
            }
        }
    }

    fn flush_later(&mut self, now: Now) {
        if !self.store.is_volatile() {
            self.flush_due.get_or_insert(now + FLUSH_EVERY);
        }
    }

    /// Writes what waits in memory, once that is due: the disk may take it now.
    fn handle_flush(&mut self, now: Now) {
        if self.flush_due.take_if(|due| *due <= now).is_none() {
            return;
        }
        match self.store.flush() {
            Ok(()) => {
                info!("the disk takes reports again");
                self.reporter.handle_change(now);
            }
            Err(_) => self.flush_later(now),
        }
    }

    fn wake_reports(&self) {
        step("agent.spool.queued");
        self.wake_link();
    }

    fn wake_link(&self) {
        self.out.outbox.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests;
