//! Connections of the HTTP side: few, and for a short time each.
//!
//! They share the process's file descriptors with the connections of agents, and anybody may open one who reaches the
//! address. Must not know what is asked.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::codegen::Service as _;
use tracing::{debug, warn};

/// How much is served at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections; more wait in the kernel's queue.
    pub(super) connections: usize,
    /// How long the head of a request may take.
    pub(super) head: Duration,
    /// How long a connection may take: one request, with a body of at most 1 MiB.
    pub(super) exchange: Duration,
}

impl Default for Limits {
    /// Notifications of a few hosts and two probes: each is answered in milliseconds. A body of 1 MiB takes 60 s at
    /// 140 kbit/s.
    fn default() -> Self {
        Self {
            connections: super::CONNECTIONS,
            head: Duration::from_secs(10),
            exchange: Duration::from_secs(60),
        }
    }
}

/// How long nothing is accepted after an error: there is no file descriptor left, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// How long what is under way may take when the core stops.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until the token is cancelled.
pub(super) async fn serve(router: Router, listener: TcpListener, limits: Limits, cancel: CancellationToken) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            (stream, place) = accept(&listener, &room) => {
                let (router, cancel) = (router.clone(), cancel.clone());
                connections.spawn(async move {
                    serve_one(stream, router, limits, cancel).await;
                    drop(place);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.join_all().await;
}

/// Waits for room, then for a connection.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    let place = Arc::clone(room).acquire_owned().await.expect("nobody closes this");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            Err(error) => {
                warn!(%error, "a connection to the HTTP side cannot be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one request.
async fn serve_one(stream: TcpStream, router: Router, limits: Limits, cancel: CancellationToken) {
    let service = service_fn(move |request: hyper::Request<Incoming>| router.clone().call(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        // One that has its answer keeps no other out.
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = timeout(limits.exchange, connection.as_mut()) => served,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            timeout(GRACE, connection).await
        }
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection to the HTTP side broke"),
        Err(_) => debug!("a connection to the HTTP side takes too long"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::body::Bytes;
    use axum::routing::post;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Longer than a test may take.
    const HOUR: Duration = Duration::from_secs(3_600);

    async fn start(limits: Limits) -> (SocketAddr, JoinSet<()>, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, cancel) = (listener.local_addr().unwrap(), CancellationToken::new());
        let router = Router::new().route("/", post(|_: Bytes| async { "ok" }));
        let mut running = JoinSet::new();
        running.spawn(serve(router, listener, limits, cancel.clone()));
        (address, running, cancel)
    }

    /// Sends a part of a request and reads to the end of the connection.
    async fn ask(address: SocketAddr, words: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(words.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let reading = timeout(Duration::from_secs(30), stream.read_to_string(&mut answer));
        // A connection that is reset is at its end as well.
        reading.await.expect("it ends").ok();
        answer
    }

    const WHOLE: &str = "POST / HTTP/1.1\r\nhost: core\r\ncontent-length: 2\r\n\r\n{}";

    /// Invariant 9: who is slow is cut off, wherever it is slow, and keeps its place no longer.
    #[tokio::test]
    async fn invariant_9_who_is_slow_to_ask_is_cut_off_and_others_are_served_then() {
        let short = Duration::from_millis(200);
        for limits in [
            Limits { connections: 1, head: short, exchange: HOUR },
            Limits { connections: 1, head: HOUR, exchange: short },
        ] {
            let (address, mut running, cancel) = start(limits).await;
            let waits = ["", "POST / HTTP/1.1\r\nhost: core\r\n"];
            for words in waits {
                let answer = ask(address, words).await;
                assert!(!answer.contains("200 OK"), "{answer}");
            }
            assert!(ask(address, WHOLE).await.starts_with("HTTP/1.1 200 OK"));
            cancel.cancel();
            running.join_next().await.unwrap().unwrap();
        }
    }

    #[tokio::test]
    async fn invariant_9_a_body_that_does_not_come_ends_with_the_exchange() {
        let (address, _running, _cancel) =
            start(Limits { connections: 1, head: HOUR, exchange: Duration::from_millis(200) }).await;
        assert_eq!(ask(address, WHOLE.trim_end_matches('}')).await, "");
        assert!(ask(address, WHOLE).await.ends_with("ok"));
    }

    /// Invariant 9: one too many waits outside until there is room.
    #[tokio::test]
    async fn invariant_9_a_connection_too_many_waits() {
        let (address, mut running, cancel) =
            start(Limits { connections: 1, head: HOUR, exchange: HOUR }).await;
        let mute = TcpStream::connect(address).await.unwrap();
        // The other one is accepted after this one, so this one has the place.
        let mut asking = JoinSet::new();
        asking.spawn(ask(address, WHOLE));
        assert!(timeout(Duration::from_millis(300), asking.join_next()).await.is_err(), "there is no room");

        drop(mute);

        assert!(asking.join_next().await.unwrap().unwrap().ends_with("ok"));
        let _silent = TcpStream::connect(address).await.unwrap();
        cancel.cancel();
        timeout(Duration::from_secs(30), running.join_next())
            .await
            .expect("nobody keeps it")
            .unwrap()
            .unwrap();
    }
}
