//! Idle days and silent peers, in virtual time: the real client and a real server over a wire of memory.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures::future::{Ready, ready as at_once};
use hyper_util::rt::TokioIo;
use skerry_core::pace::ASK_BYTES;
use skerry_core::policy::site::{Uplink, UplinkClass};
use skerry_proto::v1::site_sync_server::{SiteSync, SiteSyncServer};
use skerry_proto::v1::{
    Current, PullRequest, PullResponse, ReportRequest, ReportResponse, SyncRequest, SyncResponse,
    sync_response::Message,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::codegen::{BoxStream, Service, http::Uri};
use tonic::{Request, Response, Status, Streaming};

use super::*;

const CLASSES: [UplinkClass; 4] =
    [UplinkClass::Broadband, UplinkClass::Metered, UplinkClass::Satellite, UplinkClass::Intermittent];

const DAY: Duration = Duration::from_secs(86_400);

/// What each packet has around it: IPv4, TCP with timestamps, and a TLS record.
const AROUND: u64 = 52 + 22;

/// An acknowledgement of its own.
const ACKNOWLEDGEMENT: u64 = 52;

/// What a wire has carried, and whether it still does.
#[derive(Debug, Default)]
struct Gauge {
    bytes: AtomicU64,
    is_dead: AtomicBool,
}

/// The client's end of a wire.
struct Wire(DuplexStream, Arc<Gauge>);

impl Wire {
    /// Counts what crosses: each write and each read is a packet, and each read is acknowledged by itself.
    fn count(&self, payload: usize, beside: u64) {
        self.1.bytes.fetch_add(payload as u64 + AROUND + beside, Ordering::Relaxed);
    }

    fn is_dead(&self) -> bool {
        self.1.is_dead.load(Ordering::Relaxed)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_dead() {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, buffer))?;
        self.count(buffer.filled().len() - before, ACKNOWLEDGEMENT);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_dead() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = ready!(Pin::new(&mut self.0).poll_write(context, bytes))?;
        self.count(written, 0);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Connects once, to a wire.
struct Once(Option<Wire>);

impl Service<Uri> for Once {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = Ready<io::Result<TokioIo<Wire>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        at_once(self.0.take().map(TokioIo::new).ok_or_else(|| io::Error::other("the wire is taken")))
    }
}

/// A core that says "current" and nothing more.
struct Quiet;

#[tonic::async_trait]
impl SiteSync for Quiet {
    type SyncStream = BoxStream<SyncResponse>;

    async fn sync(&self, _: Request<Streaming<SyncRequest>>) -> Result<Response<Self::SyncStream>, Status> {
        let message = Some(Message::Current(Current {}));
        let current = SyncResponse { message, ..SyncResponse::default() };
        let (first, nothing) = (tokio_stream::once(Ok(current)), tokio_stream::pending());
        Ok(Response::new(Box::pin(tokio_stream::StreamExt::chain(first, nothing))))
    }

    async fn pull(&self, _: Request<PullRequest>) -> Result<Response<PullResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }

    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

/// A stream that is up and idle, as an agent with this pace has it.
struct Idle {
    stream: Streaming<SyncResponse>,
    gauge: Arc<Gauge>,
    _server: JoinSet<()>,
}

impl Idle {
    async fn with(pace: Pace) -> Self {
        let (near, far) = tokio::io::duplex(64 << 10);
        let mut server = JoinSet::new();
        let serving = tonic::transport::Server::builder().add_service(SiteSyncServer::new(Quiet));
        let incoming = tokio_stream::StreamExt::chain(
            tokio_stream::once(Ok::<_, io::Error>(far)),
            tokio_stream::pending(),
        );
        server.spawn(async move { serving.serve_with_incoming(incoming).await.unwrap() });

        let gauge = Arc::new(Gauge::default());
        let wire = Once(Some(Wire(near, Arc::clone(&gauge))));
        let channel = endpoint("http://core", pace).unwrap().connect_with_connector(wire).await.unwrap();
        let mut stream = client(channel).sync(tokio_stream::pending()).await.unwrap().into_inner();
        assert!(stream.message().await.unwrap().is_some());
        Self { stream, gauge, _server: server }
    }

    fn bytes(&self) -> u64 {
        self.gauge.bytes.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_without_a_word_is_noticed_within_the_budget_of_the_class() {
    for class in CLASSES {
        let pace = Pace::of(&Uplink { class, bytes_per_day: None });
        let mut idle = Idle::with(pace).await;
        // Long after the last word, and whenever in between two questions.
        tokio::time::sleep(Duration::from_secs(u64::from(pace.keepalive_seconds) * 7 / 2)).await;
        let dead_since = Instant::now();
        idle.gauge.is_dead.store(true, Ordering::Relaxed);

        let budget = Duration::from_secs((pace.keepalive_seconds + pace.keepalive_timeout_seconds).into());
        let heard = tokio::time::timeout(DAY, idle.stream.message()).await;

        assert!(matches!(heard, Ok(Err(_))), "{class:?}: {heard:?}");
        assert!(dead_since.elapsed() <= budget, "{class:?}: {:?}", dead_since.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_day_costs_what_the_class_and_the_budget_allow() {
    for (class, bytes_per_day, allowed) in [
        (UplinkClass::Broadband, None, 1_440 * ASK_BYTES),
        (UplinkClass::Metered, None, 96 * ASK_BYTES),
        (UplinkClass::Satellite, None, 96 * ASK_BYTES),
        (UplinkClass::Metered, Some(1_000_000), 10_000),
        (UplinkClass::Broadband, Some(500_000), 5_000),
    ] {
        let pace = Pace::of(&Uplink { class, bytes_per_day });
        let mut idle = Idle::with(pace).await;
        let before = idle.bytes();

        let heard = tokio::time::timeout(DAY, idle.stream.message()).await;

        assert!(heard.is_err(), "{class:?}: the connection lives: {heard:?}");
        let spent = idle.bytes() - before;
        assert!(spent > allowed / 3 && spent <= allowed, "{class:?} with {bytes_per_day:?}: {spent} B");
    }
}
