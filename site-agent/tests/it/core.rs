//! A core of the test's own: offers one bundle, answers wants, keeps what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use skerry_core::id::Digest;
use skerry_identity::envelope::{PayloadType, Signatures, sign};
use skerry_identity::key::SigningKey;
use skerry_proto::codec::list::Step;
use skerry_proto::codec::reports::Context;
use skerry_proto::codec::{chunk_at, compress_fragment, encode_list};
use skerry_proto::limits::BOOT_STORE_BYTES;
use skerry_proto::v1::pull_response::Outcome;
use skerry_proto::v1::site_sync_server::{SiteSync, SiteSyncServer};
use skerry_proto::v1::sync_request::Message as Asked;
use skerry_proto::v1::sync_response::Message as Said;
use skerry_proto::v1::{
    Chunk, Current, FragmentData, Hello, Need, Offer, PolicyProof, PullRequest, PullResponse, Report,
    ReportRequest, ReportResponse, RetryAfter, SiteState, SyncRequest, SyncResponse, report,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::bundle::Published;
use crate::site::SIGNING;
use crate::tls_core;

/// What the core was told, and what it shall do.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) hellos: Vec<Hello>,
    /// What became of which manifest; no words: it runs.
    pub(crate) applied: Vec<(Digest, String)>,
    /// In the order in which they came, each with the store that it is of; a repetition is none.
    pub(crate) reports: Vec<(Vec<u8>, Report)>,
    pub(crate) wants: usize,
    /// Send the site away this often.
    pub(crate) busy: u32,
    /// Fragments ride in offers, or have to be asked for.
    pub(crate) inline: bool,
    /// Cut chunks to so many bytes, and drop the stream after this many; 0 is never.
    pub(crate) break_after: usize,
    /// What becomes of fragments on their way.
    pub(crate) damage: Damage,
    /// Turn the agent away with these words, as one that is too old.
    pub(crate) refusal: Option<&'static str>,
    /// Offers are longer by so many bytes.
    pub(crate) excess: usize,
    /// Say something before each message that only newer agents know.
    pub(crate) is_newer: bool,
    /// Refuse every request that holds an event with this in its words.
    pub(crate) dislikes: Option<&'static str>,
    /// How many requests were turned away or refused.
    pub(crate) turned_away: usize,
    /// Who signs manifests.
    pub(crate) signer: Signer,
    /// What policy keys say of what is offered.
    pub(crate) proof: Option<PolicyProof>,
}

/// Who signs manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The key of the trust root.
    #[default]
    Core,
    /// Another key.
    Stranger,
    /// The key of the trust root, something else.
    OtherContent,
    /// The key of the trust root, for another purpose.
    OtherPurpose,
    /// Nobody.
    Nobody,
    /// Somebody who writes no signatures.
    Noise,
}

impl Signer {
    fn sign(self, manifest: &[u8]) -> Vec<u8> {
        let stranger = SigningKey::generate().unwrap();
        let (key, purpose, content) = match self {
            Self::Core => (&*SIGNING, PayloadType::Manifest, manifest),
            Self::Stranger => (&stranger, PayloadType::Manifest, manifest),
            Self::OtherContent => (&*SIGNING, PayloadType::Manifest, &b"another"[..]),
            Self::OtherPurpose => (&*SIGNING, PayloadType::TrustRoot, manifest),
            Self::Nobody => return Vec::new(),
            Self::Noise => return vec![7; 71],
        };
        Signatures::from_iter([sign(purpose, content, key).unwrap()]).to_bytes()
    }
}

/// What may become of a fragment on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Damage {
    #[default]
    None,
    /// A bit is another one.
    Altered,
    /// The second half is missing.
    Truncated,
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Altered => bytes.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1),
            Self::Truncated => bytes.truncate(bytes.len() / 2),
        }
    }
}

impl Log {
    /// Keeps reports of a run; returns the highest number.
    fn keep(&mut self, boot: &[u8], reports: Vec<Report>) -> Result<u64, Status> {
        let is_disliked = |words: &str| reports.iter().any(|report| format!("{report:?}").contains(words));
        if self.dislikes.is_some_and(is_disliked) {
            self.turned_away += 1;
            let mut status = Status::invalid_argument("a report breaks a rule");
            let first = reports.first().map_or(0, |report| report.seq);
            status.metadata_mut().insert(skerry_proto::REFUSED_REPORT, first.into());
            return Err(status);
        }
        let store = boot[..BOOT_STORE_BYTES].to_vec();
        let acknowledged = reports.last().map_or(0, |report| report.seq);
        for report in reports {
            if !self.reports.iter().any(|(of, before)| *of == store && before.seq == report.seq) {
                self.reports.push((store.clone(), report));
            }
        }
        Ok(acknowledged)
    }

    /// The newest state that was reported.
    pub(crate) fn state(&self) -> Option<SiteState> {
        self.reports.iter().rev().find_map(|(_, report)| match &report.body {
            Some(report::Body::State(state)) => Some(state.clone()),
            _ => None,
        })
    }

    /// The kinds and details of all events.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let event = |report: &Report| match &report.body {
            Some(report::Body::Event(event)) => Some((
                event.kind().as_str_name().trim_start_matches("KIND_").to_owned(),
                event.detail.clone(),
            )),
            _ => None,
        };
        self.reports.iter().filter_map(|(_, report)| event(report)).collect()
    }

    /// The highest number of a report.
    pub(crate) fn last_report(&self) -> u64 {
        self.reports.iter().map(|(_, report)| report.seq).max().unwrap_or_default()
    }
}

/// What the core knows of one stream.
#[derive(Default)]
struct Talk {
    /// The run of the agent.
    boot: Vec<u8>,
    /// What the site runs, as its hello says it.
    running: Vec<u8>,
    /// The manifests that were offered.
    offers: BTreeMap<u32, Vec<u8>>,
    context: Context,
}

#[derive(Clone)]
struct Shared {
    log: Arc<Mutex<Log>>,
    published: watch::Sender<Option<Published>>,
    streams: Arc<Mutex<JoinSet<()>>>,
}

/// A core that can be stopped and started again at its address.
pub(crate) struct Core {
    pub(crate) address: SocketAddr,
    shared: Shared,
    server: JoinSet<()>,
}

impl Core {
    /// Starts one on a free port.
    pub(crate) async fn start() -> Self {
        let log = Log { inline: true, ..Log::default() };
        let shared = Shared {
            log: Arc::new(Mutex::new(log)),
            published: watch::Sender::new(None),
            streams: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut core = Self { address: listener.local_addr().unwrap(), shared, server: JoinSet::new() };
        core.serve(listener);
        core
    }

    fn serve(&mut self, listener: TcpListener) {
        let service = SiteSyncServer::new(self.shared.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        self.server.spawn(async move {
            server.serve_with_incoming(tls_core::accept(listener)).await.unwrap();
        });
    }

    /// Listens without TLS too: as any service that speaks gRPC.
    pub(crate) async fn listen_plainly(&mut self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = SiteSyncServer::new(self.shared.clone());
        let server = tonic::transport::Server::builder().add_service(service);
        self.server.spawn(async move {
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
        address
    }

    /// Goes away: every connection breaks.
    pub(crate) async fn stop(&mut self) {
        self.server.shutdown().await;
        self.shared.streams.lock().unwrap().abort_all();
    }

    /// Comes back at the same address.
    pub(crate) async fn resume(&mut self) {
        // What accepted before it is on its way out.
        let listener = crate::eventually::eventually("its address is free", async || {
            TcpListener::bind(self.address).await.ok()
        });
        let listener = listener.await;
        self.serve(listener);
    }

    /// Offers a bundle from now on.
    pub(crate) fn publish(&self, published: &Published) {
        self.shared.published.send_replace(Some(published.clone()));
    }

    /// What the core was told.
    pub(crate) fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap()
    }

    /// Whether the site said of this bundle that it runs it, or why not.
    pub(crate) fn verdict(&self, published: &Published) -> Option<String> {
        let digest = published.digest();
        let log = self.log();
        log.applied.iter().rev().find(|(manifest, _)| *manifest == digest).map(|(_, refused)| refused.clone())
    }
}

impl Shared {
    fn answer(&self, running: &[u8]) -> Option<Said> {
        let published = self.published.borrow().clone()?;
        if published.digest().prefix().as_bytes()[..] == *running {
            return Some(Said::Current(Current {}));
        }
        let log = self.log.lock().unwrap();
        let room = if log.inline { usize::MAX } else { 0 };
        let Step { list, mut fragments } = encode_list(None, &[], &published.contents.fragments, room);
        fragments.iter_mut().for_each(|fragment| log.damage.apply(&mut fragment.data));
        if log.excess > 0 {
            let data = vec![7; log.excess];
            fragments.push(FragmentData { data, ..FragmentData::default() });
        }
        let manifest = published.manifest.clone();
        let signatures = log.signer.sign(&manifest);
        let (list, policy) = (Some(list), log.proof.clone());
        Some(Said::Offer(Offer { manifest, list, fragments, signatures, policy, ..Offer::default() }))
    }

    /// A hello says what the site runs: it counts as a word on that bundle, which may have been lost with the last stream.
    fn hear_of_running(&self, running: &[u8]) {
        let digest = self.published.borrow().as_ref().map(Published::digest);
        let runs = digest.filter(|digest| digest.prefix().as_bytes()[..] == *running);
        self.log.lock().unwrap().applied.extend(runs.map(|digest| (digest, String::new())));
    }

    fn chunks(&self, need: &Need) -> Vec<Chunk> {
        let Some(published) = self.published.borrow().clone() else { return Vec::new() };
        let (room, damage) = {
            let log = self.log.lock().unwrap();
            (if log.break_after > 0 { 40 } else { usize::MAX }, log.damage)
        };
        let mut chunks = Vec::new();
        for want in &need.fragments {
            let id = Digest::from_slice(&want.id).unwrap();
            let Some(fragment) = published.contents.fragments.iter().find(|fragment| fragment.id == id)
            else {
                continue;
            };
            let mut encoded = compress_fragment(&fragment.bytes).unwrap();
            damage.apply(&mut encoded);
            let mut offset = want.offset;
            loop {
                let chunk = chunk_at(&id, &encoded, offset, room);
                offset += chunk.data.len() as u64;
                let is_last = chunk.last;
                chunks.push(chunk);
                if is_last {
                    break;
                }
            }
        }
        chunks
    }

    fn check_release(&self) -> Result<(), Status> {
        let mut log = self.log.lock().unwrap();
        let Some(words) = log.refusal else { return Ok(()) };
        log.turned_away += 1;
        Err(Status::failed_precondition(words))
    }

    fn is_busy(&self) -> Option<RetryAfter> {
        let mut log = self.log.lock().unwrap();
        log.busy = log.busy.checked_sub(1)?;
        Some(RetryAfter { seconds: 1, reason: "busy".into() })
    }

    async fn talk(self, mut stream: Streaming<SyncRequest>, out: mpsc::Sender<Result<SyncResponse, Status>>) {
        let mut published = self.published.subscribe();
        let mut talk = Talk::default();
        loop {
            let said = tokio::select! {
                asked = stream.message() => match self.take(&mut talk, asked.ok().flatten(), &out).await {
                    None => return,
                    Some(None) => Vec::new(),
                    Some(Some(Asked::Hello(hello))) => {
                        talk.running.clone_from(&hello.manifest);
                        talk.boot.clone_from(&hello.boot);
                        self.hear_of_running(&hello.manifest);
                        self.log.lock().unwrap().hellos.push(hello);
                        published.mark_unchanged();
                        let busy = self.is_busy().map(Said::RetryAfter);
                        busy.or_else(|| self.answer(&talk.running)).into_iter().collect()
                    }
                    Some(Some(Asked::Need(need))) => {
                        self.log.lock().unwrap().wants += need.fragments.len();
                        self.chunks(&need).into_iter().map(Said::Chunk).collect::<Vec<_>>()
                    }
                    Some(Some(Asked::Applied(applied))) => {
                        let manifest = Digest::of(&talk.offers[&applied.offer]);
                        if applied.refused.is_empty() {
                            talk.running = manifest.prefix().as_bytes().to_vec();
                        }
                        self.log.lock().unwrap().applied.push((manifest, applied.refused));
                        Vec::new()
                    }
                },
                _ = published.changed() => self.answer(&talk.running).into_iter().collect(),
            };
            if self.say(&mut talk, said, &out).await.is_none() {
                return;
            }
        }
    }

    /// Keeps the reports of a request, and says so; returns its message.
    async fn take(
        &self,
        talk: &mut Talk,
        request: Option<SyncRequest>,
        out: &mpsc::Sender<Result<SyncResponse, Status>>,
    ) -> Option<Option<Asked>> {
        let SyncRequest { message, reports, .. } = request?;
        if !reports.is_empty() {
            let runs = match &message {
                Some(Asked::Applied(applied)) if applied.refused.is_empty() => {
                    talk.offers.get(&applied.offer).map(Vec::as_slice)
                }
                _ => None,
            };
            let reports = talk.context.unpack(&reports, runs).unwrap().reports;
            let kept = self.log.lock().unwrap().keep(&talk.boot, reports);
            let is_over = kept.is_err();
            let said = kept.map(|acknowledged| SyncResponse { acknowledged, ..SyncResponse::default() });
            out.send(said).await.ok().filter(|()| !is_over)?;
        }
        Some(message)
    }

    async fn say(
        &self,
        talk: &mut Talk,
        said: Vec<Said>,
        out: &mpsc::Sender<Result<SyncResponse, Status>>,
    ) -> Option<()> {
        let break_after = std::mem::take(&mut self.log.lock().unwrap().break_after);
        let is_chunks = matches!(said.first(), Some(Said::Chunk(_)));
        let is_newer = self.log.lock().unwrap().is_newer;
        for (at, mut message) in said.into_iter().enumerate() {
            if let Said::Offer(offer) = &mut message {
                offer.number = u32::try_from(talk.offers.len()).unwrap() + 1;
                talk.offers.insert(offer.number, offer.manifest.clone());
            }
            if is_chunks && break_after > 0 && at >= break_after {
                return None;
            }
            if is_newer {
                // A message that is not known is read as none.
                out.send(Ok(SyncResponse::default())).await.ok()?;
            }
            out.send(Ok(SyncResponse { message: Some(message), ..SyncResponse::default() })).await.ok()?;
        }
        if !is_chunks {
            self.log.lock().unwrap().break_after = break_after;
        }
        Some(())
    }
}

#[tonic::async_trait]
impl SiteSync for Shared {
    type SyncStream = Pin<Box<dyn Stream<Item = Result<SyncResponse, Status>> + Send>>;

    async fn sync(
        &self,
        request: Request<Streaming<SyncRequest>>,
    ) -> Result<Response<Self::SyncStream>, Status> {
        self.check_release()?;
        let (out, responses) = mpsc::channel(16);
        self.streams.lock().unwrap().spawn(self.clone().talk(request.into_inner(), out));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn pull(&self, request: Request<PullRequest>) -> Result<Response<PullResponse>, Status> {
        self.check_release()?;
        let PullRequest { hello, need } = request.into_inner();
        let hello = hello.unwrap_or_default();
        let outcome = match self.answer(&hello.manifest) {
            Some(Said::Offer(offer)) => Some(Outcome::Offer(offer)),
            Some(Said::Current(current)) => Some(Outcome::Current(current)),
            _ => None,
        };
        self.log.lock().unwrap().hellos.push(hello);
        let chunks = need.map(|need| self.chunks(&need)).unwrap_or_default();
        Ok(Response::new(PullResponse { outcome, chunks, trust: None }))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let ReportRequest { boot, reports, .. } = request.into_inner();
        let acknowledged = self.log.lock().unwrap().keep(&boot, reports)?;
        Ok(Response::new(ReportResponse { acknowledged }))
    }
}
