//! A core of the test's own: offers one bundle, answers wants, keeps what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use skerry_core::bundle::v1::FragmentList;
use skerry_core::id::Digest;
use skerry_proto::codec::{chunk_at, compress_fragment, encode_fragment};
use skerry_proto::v1::pull_response::Outcome;
use skerry_proto::v1::site_sync_server::{SiteSync, SiteSyncServer};
use skerry_proto::v1::sync_request::Message as Asked;
use skerry_proto::v1::sync_response::Message as Said;
use skerry_proto::v1::{
    Applied, Chunk, Current, Hello, ListDelta, Need, Offer, PullRequest, PullResponse, Report, ReportRequest,
    ReportResponse, RetryAfter, SiteState, SyncRequest, SyncResponse, report,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::bundle::Published;

/// What the core was told, and what it shall do.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) hellos: Vec<Hello>,
    pub(crate) applied: Vec<Applied>,
    pub(crate) reports: BTreeMap<u64, Report>,
    pub(crate) wants: usize,
    /// Send the site away this often.
    pub(crate) busy: u32,
    /// Fragments ride in offers, or have to be asked for.
    pub(crate) inline: bool,
    /// Cut chunks to so many bytes, and drop the stream after this many; 0 is never.
    pub(crate) break_after: usize,
}

impl Log {
    /// The newest state that was reported.
    pub(crate) fn state(&self) -> Option<SiteState> {
        self.reports.values().rev().find_map(|report| match &report.body {
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
        self.reports.values().filter_map(event).collect()
    }
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
            server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap();
        });
    }

    /// Goes away: every connection breaks.
    pub(crate) async fn stop(&mut self) {
        self.server.shutdown().await;
        self.shared.streams.lock().unwrap().abort_all();
    }

    /// Comes back at the same address.
    pub(crate) async fn resume(&mut self) {
        self.serve(TcpListener::bind(self.address).await.unwrap());
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
        log.applied
            .iter()
            .rev()
            .find(|applied| applied.manifest == digest.as_bytes())
            .map(|applied| applied.refused.clone())
    }
}

impl Shared {
    fn answer(&self, running: &[u8]) -> Option<Said> {
        let published = self.published.borrow().clone()?;
        if published.digest().as_bytes()[..] == *running {
            return Some(Said::Current(Current { manifest: running.to_vec() }));
        }
        let list: FragmentList = prost::Message::decode(&*published.contents.list).unwrap();
        let fragments = if self.log.lock().unwrap().inline {
            published.contents.fragments.iter().map(|fragment| encode_fragment(fragment, None)).collect()
        } else {
            Vec::new()
        };
        let list = ListDelta { upserts: list.fragments, ..Default::default() };
        Some(Said::Offer(Offer { manifest: published.manifest.clone(), list: Some(list), fragments }))
    }

    fn chunks(&self, need: &Need) -> Vec<Chunk> {
        let Some(published) = self.published.borrow().clone() else { return Vec::new() };
        let room = if self.log.lock().unwrap().break_after > 0 { 40 } else { usize::MAX };
        let mut chunks = Vec::new();
        for want in &need.fragments {
            let id = Digest::from_slice(&want.id).unwrap();
            let Some(fragment) = published.contents.fragments.iter().find(|fragment| fragment.id == id)
            else {
                continue;
            };
            let encoded = compress_fragment(&fragment.bytes).unwrap();
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

    fn is_busy(&self) -> Option<RetryAfter> {
        let mut log = self.log.lock().unwrap();
        log.busy = log.busy.checked_sub(1)?;
        Some(RetryAfter { seconds: 1, reason: "busy".into() })
    }

    async fn talk(self, mut stream: Streaming<SyncRequest>, out: mpsc::Sender<Result<SyncResponse, Status>>) {
        let mut published = self.published.subscribe();
        let mut running = Vec::new();
        loop {
            let said = tokio::select! {
                asked = stream.message() => match asked.ok().flatten().and_then(|request| request.message) {
                    None => return,
                    Some(Asked::Hello(hello)) => {
                        running.clone_from(&hello.manifest);
                        self.log.lock().unwrap().hellos.push(hello);
                        published.mark_unchanged();
                        let busy = self.is_busy().map(Said::RetryAfter);
                        busy.or_else(|| self.answer(&running)).into_iter().collect()
                    }
                    Some(Asked::Need(need)) => {
                        self.log.lock().unwrap().wants += need.fragments.len();
                        self.chunks(&need).into_iter().map(Said::Chunk).collect::<Vec<_>>()
                    }
                    Some(Asked::Applied(applied)) => {
                        if applied.refused.is_empty() {
                            running.clone_from(&applied.manifest);
                        }
                        self.log.lock().unwrap().applied.push(applied);
                        Vec::new()
                    }
                },
                _ = published.changed() => self.answer(&running).into_iter().collect(),
            };
            if self.say(said, &out).await.is_none() {
                return;
            }
        }
    }

    async fn say(&self, said: Vec<Said>, out: &mpsc::Sender<Result<SyncResponse, Status>>) -> Option<()> {
        let break_after = std::mem::take(&mut self.log.lock().unwrap().break_after);
        let is_chunks = matches!(said.first(), Some(Said::Chunk(_)));
        for (at, message) in said.into_iter().enumerate() {
            if is_chunks && break_after > 0 && at >= break_after {
                return None;
            }
            out.send(Ok(SyncResponse { message: Some(message) })).await.ok()?;
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
        let (out, responses) = mpsc::channel(16);
        self.streams.lock().unwrap().spawn(self.clone().talk(request.into_inner(), out));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }

    async fn pull(&self, request: Request<PullRequest>) -> Result<Response<PullResponse>, Status> {
        let PullRequest { hello, need } = request.into_inner();
        let hello = hello.unwrap_or_default();
        let outcome = match self.answer(&hello.manifest) {
            Some(Said::Offer(offer)) => Some(Outcome::Offer(offer)),
            Some(Said::Current(current)) => Some(Outcome::Current(current)),
            _ => None,
        };
        self.log.lock().unwrap().hellos.push(hello);
        let chunks = need.map(|need| self.chunks(&need)).unwrap_or_default();
        Ok(Response::new(PullResponse { outcome, chunks }))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let mut log = self.log.lock().unwrap();
        let mut acknowledged = 0;
        for report in request.into_inner().reports {
            acknowledged = report.seq;
            log.reports.insert(report.seq, report);
        }
        Ok(Response::new(ReportResponse { acknowledged }))
    }
}
