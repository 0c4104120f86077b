//! Connections to the core over TLS, for tonic's clients.
//!
//! Who the core is and what is shown to it is in the configuration of rustls that is passed in. A core is found by name or
//! address and known by its key, so the name decides nothing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error};
use tonic::codegen::Service;
use tonic::transport::Uri;

/// The port of a core where its URL names none: that of `skerry-controller --listen`.
const PORT: u16 = 7443;

/// Says whether a text is the URL of a core: `https://HOST` or `https://HOST:PORT`, and nothing else.
pub fn is_core_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let Some(authority) = uri.authority() else { return false };
    let host = authority.host();
    let port = authority.as_str().strip_prefix(host).unwrap_or("none");
    let is_port = port.is_empty() || authority.port_u16().is_some_and(|port| port > 0);
    uri.scheme_str() == Some("https")
        && !host.is_empty()
        && !authority.as_str().contains('@')
        && is_port
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none()
}

/// Connects, and shakes hands.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    from: Option<IpAddr>,
}

impl Connector {
    /// Connects as a configuration says. Keep that: sessions are resumed from it.
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Self { config, from: None }
    }

    /// Connects from an address of this machine; without one the kernel chooses.
    #[must_use]
    pub fn from(self, from: Option<IpAddr>) -> Self {
        Self { from, ..self }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (config, from) = (Arc::clone(&self.config), self.from);
        Box::pin(async move { connect(config, from, &uri).await.map(TokioIo::new) })
    }
}

async fn connect(
    config: Arc<ClientConfig>,
    from: Option<IpAddr>,
    uri: &Uri,
) -> io::Result<TlsStream<TcpStream>> {
    let no_host = || io::Error::new(io::ErrorKind::InvalidInput, "the URL names no host");
    let host = uri.host().ok_or_else(no_host)?.trim_matches(['[', ']']).to_owned();
    let to = (host.as_str(), uri.port_u16().unwrap_or(PORT));
    let stream = match from {
        None => TcpStream::connect(to).await?,
        Some(from) => connect_from(from, to).await?,
    };
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host).map_err(|_| no_host())?;
    TlsConnector::from(config).connect(name, stream).await.map_err(plain)
}

async fn connect_from(from: IpAddr, to: (&str, u16)) -> io::Result<TcpStream> {
    let fits = |to: &SocketAddr| to.is_ipv4() == from.is_ipv4();
    let to = tokio::net::lookup_host(to).await?.find(fits);
    let to = to.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no address of that kind"))?;
    let socket = if from.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(from, 0))?;
    socket.connect(to).await
}

/// The words of an end that does not believe the core.
pub const NOT_KNOWN_HERE: &str = "is not the core that is known here";

/// The words of one that believes nobody who vouches for it.
pub const VOUCHED_FOR_BY_NOBODY: &str = "it is issued by nobody that is trusted here";

/// Says why hands were not shaken in words that are not rustls's: whose certificate it is, and what is wrong with it.
fn plain(error: io::Error) -> io::Error {
    let words = match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(CertificateError::Other(why))) => {
            format!("what answers there {NOT_KNOWN_HERE}: {}", why.0)
        }
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            format!("what answers there {NOT_KNOWN_HERE}: {VOUCHED_FOR_BY_NOBODY}")
        }
        Some(Error::InvalidMessage(_)) => "what answers there does not speak TLS".to_owned(),
        _ => return error,
    };
    io::Error::new(error.kind(), words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_core_is_a_host_and_a_port() {
        for good in [
            "https://core.example",
            "https://core.example:7443/",
            "https://127.0.0.1:1",
            "https://[::1]:7443",
        ] {
            assert!(is_core_url(good), "{good}");
        }
        for bad in [
            "",
            "core.example:7443",
            "http://core.example:7443",
            "https://",
            "https://:7443",
            "https://core.example:99999",
            "https://core.example:0",
            "https://core.example:x",
            "https://core.example:7443/path",
            "https://core.example:7443/?a=b",
            "https://user:pw@core.example:7443",
            "https://a b:7443",
        ] {
            assert!(!is_core_url(bad), "{bad}");
        }
    }
}
