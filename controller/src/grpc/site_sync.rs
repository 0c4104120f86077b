//! `SiteSync`: what sites ask.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use skerry_core::id::{SiteId, Timestamp};
use skerry_proto::limits::{BOOT_BYTES, MAX_REPORT_BYTES, MAX_REPORTS};
use skerry_proto::v1::site_sync_server::SiteSync;
use skerry_proto::v1::{
    Hello, PullRequest, PullResponse, ReportRequest, ReportResponse, RetryAfter, SyncRequest,
    pull_response::Outcome, sync_request::Message,
};
use tonic::{Request, Response, Status, Streaming};
use tracing::warn;

use super::Core;
use super::failure::Failure;
use super::stream::{Line, SyncStream};
use crate::presence::claim::{Boot, Claimant};
use crate::presence::{Connection, Presence};
use crate::publish::{Lookup, Published};
use crate::report::Arrival;
use crate::session::{self, Refusal, Session};
use crate::store::{ReportBatch, StateStore};

/// How long a site may take to say hello once its stream is open.
const HELLO_DEADLINE: Duration = Duration::from_secs(30);

/// The service.
#[derive(Debug)]
pub(super) struct SiteSyncService<S>(pub(super) Arc<Core<S>>);

#[tonic::async_trait]
impl<S: StateStore> SiteSync for SiteSyncService<S> {
    type SyncStream = SyncStream;

    async fn sync(&self, request: Request<Streaming<SyncRequest>>) -> Result<Response<SyncStream>, Status> {
        let core = &self.0;
        let Ok(permit) = Arc::clone(&core.streams).try_acquire_owned() else {
            return Ok(Response::new(super::stream::busy()));
        };
        let peer = request.remote_addr();
        let mut incoming = request.into_inner();
        let hello =
            tokio::time::timeout(HELLO_DEADLINE, incoming.message()).await.map_err(|_| Failure::Silent)?;
        let hello = to_hello(hello?)?;
        let greeted =
            greet(&hello, claimant(&hello, peer), &core.published, &core.presence, core.clock.now());
        let (mut session, connection) = greeted.map_err(Failure::from)?;
        let Some(connection) = connection else {
            return Ok(Response::new(super::stream::once(session.poll_response(&core.published))));
        };
        let line = Line { core: Arc::clone(core), session, incoming, connection, permit };
        Ok(Response::new(line.into_stream()))
    }

    async fn pull(&self, request: Request<PullRequest>) -> Result<Response<PullResponse>, Status> {
        let peer = request.remote_addr();
        let request = request.into_inner();
        let mut response = session::pull(&request, &self.0.published).map_err(Failure::from)?;
        if let Some(hello) = request.hello
            && let Ok(site) = SiteId::new(&*hello.site)
            && is_known(&site, &self.0.published)
            && let Err(fenced) = self.0.presence.pull(&site, claimant(&hello, peer), self.0.clock.now())
        {
            let retry = RetryAfter { seconds: fenced.seconds, reason: fenced.reason };
            response = PullResponse { outcome: Some(Outcome::RetryAfter(retry)), chunks: Vec::new() };
        }
        Ok(Response::new(response))
    }

    async fn report(&self, request: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        let batch = self.to_batch(request.into_inner())?;
        self.0.presence.touch(&batch.site, batch.arrival.received_at);
        let kept = self.0.reports.keep(batch).await.ok_or(Failure::Stopping)?;
        Ok(Response::new(ReportResponse { acknowledged: kept.map_err(Failure::from)? }))
    }
}

impl<S: StateStore> SiteSyncService<S> {
    /// Checks reports against the caps; those of a site that nobody knows are not kept.
    fn to_batch(&self, request: ReportRequest) -> Result<ReportBatch, Failure> {
        let site = SiteId::new(request.site)?;
        if request.boot.len() != BOOT_BYTES {
            return Err(Failure::Invalid(format!(
                "`boot` has {} bytes, not {BOOT_BYTES}",
                request.boot.len()
            )));
        }
        if request.reports.len() > MAX_REPORTS {
            let number = request.reports.len();
            return Err(Failure::Invalid(format!("{number} reports are over the limit of {MAX_REPORTS}")));
        }
        if let Some(long) = request.reports.iter().find(|report| report.encoded_len() > MAX_REPORT_BYTES) {
            let (seq, length) = (long.seq, long.encoded_len());
            return Err(Failure::Invalid(format!(
                "report {seq} has {length} bytes, over the limit of {MAX_REPORT_BYTES}"
            )));
        }
        match self.0.published.lookup(&site) {
            Lookup::Unknown => return Err(Failure::UnknownSite(site.to_string())),
            Lookup::Starting(None) => return Err(Failure::Starting),
            Lookup::Starting(Some(_)) | Lookup::Known(_) => {}
        }
        let arrival = Arrival { received_at: self.0.clock.now(), sent_at: Timestamp(request.sent_at_ms) };
        Ok(ReportBatch { site, boot: request.boot, reports: request.reports, arrival })
    }
}

/// Begins a session, and registers it if it goes on: else there is no connection, and one last word.
fn greet(
    hello: &Hello,
    by: Claimant,
    published: &Published,
    presence: &Arc<Presence>,
    now: Timestamp,
) -> Result<(Session, Option<Connection>), Refusal> {
    let mut session = Session::handle_hello(hello, published)?;
    if session.is_ending() {
        if is_known(session.site(), published) {
            presence.touch(session.site(), now);
        }
        return Ok((session, None));
    }
    match presence.connect(session.site(), by, now) {
        Ok(connection) => {
            // What was published since the hello was looked at has woken nobody.
            session.handle_published();
            Ok((session, Some(connection)))
        }
        Err(fenced) => {
            warn!(site = %session.site(), peer = ?by.peer, "two agents claim this site: {}", fenced.reason);
            session.handle_stop(fenced.seconds, &fenced.reason);
            Ok((session, None))
        }
    }
}

fn claimant(hello: &Hello, peer: Option<SocketAddr>) -> Claimant {
    Claimant { boot: Boot::of(&hello.boot), peer }
}

/// Says whether a site is one of the repository: anybody may claim a name.
fn is_known(site: &SiteId, published: &Published) -> bool {
    !matches!(published.lookup(site), Lookup::Unknown | Lookup::Starting(None))
}

fn to_hello(first: Option<SyncRequest>) -> Result<Hello, Failure> {
    match first.and_then(|request| request.message) {
        Some(Message::Hello(hello)) => Ok(hello),
        _ => Err(Refusal::Malformed("the first message is not `hello`".to_owned()).into()),
    }
}

#[cfg(test)]
mod tests;
