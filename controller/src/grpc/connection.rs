//! One connection: HTTP/2 with no byte that says nothing.
//!
//! A site that comes back and finds nothing new costs one round trip and little more than the frames that HTTP/2 wants
//! (RFC 9113 §3.4), so the answer has no date, and windows are those that both ends know without being told. Must not
//! know what is asked.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::service::Routes;
use tracing::{debug, info, warn};

use super::failure::Failure;
use super::incoming::{Guarded, Handshake};
use super::tls::Tls;
use super::who::Who;
use crate::identity::desk::Desk;

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

/// How long what is under way may take when the core stops: a peer that takes nothing would hold it for ever.
const GRACE: Duration = Duration::from_secs(5);

/// What is asked of who comes in.
#[derive(Debug, Clone)]
pub(super) struct Door {
    /// How hands are shaken.
    pub(super) tls: Tls,
    /// Who is enrolled.
    pub(super) desk: Arc<Desk>,
    /// Room for those who show no certificate.
    pub(super) strangers: Arc<Semaphore>,
    /// When it was said last that somebody does not believe the core.
    pub(super) disbelief: Arc<Mutex<Option<Instant>>>,
}

impl Door {
    /// Says that somebody does not believe the core: seldom, since whoever can connect can say so.
    fn disbelieved(&self, peer: Option<SocketAddr>) {
        const SELDOM: Duration = Duration::from_secs(600);
        let mut said = self.disbelief.lock();
        if said.is_none_or(|said: Instant| said.elapsed() >= SELDOM) {
            *said = Some(Instant::now());
            warn!(
                ?peer,
                "a peer does not believe that this is its core, and hangs up; there may be more (help: if `identity.redb` is an older copy, bring \
                 the newest back; a site that a rotation of the link root left behind is to be enrolled anew)"
            );
        } else {
            debug!(?peer, "another one that does not believe that this is its core");
        }
    }
}

/// Says whether the other end has hung up since it does not know who vouches for the core (RFC 8446 §6.2, `unknown_ca`).
fn is_disbelief(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::AlertReceived(AlertDescription::UnknownCA)))
}

/// How long who shows no certificate may stay: one call, over a satellite link.
const STRANGER: Duration = Duration::from_secs(30);

/// Shakes hands, and serves a connection until it ends, or is cut; once the token is cancelled, only what is under way.
pub(super) async fn serve(stream: Guarded, door: Door, routes: Routes, cancel: CancellationToken) {
    let handshake = stream.handshake();
    let peer = handshake.peer();
    // What shaking hands takes is given back after it, and what serving takes is there once: a task has room for the largest
    // of its futures for as long as it lives, and there are thousands of them.
    let accepted = Box::pin(accept(stream, &door.tls));
    let accepted = cancel.run_until_cancelled(accepted).await;
    match accepted {
        Some(Ok((stream, who))) => {
            let handshake = handshake.with_who(who.clone());
            let served = Box::pin(run(TokioIo::new(stream), handshake, routes, cancel));
            // Who is a site's box no more is told so, and stays no longer than others who may ask for nothing.
            if !who.is_good(&door.desk) {
                let Ok(_room) = Arc::clone(&door.strangers).try_acquire_owned() else {
                    return debug!(?peer, "there is no room for another one who is not known");
                };
                return timeout(STRANGER, served)
                    .await
                    .unwrap_or_else(|_| debug!(?peer, "one who is not known has stayed for long enough"));
            }
            tokio::select! {
                () = served => {}
                () = goes_bad(who, &door.desk) => info!(?peer, "a connection is cut: who is there was taken from the roll"),
            }
        }
        Some(Err(error)) if is_disbelief(&error) => door.disbelieved(peer),
        Some(Err(error)) => debug!(?peer, %error, "no hands were shaken"),
        None => {}
    }
}

async fn accept(stream: Guarded, tls: &Tls) -> io::Result<(Box<TlsStream<Guarded>>, Who)> {
    if !stream.begins_with_tls().await? {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak TLS"));
    }
    tls.accept(stream).await
}

/// How long an operator's connection goes on whose calls are refused by now: who revokes their own name hears that it was done.
const LAST_WORD: Duration = Duration::from_secs(2);

/// Ends when who is there may be there no more.
async fn goes_bad(who: Who, desk: &Desk) {
    let mut changes = desk.changes();
    while who.is_good(desk) {
        // The desk has the sending end.
        if changes.changed().await.is_err() {
            return;
        }
    }
    if matches!(who, Who::Operator(..)) {
        tokio::time::sleep(LAST_WORD).await;
    }
}

async fn run<I>(io: TokioIo<I>, handshake: Handshake, routes: Routes, cancel: CancellationToken)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (peer, cut) = (handshake.peer(), handshake.cut());
    let service = service_fn(move |mut request: Request<Incoming>| {
        // Before anything of the body is read.
        let refused = handshake.who().check_path(request.uri().path()).err();
        request.extensions_mut().insert(handshake.clone());
        let answer = refused.is_none().then(|| routes.clone().call(request.map(Body::new)));
        async move {
            match (answer, refused) {
                (Some(answer), _) => answer.await,
                (None, refused) => Ok(Status::from(refused.unwrap_or(Failure::Unknown)).into_http()),
            }
        }
    });
    let mut connection = pin!(server().serve_connection(io, service));
    let serving = async {
        tokio::select! {
            served = connection.as_mut() => return Some(served),
            () = cancel.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        timeout(GRACE, connection).await.ok()
    };
    match cut.run_until_cancelled(serving).await.flatten() {
        None => info!(?peer, "a connection is cut: nothing that is said is taken at its other end"),
        Some(Err(error)) => debug!(%error, "a connection broke"),
        Some(Ok(())) => {}
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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;
    use tokio::task::JoinSet;

    use super::*;
    use crate::admission::Limits;
    use crate::grpc::incoming;

    /// Long enough for anything here.
    const DEADLINE: Duration = Duration::from_secs(30);

    /// An answer without end; the sender is dropped with it.
    fn endless(held: oneshot::Sender<()>) -> axum::body::Body {
        let next = |held| async move { Some((Ok::<_, io::Error>(vec![0_u8; 16 << 10]), held)) };
        axum::body::Body::from_stream(futures::stream::unfold(held, next))
    }

    /// A connection whose other end has asked, and takes nothing: what is said to it waits.
    struct Stuck {
        serving: JoinSet<()>,
        cut: CancellationToken,
        stop: CancellationToken,
        /// Ends when nothing runs over the connection any more.
        ended: oneshot::Receiver<()>,
        _peer: JoinSet<()>,
        _answer: hyper::Response<Incoming>,
    }

    async fn stuck() -> Stuck {
        let (held, ended) = oneshot::channel::<()>();
        let held = Arc::new(Mutex::new(Some(held)));
        let answer = get(move || async move { endless(held.lock().take().expect("it is asked once")) });
        let routes = Routes::from(Router::new().route("/", answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { handshake_deadline: Duration::from_secs(3_600), ..Limits::default() };
        let incoming = incoming::Incoming::new(listener, 1, limits);
        let socket = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let stream = incoming.accept().await;
        let (cut, stop) = (stream.handshake().cut(), CancellationToken::new());
        let (mut serving, mut peer) = (JoinSet::new(), JoinSet::new());
        let key = skerry_identity::thumbprint::Thumbprint::from_slice(&[1; 32]).unwrap();
        let handshake = stream.handshake().with_who(Who::Operator("ada".to_owned(), key));
        serving.spawn(run(TokioIo::new(stream), handshake, routes, stop.clone()));
        let (mut client, driver) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
        peer.spawn(async { driver.await.unwrap_or_default() });
        let request = Request::get(format!("http://{address}/")).body(String::new()).unwrap();
        let answer = timeout(DEADLINE, client.send_request(request)).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
        Stuck { serving, cut, stop, ended, _peer: peer, _answer: answer }
    }

    impl Stuck {
        async fn must_end(mut self) {
            timeout(DEADLINE, self.serving.join_next()).await.expect("it ends").unwrap().unwrap();
            timeout(DEADLINE, self.ended).await.expect("and what ran over it is gone").unwrap_err();
        }
    }

    #[test]
    fn who_does_not_believe_the_core_is_told_from_who_hangs_up() {
        let alert = |alert| io::Error::new(io::ErrorKind::InvalidData, rustls::Error::AlertReceived(alert));
        assert!(is_disbelief(&alert(AlertDescription::UnknownCA)));
        assert!(!is_disbelief(&alert(AlertDescription::CertificateUnknown)), "over, say");
        assert!(!is_disbelief(&alert(AlertDescription::UserCanceled)));
        assert!(!is_disbelief(&io::ErrorKind::ConnectionReset.into()));
    }

    #[tokio::test]
    async fn a_connection_whose_peer_takes_nothing_can_be_cut() {
        let mut stuck = stuck().await;
        assert!(timeout(Duration::from_millis(200), stuck.serving.join_next()).await.is_err());
        stuck.cut.cancel();
        stuck.must_end().await;
    }

    /// A core that is asked to stop waits for what is under way, and not for ever.
    #[tokio::test]
    async fn a_connection_whose_peer_takes_nothing_holds_up_no_stop() {
        let mut stuck = stuck().await;
        stuck.stop.cancel();
        assert!(timeout(Duration::from_millis(200), stuck.serving.join_next()).await.is_err());
        stuck.must_end().await;
    }
}
