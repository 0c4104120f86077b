//! A connection of a process, with the place that it takes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tonic::transport::server::{Connected, UdsConnectInfo};

use super::authority::Incoming;

/// How much is read at once: requests are a few hundred bytes.
const CHUNK: usize = 2 << 10;

/// A connection; its place is free when it is dropped.
pub(super) struct Connection {
    stream: UnixStream,
    incoming: Incoming,
    /// What was read and can go on, and how much of it has.
    readable: (Vec<u8>, usize),
    _place: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, place: OwnedSemaphorePermit) -> Self {
        Self { stream, incoming: Incoming::new(), readable: (Vec::new(), 0), _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> UdsConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = &mut *self;
        loop {
            let rest = &this.readable.0[this.readable.1..];
            if !rest.is_empty() {
                let length = rest.len().min(buf.remaining());
                buf.put_slice(&rest[..length]);
                this.readable.1 += length;
                return Poll::Ready(Ok(()));
            }
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.readable = (this.incoming.take(read.filled()), 0);
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
