//! A small HTTP service that says what it was asked: the workload of every test and of the demo.
//!
//! Each answer is an [`Echo`]. A request steers its own answer by query or header, see [`Wish`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinSet;

use crate::accept;

pub mod program;
mod wish;

pub use wish::Wish;

/// Who a sample says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The service's name.
    pub service: String,
    /// Its version.
    pub version: String,
    /// The site that it runs at; empty when it does not matter.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site: String,
}

impl Identity {
    /// Names a service and its version.
    pub fn new(service: &str, version: &str) -> Self {
        Self { service: service.to_owned(), version: version.to_owned(), site: String::new() }
    }

    /// Names the site too.
    #[must_use]
    pub fn at(mut self, site: &str) -> Self {
        site.clone_into(&mut self.site);
        self
    }
}

/// A request as the sample saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Who answers.
    #[serde(flatten)]
    pub identity: Identity,
    /// The method.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The query, without `?`.
    pub query: String,
    /// The headers: names in lower case, values in the order in which they came.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The how many-th request with its key this is, from 1: retries are seen in it.
    pub attempt: u64,
}

impl Echo {
    /// The values of a header, joined as RFC 9110 §5.3 says; `None` when there is none.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(|values| values.join(","))
    }
}

/// What a sample counts.
#[derive(Debug, Default)]
struct Counts {
    total: u64,
    by_key: BTreeMap<String, u64>,
}

/// The part of a sample that its connections share.
#[derive(Debug)]
struct Shared {
    identity: Identity,
    counts: Mutex<Counts>,
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn count(&self, key: &str) -> u64 {
        let mut counts = self.counts();
        counts.total += 1;
        let count = counts.by_key.entry(key.to_owned()).or_default();
        *count += 1;
        *count
    }
}

/// Where samples live: on a thread of their own, so that they answer while a test waits for Git or a process.
fn runtime() -> Result<&'static Handle> {
    static RUNTIME: LazyLock<std::io::Result<Runtime>> =
        LazyLock::new(|| Builder::new_multi_thread().worker_threads(1).enable_all().build());
    RUNTIME.as_ref().map(Runtime::handle).map_err(|error| anyhow!("no runtime for samples: {error}"))
}

/// A running sample; it ends when it is dropped.
#[derive(Debug)]
pub struct Sample {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Sample {
    /// Listens and serves HTTP/1.1 and HTTP/2 without TLS.
    pub async fn start(listen: SocketAddr, identity: Identity) -> Result<Self> {
        let runtime = runtime()?;
        let bound = runtime.spawn(TcpListener::bind(listen)).await?;
        let listener = bound.with_context(|| format!("cannot listen on {listen}"))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { identity, counts: Mutex::default() });
        let mut tasks = JoinSet::new();
        let served = Arc::clone(&shared);
        let accepting = accept::each(listener, move |stream| serve(stream, Arc::clone(&served)));
        tasks.spawn_on(accepting, runtime);
        Ok(Self { address, shared, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who it says it is.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// How many requests it has had.
    pub fn requests(&self) -> u64 {
        self.shared.counts().total
    }

    /// How many requests with this key it has had.
    pub fn attempts(&self, key: &str) -> u64 {
        self.shared.counts().by_key.get(key).copied().unwrap_or_default()
    }

    /// Serves until the process ends.
    pub async fn run(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
    let builder = auto::Builder::new(TokioExecutor::new());
    // An error is a peer that went away: nothing to tell anybody.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let echo = to_echo(&request, &shared.identity);
    let wish = Wish::of(&echo);
    let attempt = shared.count(&wish.key);
    if !wish.delay.is_zero() {
        tokio::time::sleep(wish.delay).await;
    }
    Ok(wish.to_response(&Echo { attempt, ..echo }))
}

fn to_echo(request: &Request<Incoming>, identity: &Identity) -> Echo {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    if let Some(authority) = request.uri().authority() {
        headers.entry("host".to_owned()).or_insert_with(|| vec![authority.to_string()]);
    }
    Echo {
        identity: identity.clone(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        headers,
        attempt: 0,
    }
}
