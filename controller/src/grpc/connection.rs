//! One connection: HTTP/2 with no byte that says nothing.
//!
//! A site that comes back and finds nothing new costs one round trip and little more than the frames that HTTP/2 wants
//! (RFC 9113 §3.4), so the answer has no date, and windows are those that both ends know without being told. Must not
//! know what is asked.

use std::pin::pin;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::service::Routes;
use tracing::debug;

use super::incoming::Guarded;

/// How many bytes a site may send before they are taken, on a stream and on its connection: the default of HTTP/2, so
/// nothing is said of it (RFC 9113 §6.9.2). A report or a list of wants is seldom longer, and longer ones wait for
/// room. More, 1 MiB for each, 10,000 sites could fill with 20 GB.
const WINDOW: u32 = 65_535;

/// Streams of one connection: a site has one `Sync` and now and then a `Report`; a status request has one.
/// Each may have one message of at most 4 MiB under way, of which 64 KiB come unasked.
const STREAMS: u32 = 16;

/// How many bytes of a stream's answer wait for the socket: the longest chunk comes in two parts.
const SEND_BUFFER: usize = 128 << 10;

/// How often an idle connection is asked whether it lives: 12 times 250 B a day. A site asks for itself, as often as
/// its uplink allows, and the stream of one that is silent for too long is ended; this is for people and for what only
/// pulls.
const KEEPALIVE: Duration = Duration::from_secs(7_200);

/// How long it may take to answer; a satellite link with a full queue takes seconds.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Serves a connection until it ends; once the token is cancelled, only what is under way.
pub(super) async fn serve(stream: Guarded, routes: Routes, cancel: CancellationToken) {
    let handshake = stream.handshake();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(handshake.clone());
        routes.clone().call(request.map(Body::new))
    });
    let mut connection = pin!(server().serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = cancel.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection broke");
    }
}

fn server() -> http2::Builder<TokioExecutor> {
    let mut server = http2::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(Some(KEEPALIVE))
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    server
}
