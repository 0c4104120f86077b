//! Smart HTTP for a bare repository: Git's own `git http-backend` behind a small CGI server of ours,
//! with basic authentication or TLS if a test asks for it.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::accept;

mod authority;

pub use authority::Authority;

/// Who may read the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Those who send this `Authorization` header.
    Basic(String),
}

impl Access {
    /// Asks for a user and a password.
    pub fn basic(user: &str, password: &str) -> Self {
        Self::Basic(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    fn allows(&self, request: &Request<Incoming>) -> bool {
        match self {
            Self::Open => true,
            Self::Basic(wanted) => {
                request.headers().get(AUTHORIZATION).is_some_and(|given| given == wanted.as_str())
            }
        }
    }
}

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct GitHttp {
    address: SocketAddr,
    scheme: &'static str,
    repository: String,
    _tasks: JoinSet<()>,
}

struct Shared {
    root: PathBuf,
    access: Access,
    tls: Option<TlsAcceptor>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("root", &self.root).finish_non_exhaustive()
    }
}

impl GitHttp {
    /// Serves a bare repository.
    pub async fn start(listen: SocketAddr, bare: &Path, access: Access) -> Result<Self> {
        Self::start_with(listen, bare, access, None).await
    }

    /// Serves a bare repository to everybody, over TLS.
    pub async fn start_tls(listen: SocketAddr, bare: &Path, tls: Arc<ServerConfig>) -> Result<Self> {
        Self::start_with(listen, bare, Access::Open, Some(tls.into())).await
    }

    async fn start_with(
        listen: SocketAddr,
        bare: &Path,
        access: Access,
        tls: Option<TlsAcceptor>,
    ) -> Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let root = bare.parent().context("a repository is in a folder")?.to_owned();
        let repository = bare.file_name().context("a repository has a name")?.to_string_lossy().into_owned();
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let mut tasks = JoinSet::new();
        let shared = Arc::new(Shared { root, access, tls });
        tasks.spawn(accept::each(listener, move |stream| serve(stream, Arc::clone(&shared))));
        Ok(Self { address, scheme, repository, _tasks: tasks })
    }

    /// The repository's URL, without credentials.
    pub fn url(&self) -> String {
        format!("{}://{}/{}", self.scheme, self.address, self.repository)
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    match &shared.tls {
        None => talk(stream, Arc::clone(&shared)).await,
        Some(tls) => {
            // An error is a peer that does not trust the certificate.
            if let Ok(stream) = tls.accept(stream).await {
                talk(stream, Arc::clone(&shared)).await;
            }
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    // An error is a peer that went away: nothing to tell anybody.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !shared.access.allows(&request) {
        return Ok(refuse());
    }
    Ok(run_backend(request, &shared.root).await.unwrap_or_else(|error| {
        let mut response = Response::new(Full::new(format!("{error:#}\n").into()));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}

fn refuse() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, hyper::header::HeaderValue::from_static("Basic realm=\"git\""));
    response
}

/// Runs one request through the CGI program (RFC 3875).
async fn run_backend(request: Request<Incoming>, root: &Path) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut command = Command::new("git");
    command.arg("http-backend");
    command.env("GIT_PROJECT_ROOT", root).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("REQUEST_METHOD", head.method.as_str()).env("PATH_INFO", head.uri.path());
    command.env("QUERY_STRING", head.uri.query().unwrap_or_default()).env("REMOTE_ADDR", "127.0.0.1");
    command.env("CONTENT_TYPE", text(CONTENT_TYPE)).env("CONTENT_LENGTH", body.len().to_string());
    command.env("HTTP_CONTENT_ENCODING", text(CONTENT_ENCODING));
    if let Some(version) = head.headers.get("git-protocol").and_then(|value| value.to_str().ok()) {
        command.env("GIT_PROTOCOL", version);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().context("cannot start `git http-backend`")?;
    let mut stdin = child.stdin.take().context("the backend has an input")?;
    let feed = async move {
        // The backend may answer without reading all of it.
        let _ = stdin.write_all(&body).await;
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    to_response(&output?.stdout)
}

/// Splits the program's output into headers and body.
fn to_response(output: &[u8]) -> Result<Response<Full<Bytes>>> {
    let Some(end) = output.windows(4).position(|window| window == b"\r\n\r\n") else {
        bail!("`git http-backend` answered without headers: {}", String::from_utf8_lossy(output));
    };
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..end])?.lines() {
        let (name, value) = line.split_once(':').with_context(|| format!("`{line}` is no header"))?;
        if name.eq_ignore_ascii_case("status") {
            response = response.status(value.trim().split(' ').next().unwrap_or_default());
        } else {
            response = response.header(name, value.trim());
        }
    }
    Ok(response.body(Full::new(Bytes::copy_from_slice(&output[end + 4..])))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Net;
    use crate::repo::PolicyRepo;

    fn clone(url: &str, into: &Path) -> Result<git2::Repository, git2::Error> {
        git2::build::RepoBuilder::new().bare(true).clone(url, into)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn serves_a_repository_to_those_who_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let net = Net::claim().unwrap();
        let mut repo = PolicyRepo::init(folder.path()).unwrap();
        repo.write("a", "1").unwrap();
        repo.publish("first").unwrap();
        let open = GitHttp::start(net.socket(9080), repo.bare(), Access::Open).await.unwrap();
        clone(&open.url(), &folder.path().join("one")).unwrap();
        let kept =
            GitHttp::start(net.socket(9080), repo.bare(), Access::basic("reader", "tide")).await.unwrap();
        assert!(clone(&kept.url(), &folder.path().join("two")).is_err());
        let with_credentials = kept.url().replace("://", "://reader:tide@");
        clone(&with_credentials, &folder.path().join("three")).unwrap();
    }
}
