//! TLS of the link: what the core shows, and who shows what to it.
//!
//! A session that is resumed is looked at again: it is older than what was decided meanwhile. Must not decide who
//! is enrolled (`who`).

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use skerry_core::id::Timestamp;
use skerry_identity::ca::Peer;
use skerry_identity::certificate::Certificate;
use skerry_identity::verify::Anchors;
use skerry_identity::verify::tls::{Verifier, credentials, server_config, verify_client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::error;

use super::incoming::Guarded;
use super::who::Who;
use crate::identity::authority::Authority;
use crate::identity::desk::Desk;

/// The core's end of TLS.
#[derive(Clone)]
pub(super) struct Tls {
    end: Arc<ArcSwap<End>>,
    desk: Arc<Desk>,
    /// How many sessions are kept.
    sessions: usize,
}

/// It as it is until the link root is rotated.
struct End {
    config: Arc<ServerConfig>,
    anchors: Arc<Anchors>,
    /// What it was made of.
    authority: Arc<Authority>,
}

impl End {
    fn new(desk: &Arc<Desk>, authority: Arc<Authority>, sessions: usize) -> anyhow::Result<Self> {
        let anchors = Anchors { mesh: authority.mesh().clone(), roots: authority.link_roots() };
        let verifier = Verifier::client(anchors.clone());
        let own = Own { shown: Mutex::new(make(&authority, desk.now())?), desk: Arc::clone(desk) };
        let config = server_config(verifier, Arc::new(own), Arc::new(Time(Arc::clone(desk))), sessions)?;
        Ok(Self { config: Arc::new(config), anchors: Arc::new(anchors), authority })
    }

    /// Sessions are resumed from a configuration: it is kept for as long as nothing of the link changes.
    fn after(&self, desk: &Arc<Desk>, authority: Arc<Authority>, sessions: usize) -> anyhow::Result<Self> {
        if authority.link_roots() != self.authority.link_roots() {
            return Self::new(desk, authority, sessions);
        }
        let (config, anchors) = (Arc::clone(&self.config), Arc::clone(&self.anchors));
        Ok(Self { config, anchors, authority })
    }
}

impl Tls {
    /// Sets it up with what the core is signed by. One session is kept for each key that was shown, of as many as there may be
    /// connections: those who are gone are to find theirs when they are back. Less than 1 KB each.
    pub(super) fn new(desk: &Arc<Desk>, connections: usize) -> anyhow::Result<Self> {
        let end = End::new(desk, desk.authority(), connections)?;
        Ok(Self { end: Arc::new(ArcSwap::from_pointee(end)), desk: Arc::clone(desk), sessions: connections })
    }

    /// Returns it as it is now.
    fn end(&self) -> Arc<End> {
        let (end, authority) = (self.end.load_full(), self.desk.authority());
        if Arc::ptr_eq(&end.authority, &authority) {
            return end;
        }
        match end.after(&self.desk, authority, self.sessions) {
            Ok(anew) => {
                let anew = Arc::new(anew);
                self.end.store(Arc::clone(&anew));
                anew
            }
            Err(error) => {
                error!("TLS goes on as it was before the rotation: {error:#}");
                end
            }
        }
    }

    /// Shakes hands; says who it is. The stream is boxed: it is more than 1 KB, and moved through many futures.
    pub(super) async fn accept(&self, stream: Guarded) -> io::Result<(Box<TlsStream<Guarded>>, Who)> {
        let end = self.end();
        let accepting = TlsAcceptor::from(Arc::clone(&end.config)).accept(stream).into_fallible();
        let stream = match accepting.await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                hang_up(stream).await;
                return Err(error);
            }
        };
        let who = self.identify(stream.get_ref().1, &end.anchors)?;
        Ok((Box::new(stream), who))
    }

    fn identify(&self, connection: &ServerConnection, anchors: &Anchors) -> io::Result<Who> {
        let refuse = |reason: String| io::Error::new(io::ErrorKind::PermissionDenied, reason);
        let Some(chain) = connection.peer_certificates() else { return Ok(Who::Stranger) };
        if connection.handshake_kind() == Some(HandshakeKind::Resumed) {
            // What is no good any more is nothing: who shows it is told so by whatever is asked for, and renews.
            let peer = verify_client(chain, anchors, self.desk.now());
            return Ok(peer.map_or(Who::Stranger, |peer| Who::of(peer.peer, peer.key)));
        }
        // The handshake has verified it just now.
        let leaf = chain.first().map(CertificateDer::as_ref).unwrap_or_default();
        let leaf = Certificate::from_der(leaf).map_err(|why| refuse(why.to_string()))?;
        let peer = leaf.spiffe_id().and_then(|id| Peer::from_spiffe_id(&anchors.mesh, id));
        let peer = peer.ok_or_else(|| refuse("the certificate names no peer of the link".to_owned()))?;
        Ok(Who::of(peer, leaf.thumbprint()))
    }
}

/// Lets the alert arrive that says why: a socket that is closed with something unread takes back what it has said.
async fn hang_up(mut stream: Guarded) {
    /// What a client may have said meanwhile: its first frames.
    const UNREAD: u64 = 16 << 10;
    let drained = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(UNREAD), &mut tokio::io::sink()).await
    };
    // Nobody waits for more than a moment: the peer knows, or is gone.
    let _ = tokio::time::timeout(Duration::from_secs(1), drained).await;
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What the core shows, and when it is to be made anew.
type Shown = (Arc<CertifiedKey>, Timestamp);

/// The core's certificate, made anew when a third of its life is over.
struct Own {
    shown: Mutex<Shown>,
    desk: Arc<Desk>,
}

fn make(authority: &Authority, now: Timestamp) -> anyhow::Result<Shown> {
    let (key, chain, validity) = authority.core_credentials(now)?;
    Ok((credentials(&chain, &key)?, validity.rotate_at(0.0)))
}

impl ResolvesServerCert for Own {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let (mut shown, now) = (self.shown.lock(), self.desk.now());
        if now >= shown.1 {
            match make(&self.desk.authority(), now) {
                Ok(anew) => *shown = anew,
                Err(error) => error!("the core's certificate is not renewed: {error:#}"),
            }
        }
        Some(Arc::clone(&shown.0))
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

/// The core's time, for rustls.
#[derive(Debug)]
struct Time(Arc<Desk>);

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.now().0)))
    }
}
