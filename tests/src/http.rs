//! A small HTTP/1.1 client: one connection for each request, and a deadline for the whole of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// How long a request may take that sets no deadline of its own.
const DEADLINE: Duration = Duration::from_secs(10);

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
    deadline: Duration,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

impl Request {
    /// Starts a GET of a path with its query.
    pub fn get(target: &str) -> Self {
        Self::new(Method::GET, target)
    }

    /// Starts a request.
    pub fn new(method: Method, target: &str) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { method, target: target.to_owned(), headers, body, deadline: DEADLINE }
    }

    /// Adds a header; an invalid name or value is the test's own mistake and panics.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a test's header name is valid");
        self.headers.append(name, HeaderValue::from_str(value).expect("a test's header value is valid"));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sends it and reads the whole reply.
    pub async fn send(&self, to: SocketAddr) -> Result<Reply> {
        let host = to.to_string();
        self.within(async { self.exchange(TcpStream::connect(to).await?, &host).await }, &host).await
    }

    /// Sends it to a Unix socket.
    pub async fn send_to_socket(&self, to: &Path) -> Result<Reply> {
        let (host, shown) = ("localhost", to.display().to_string());
        self.within(async { self.exchange(UnixStream::connect(to).await?, host).await }, &shown).await
    }

    async fn within(&self, exchange: impl Future<Output = Result<Reply>>, to: &str) -> Result<Reply> {
        let exchange = tokio::time::timeout(self.deadline, exchange).await;
        let exchange = exchange.with_context(|| format!("no reply within {:.1?}", self.deadline));
        exchange
            .and_then(|reply| reply)
            .with_context(|| format!("{} http://{to}{}", self.method, self.target))
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        host: &str,
    ) -> Result<Reply> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let exchange = async move {
            let response = sender.send_request(self.to_hyper(host)?).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Reply { status: head.status, headers: head.headers, body })
        };
        // The sender is dropped at the end of the exchange, and the connection ends with it.
        let (reply, connection) = tokio::join!(exchange, connection);
        reply.or_else(|error: anyhow::Error| connection.map_err(anyhow::Error::from).and(Err(error)))
    }

    fn to_hyper(&self, host: &str) -> Result<hyper::Request<Full<Bytes>>> {
        let mut request = hyper::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.target.parse().with_context(|| format!("`{}` is no path", self.target))?;
        *request.headers_mut() = self.headers.clone();
        if !self.headers.contains_key(HOST) {
            request.headers_mut().insert(HOST, HeaderValue::from_str(host)?);
        }
        Ok(request)
    }
}

impl Reply {
    /// The value of a header as text; `None` when it is not there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("{}: not the JSON that is expected: {}", self.status, self.text()))
    }
}
