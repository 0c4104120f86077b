//! A core in this process that answers what it was told to answer.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use skerry_proto::v1::fleet_server::{Fleet, FleetServer};
use skerry_proto::v1::{
    ConfirmSourceRequest, ConfirmSourceResponse, FleetStatus, GetFleetRequest, GetSiteRequest, SiteDetail,
    SourceStatus,
};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What the core knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) fleet: FleetStatus,
    pub(crate) sites: Vec<SiteDetail>,
    /// Answers every question with this.
    pub(crate) refusal: Option<Status>,
}

/// A core; it ends with the test.
pub(crate) struct Core {
    _runtime: Runtime,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Core {
    /// Starts a core on a free port.
    pub(crate) fn knowing(known: Known) -> Self {
        let runtime = Runtime::new().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let service = FleetServer::new(Answers { known, asked: Arc::clone(&asked) });
        let server =
            Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener));
        runtime.spawn(server);
        Self { _runtime: runtime, address, asked }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lists what it was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct Answers {
    known: Known,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answers {
    fn note(&self, question: String) -> Result<(), Status> {
        self.asked.lock().unwrap().push(question);
        self.known.refusal.clone().map_or(Ok(()), Err)
    }
}

#[tonic::async_trait]
impl Fleet for Answers {
    /// Pages hold two sites at most.
    async fn get_fleet(&self, request: Request<GetFleetRequest>) -> Result<Response<FleetStatus>, Status> {
        let GetFleetRequest { selector, after, .. } = request.into_inner();
        self.note(format!("fleet `{selector}` after `{after}`"))?;
        let mut answer = self.known.fleet.clone();
        answer.sites.retain(|site| site.site > after);
        answer.more = answer.sites.len() > 2;
        answer.sites.truncate(2);
        Ok(Response::new(answer))
    }

    async fn get_site(&self, request: Request<GetSiteRequest>) -> Result<Response<SiteDetail>, Status> {
        let name = request.into_inner().site;
        self.note(format!("site `{name}`"))?;
        let found =
            self.known.sites.iter().find(|site| site.summary.as_ref().is_some_and(|row| row.site == name));
        let missing = || Status::not_found(format!("there is no site `{name}`"));
        found.cloned().map(Response::new).ok_or_else(missing)
    }

    async fn confirm_source(
        &self,
        request: Request<ConfirmSourceRequest>,
    ) -> Result<Response<ConfirmSourceResponse>, Status> {
        self.note(format!("confirm `{}`", request.into_inner().revision))?;
        Ok(Response::new(ConfirmSourceResponse {}))
    }
}

/// The core's clock in tests: milliseconds since 1970.
pub(crate) const NOW: u64 = 1_767_225_600_000;

/// The time so many seconds ago.
pub(crate) fn ago(seconds: u64) -> u64 {
    NOW - seconds * 1000
}

/// A revision of the branch `main`.
pub(crate) fn revision(digit: char) -> String {
    format!("main@sha1:{}", String::from(digit).repeat(40))
}

/// A source that was read a moment ago.
pub(crate) fn source() -> SourceStatus {
    SourceStatus {
        url: "https://git.example/policies.git".to_owned(),
        reference: "main".to_owned(),
        path: "fleet".to_owned(),
        revision: revision('a'),
        compiled_at_ms: ago(300),
        fetched_at_ms: ago(4),
        ..SourceStatus::default()
    }
}
