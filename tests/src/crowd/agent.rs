//! A simulated agent's side of the protocol, as a synchronous state machine. All that the simulator knows of the
//! messages is in this file.
//!
//! It says what a real agent without workloads says, in the same order. Must not wait, and must not know of streams.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use skerry_core::accept::{Floor, Terms, Verdict, accept};
use skerry_core::bundle::{SCHEMA, v1};
use skerry_core::id::{Digest, SiteId, Timestamp};
use skerry_core::verify::verify_list;
use skerry_proto::codec::list::Stepped;
use skerry_proto::codec::reports::Context as Packing;
use skerry_proto::codec::{Assembly, decode_list};
use skerry_proto::limits::{BOOT_BYTES, MAX_REPORTS, PROTOCOL};
use skerry_proto::v1::site_event::Kind;
use skerry_proto::v1::sync_request::Message as Request;
use skerry_proto::v1::sync_response::Message as Response;
use skerry_proto::v1::{
    Applied, Chunk, Hello, Need, Offer, Report, Reports, SiteEvent, SiteState, SyncRequest, SyncResponse,
    report::Body,
};

use super::pool::Pool;

/// What a site runs.
#[derive(Debug, Clone)]
struct Held {
    digest: Digest,
    manifest: v1::Manifest,
    list: Arc<v1::FragmentList>,
}

/// A bundle that is coming in.
#[derive(Debug)]
struct Fetch {
    next: Held,
    /// The offer: its number and its manifest.
    offer: (u32, Vec<u8>),
    /// `None`: another agent has checked this fragment, so its bytes need not be kept.
    missing: BTreeMap<Digest, Option<Assembly>>,
}

/// One site's agent.
#[derive(Debug)]
pub(super) struct Agent {
    site: SiteId,
    boot: [u8; BOOT_BYTES],
    runs: Option<Held>,
    fetch: Option<Fetch>,
    /// Reports that are not acknowledged, oldest first.
    outbox: VecDeque<Report>,
    seq: u64,
    /// How reports are packed on the stream as it is now.
    packing: Packing,
    /// Reports were sent, and the core has said nothing of them yet.
    is_reporting: bool,
    /// How often it said hello.
    attempt: u32,
}

/// What a response means.
#[derive(Debug)]
pub(super) enum Heard {
    /// The site runs what it shall run.
    Current,
    /// This is to be answered.
    Say(SyncRequest),
    /// It runs something new: this is to be answered, with its reports.
    Runs(SyncRequest),
    /// The core has kept reports.
    Kept,
    /// The core could not keep reports: they are to be sent again after this time.
    NotKept(Duration),
    /// Nothing for now.
    Nothing,
    /// It is to hang up and come back after this time.
    ComeBack(Duration, String),
}

impl Agent {
    /// Makes the agent of a site; no other agent of this process has the same number.
    pub(super) fn new(site: SiteId, number: usize) -> Self {
        let mut boot = [0; BOOT_BYTES];
        boot[..8].copy_from_slice(&(number as u64).to_be_bytes());
        boot[8..].copy_from_slice(&rand::random::<[u8; BOOT_BYTES - 8]>());
        let (outbox, packing) = (VecDeque::new(), Packing::default());
        Self { site, boot, runs: None, fetch: None, outbox, seq: 0, packing, is_reporting: false, attempt: 0 }
    }

    /// Its site.
    pub(super) fn site(&self) -> &SiteId {
        &self.site
    }

    /// The first message.
    pub(super) fn hello(&mut self) -> SyncRequest {
        (self.packing, self.is_reporting) = (Packing::default(), false);
        self.attempt += 1;
        let held = self.runs.as_ref();
        let place = held.map_or((0, 0), |held| (held.manifest.epoch, held.manifest.generation));
        let hello = Hello {
            protocol: PROTOCOL,
            site: self.site.to_string(),
            manifest: held.map(|held| held.digest.prefix().as_bytes().to_vec()).unwrap_or_default(),
            list: held.map(|held| held.manifest.list[..8].to_vec()).unwrap_or_default(),
            schema: SCHEMA,
            boot: self.boot.to_vec(),
            epoch: place.0,
            generation: place.1,
            attempt: self.attempt,
            ..Hello::default()
        };
        SyncRequest { message: Some(Request::Hello(hello)), ..SyncRequest::default() }
    }

    /// The revision of what the site runs; empty before the first bundle.
    pub(super) fn revision(&self) -> &str {
        self.runs.as_ref().map_or("", |held| &held.manifest.revision)
    }

    /// The link is down: what was asked for does not come.
    pub(super) fn handle_link_down(&mut self) {
        self.fetch = None;
    }

    /// Takes a message of the core.
    ///
    /// # Errors
    /// The core said what no core may say.
    pub(super) fn handle_response(&mut self, response: SyncResponse, pool: &Pool) -> Result<Heard> {
        if response.reports_retry_seconds > 0 {
            return Ok(Heard::NotKept(Duration::from_secs(response.reports_retry_seconds.into())));
        }
        if response.acknowledged > 0 {
            self.is_reporting = false;
            self.outbox.retain(|report| report.seq > response.acknowledged);
        }
        match response.message {
            Some(Response::Current(_)) => {
                ensure!(self.runs.is_some(), "{}: has nothing, and is told that it is current", self.site);
                Ok(Heard::Current)
            }
            Some(Response::Offer(offer)) => self.handle_offer(offer, pool),
            Some(Response::Chunk(chunk)) => self.handle_chunk(&chunk, pool),
            Some(Response::RetryAfter(retry)) => {
                Ok(Heard::ComeBack(Duration::from_secs(retry.seconds.into()), retry.reason))
            }
            None if response.acknowledged > 0 => Ok(Heard::Kept),
            None => Ok(Heard::Nothing),
        }
    }

    fn handle_offer(&mut self, offer: Offer, pool: &Pool) -> Result<Heard> {
        let floor = self.runs.as_ref().map(|Held { manifest, digest, .. }| Floor {
            epoch: manifest.epoch,
            generation: manifest.generation,
            manifest: *digest,
        });
        let accepted = match accept(&offer.manifest, &Terms { site: &self.site, floor, now: Timestamp(0) })? {
            Verdict::Same => bail!("{}: offered what it runs", self.site),
            Verdict::Newer(accepted) => accepted,
        };
        let Stepped { list, fragments } = self.take_step(&offer, &accepted.manifest, pool)?;
        let digest = Digest::from_slice(&accepted.manifest.list)?;
        let next =
            Held { digest: accepted.digest, manifest: accepted.manifest, list: pool.list(digest, list) };
        let mut missing = self.missing(&next.list, pool)?;
        for (id, bytes) in fragments {
            if missing.remove(&id).is_some_and(|assembly| assembly.is_some()) {
                pool.keep(id, bytes.to_vec());
            }
        }
        let wants = missing.iter().map(|(id, assembly)| match assembly {
            Some(assembly) => assembly.want(),
            None => Assembly::resume(*id, Vec::new()).want(),
        });
        let need = Need { fragments: wants.collect() };
        self.fetch = Some(Fetch { next, offer: (offer.number, offer.manifest), missing });
        if need.fragments.is_empty() {
            return Ok(self.advance());
        }
        Ok(Heard::Say(SyncRequest { message: Some(Request::Need(need)), ..SyncRequest::default() }))
    }

    fn take_step(&self, offer: &Offer, manifest: &v1::Manifest, pool: &Pool) -> Result<Stepped> {
        let delta = offer
            .list
            .as_ref()
            .context("a list that does not fit into an offer is not fetched here: take a smaller world")?;
        let nothing = v1::FragmentList::default();
        let base = if delta.base.is_empty() {
            &nothing
        } else {
            let own = self.runs.as_ref().filter(|held| held.manifest.list[..8] == delta.base[..]);
            &own.with_context(|| format!("{}: an offer builds on another list", self.site))?.list
        };
        let stepped = decode_list(delta, &offer.fragments, base, |id| pool.fragment(id))?;
        verify_list(manifest, &stepped.list.encode_to_vec())?;
        Ok(stepped)
    }

    /// What a list names and the site does not have.
    fn missing(&self, list: &v1::FragmentList, pool: &Pool) -> Result<BTreeMap<Digest, Option<Assembly>>> {
        let own: BTreeMap<&str, &[u8]> = self
            .runs
            .iter()
            .flat_map(|held| &held.list.fragments)
            .map(|entry| (entry.key.as_str(), entry.id.as_slice()))
            .collect();
        let news = list.fragments.iter().filter(|entry| own.get(entry.key.as_str()) != Some(&&*entry.id));
        news.map(|entry| {
            let id = Digest::from_slice(&entry.id)?;
            let assembly = pool.fragment(&id).is_none().then(|| Assembly::resume(id, Vec::new()));
            Ok((id, assembly))
        })
        .collect()
    }

    fn handle_chunk(&mut self, chunk: &Chunk, pool: &Pool) -> Result<Heard> {
        let Some(fetch) = &mut self.fetch else { return Ok(Heard::Nothing) };
        let id = Digest::from_slice(&chunk.id)?;
        let assembly = fetch.missing.get_mut(&id);
        let assembly = assembly.with_context(|| format!("{}: a chunk that nobody asked for", self.site))?;
        if let Some(bytes) = assembly.as_mut().map(|assembly| assembly.accept(chunk)).transpose()?.flatten() {
            pool.keep(id, bytes);
        }
        if chunk.last {
            fetch.missing.remove(&id);
        }
        Ok(self.advance())
    }

    /// Runs what came in, if all of it is here.
    fn advance(&mut self) -> Heard {
        let Some(fetch) = self.fetch.take_if(|fetch| fetch.missing.is_empty()) else { return Heard::Nothing };
        let Held { manifest, .. } = &fetch.next;
        let (number, offered) = fetch.offer;
        let applied = Applied { offer: number, refused: String::new() };
        let event = SiteEvent {
            kind: Kind::Applied.into(),
            generation: manifest.generation,
            revision: manifest.revision.clone(),
            detail: String::new(),
        };
        self.runs = Some(fetch.next);
        self.put(Body::Event(event));
        self.handle_state_due();
        let reports = self.pack(Some(&offered)).unwrap_or_default();
        Heard::Runs(SyncRequest {
            message: Some(Request::Applied(applied)),
            reports,
            ..SyncRequest::default()
        })
    }

    /// Returns the reports that wait, if there are any and none are under way.
    pub(super) fn poll_reports(&mut self) -> Option<SyncRequest> {
        let reports = self.pack(None)?;
        Some(SyncRequest { reports, ..SyncRequest::default() })
    }

    /// What was sent is to be sent again.
    pub(super) fn handle_report_again(&mut self) {
        self.is_reporting = false;
    }

    fn pack(&mut self, manifest: Option<&[u8]>) -> Option<Vec<u8>> {
        if self.is_reporting || self.outbox.is_empty() {
            return None;
        }
        self.is_reporting = true;
        let reports = self.outbox.iter().take(MAX_REPORTS).cloned().collect();
        self.packing.pack(&Reports { sent_at_ms: wall_ms(), reports }, manifest).ok()
    }

    /// The state is due.
    pub(super) fn handle_state_due(&mut self) {
        let held = self.runs.clone();
        let manifest = held.as_ref().map(|held| held.manifest.clone()).unwrap_or_default();
        let state = SiteState {
            manifest: held.map(|held| held.digest.as_bytes().to_vec()).unwrap_or_default(),
            epoch: manifest.epoch,
            generation: manifest.generation,
            revision: manifest.revision,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            ..SiteState::default()
        };
        self.put(Body::State(state));
    }

    fn put(&mut self, body: Body) {
        self.seq += 1;
        self.outbox.push_back(Report {
            seq: self.seq,
            observed_at_ms: wall_ms(),
            body: Some(body),
            ..Default::default()
        });
    }

    /// Says whether reports wait.
    pub(super) fn has_reports(&self) -> bool {
        !self.outbox.is_empty()
    }
}

#[expect(clippy::disallowed_methods, reason = "what agents say of their clock")]
fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
