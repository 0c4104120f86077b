//! TLS of a core that a test plays itself: an authority of its own, what it signs, and connections that have shaken hands.
//!
//! Included by the tests of the command and of the agent; a real core is not needed to see what they do with its answers.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider as _};
use skerry_core::id::Timestamp;
use skerry_identity::ca::{Authority as _, TransportCa};
use skerry_identity::csr::ProvenKey;
use skerry_identity::key::EcdsaKey;
use skerry_identity::lifetimes::{ROOT, Validity};
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::verify::Anchors;
use skerry_identity::verify::tls::{Strangers, Verifier, credentials, server_config};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// The authority of every core of this process.
pub(crate) static AUTHORITY: LazyLock<TransportCa> =
    LazyLock::new(|| TransportCa::create(&mesh(), &from_long_ago(ROOT)).unwrap());

/// For how long the core of a test has been there: dates of its certificates say no more about the time than that it is later.
const AGE: Duration = Duration::from_secs(60 * 86_400);

/// The mesh.
pub(crate) fn mesh() -> MeshDomain {
    MeshDomain::new("mesh.local").unwrap()
}

/// From now on.
pub(crate) fn lasting(time: Duration) -> Validity {
    let now = DefaultTimeProvider.current_time().unwrap().as_secs();
    Validity::starting(Timestamp(now * 1000), time)
}

/// From long ago until that time from now.
fn from_long_ago(time: Duration) -> Validity {
    let lasting = lasting(time);
    let issued = Timestamp(lasting.issued.0 - u64::try_from(AGE.as_millis()).unwrap());
    Validity { issued, ..lasting }
}

/// Whom it believes.
pub(crate) fn anchors() -> Anchors {
    Anchors { mesh: mesh(), roots: vec![AUTHORITY.certificate().clone()] }
}

fn config() -> Arc<ServerConfig> {
    let key = EcdsaKey::generate().unwrap();
    let validity = from_long_ago(Duration::from_secs(86_400));
    let leaf = AUTHORITY.sign_core(&[], &ProvenKey::from(&key), &validity).unwrap();
    let own = credentials([&leaf, AUTHORITY.certificate()], &key).unwrap();
    let verifier = Verifier::peer(anchors(), Strangers::Refused, |_| true);
    let own = Arc::new(SingleCertAndKey::from(Arc::unwrap_or_clone(own)));
    Arc::new(server_config(verifier, own, Arc::new(DefaultTimeProvider), 16).unwrap())
}

/// A connection that has shaken hands.
pub(crate) struct Shaken(TlsStream<TcpStream>);

/// Connections that have shaken hands, as they come; no more are taken when it is dropped.
pub(crate) struct Incoming {
    shaken: ReceiverStream<io::Result<Shaken>>,
    _tasks: JoinSet<()>,
}

/// Takes connections; those that shake no hands are passed over.
pub(crate) fn accept(listener: TcpListener) -> Incoming {
    let acceptor = TlsAcceptor::from(config());
    let (send, receive) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut handshakes = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let (acceptor, send) = (acceptor.clone(), send.clone());
            handshakes.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    // Nobody waits for it any more: it is dropped.
                    let _ = send.send(Ok(Shaken(stream))).await;
                }
            });
            while handshakes.try_join_next().is_some() {}
        }
    });
    Incoming { shaken: ReceiverStream::new(receive), _tasks: tasks }
}

impl Stream for Incoming {
    type Item = io::Result<Shaken>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.shaken).poll_next(context)
    }
}

impl Connected for Shaken {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Shaken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Shaken {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
