//! Connections on their way from the listener to their first request.
//!
//! Accepting is what costs: a handshake, and with certificates a signature. So only so many
//! connections are between accept and hello at once; the others wait in the kernel's queue, which
//! costs nothing, and their agents' own deadlines send them away. Must not look at requests.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use skerry_identity::thumbprint::Thumbprint;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tracing::warn;

use super::failure::Failure;
use super::pull::Visit;
use super::who::Who;
use crate::admission::Limits;
use crate::identity::desk::Desk;
use crate::identity::operators::May;

/// How long nothing is accepted after an error: there is no file descriptor left, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections one by one, as long as there is room for them.
#[derive(Debug)]
pub(super) struct Incoming {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    /// How long a connection may take to its first request.
    deadline: Duration,
}

impl Incoming {
    /// Accepts at most `connections` at once, with as many handshakes among them as the limits say.
    pub(super) fn new(listener: TcpListener, connections: usize, limits: Limits) -> Self {
        let room = |number| Arc::new(Semaphore::new(number));
        let (connections, handshakes) = (room(connections), room(limits.handshakes));
        Self { listener, connections, handshakes, deadline: limits.handshake_deadline }
    }

    /// Waits for room, then for a connection. One that cannot be accepted is logged and passed over.
    pub(super) async fn accept(&self) -> Guarded {
        const OPEN: &str = "nobody closes these";
        let connection = Arc::clone(&self.connections).acquire_owned().await.expect(OPEN);
        let handshake = Arc::clone(&self.handshakes).acquire_owned().await.expect(OPEN);
        loop {
            let accepted = self.listener.accept().await.and_then(|(stream, _)| {
                stream.set_nodelay(true)?;
                Ok(stream)
            });
            match accepted {
                Ok(stream) => return Guarded::new(stream, connection, handshake, self.deadline),
                Err(error) => {
                    warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// A connection that gives its rooms back: one at its first request, the other at its end.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: TcpStream,
    handshake: Handshake,
    /// How long its first request may take.
    patience: Duration,
    /// `None` once the first request has come.
    deadline: Option<Pin<Box<Sleep>>>,
    #[expect(dead_code, reason = "held for its drop")]
    connection: OwnedSemaphorePermit,
}

/// What requests find of their connection in their extensions: who is there, what its pulls hold, how to cut it, and,
/// until the first request, the room that it takes.
#[derive(Debug, Clone)]
pub(super) struct Handshake {
    peer: Option<SocketAddr>,
    who: Who,
    visit: Arc<AsyncMutex<Visit>>,
    cut: CancellationToken,
    room: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

impl Handshake {
    /// Notes that a request of this connection has come. `Sync` calls it when it has the hello.
    pub(super) fn finish<T>(request: Request<T>) -> Result<Request<T>, tonic::Status> {
        if let Some(handshake) = Self::of(&request) {
            handshake.end();
        }
        Ok(request)
    }

    /// Says which operator asks, and with which key, or refuses who may not do what is asked for.
    pub(super) fn check_operator<T>(
        request: &Request<T>,
        desk: &Desk,
        wants: May,
    ) -> Result<(String, Thumbprint), Failure> {
        let handshake = Self::of(request).ok_or(Failure::Unknown)?;
        handshake.who.check_operator(desk, wants).map(|(name, key)| (name.to_owned(), key))
    }

    /// Finds that of a request's connection.
    pub(super) fn of<T>(request: &Request<T>) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// Names who is there, once hands were shaken.
    pub(super) fn with_who(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// Who is there.
    pub(super) fn who(&self) -> &Who {
        &self.who
    }

    /// Returns the address at the other end.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// What pulls over this connection hold; to be locked while one is answered.
    pub(super) fn visit(&self) -> Arc<AsyncMutex<Visit>> {
        Arc::clone(&self.visit)
    }

    /// What cuts the connection when it is cancelled, with all that runs over it.
    pub(super) fn cut(&self) -> CancellationToken {
        self.cut.clone()
    }

    /// Gives the room back.
    pub(super) fn end(&self) {
        drop(self.room.lock().take());
    }

    fn is_over(&self) -> bool {
        self.room.lock().is_none()
    }
}

impl Guarded {
    fn new(
        stream: TcpStream,
        connection: OwnedSemaphorePermit,
        handshake: OwnedSemaphorePermit,
        deadline: Duration,
    ) -> Self {
        let room = Arc::new(Mutex::new(Some(handshake)));
        let (peer, cut) = (stream.peer_addr().ok(), CancellationToken::new());
        let handshake = Handshake { peer, who: Who::Stranger, visit: Arc::default(), cut, room };
        let (patience, deadline) = (deadline, Some(Box::pin(tokio::time::sleep(deadline))));
        Self { stream, handshake, patience, deadline, connection }
    }

    /// What its requests find of it.
    pub(super) fn handshake(&self) -> Handshake {
        self.handshake.clone()
    }

    /// Says whether the other end begins with TLS. Waits for its first byte, no longer than for its first request.
    pub(super) async fn begins_with_tls(&self) -> io::Result<bool> {
        /// The content type of a handshake (RFC 8446 §5.1).
        const HANDSHAKE: u8 = 22;
        let mut first = [0];
        let read = tokio::time::timeout(self.patience, self.stream.peek(&mut first)).await;
        let read = read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "nothing came"))??;
        Ok(read == 1 && first == [HANDSHAKE])
    }

    /// Fails when the first request is late.
    fn check_deadline(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.deadline.is_some() && self.handshake.is_over() {
            self.deadline = None;
        }
        let is_late =
            self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready());
        if is_late { Err(io::Error::new(io::ErrorKind::TimedOut, "no request came")) } else { Ok(()) }
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_deadline(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
