//! The gRPC server: thin services around pure parts.
//!
//! Until agents and core know each other by certificate it listens on the loopback interface only;
//! `config` refuses any other address.

use std::sync::Arc;
use std::time::Duration;

use skerry_proto::limits::MAX_MESSAGE_BYTES;
use skerry_proto::v1::fleet_server::FleetServer;
use skerry_proto::v1::site_sync_server::SiteSyncServer;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Error, Server};

use crate::clock::Clock;
use crate::presence::Presence;
use crate::publish::Published;
use crate::source::SourceHandle;
use crate::source::status::SourceBoard;
use crate::store::StateStore;
use crate::writer::ReportSender;

mod failure;
mod fleet;
mod site_sync;
mod stream;

/// The most streams of sites at once: 20,000 × 40 KiB = 800 MB.
pub const MAX_STREAMS: usize = 20_000;

/// Streams of one connection: a site has one `Sync` and now and then a `Report`; a status request has one.
const STREAMS_PER_CONNECTION: u32 = 16;

/// How often an idle connection is asked whether it lives: a ping, its answer and their TCP
/// acknowledgements are some 250 B, so 36 kB a day. The agent asks more often where its link is cheap.
const KEEPALIVE: Duration = Duration::from_secs(600);

/// How long it may take to answer; a satellite link with a full queue takes seconds.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// What requests need of the core.
#[derive(Debug)]
pub struct Core<S> {
    /// What sites shall run.
    pub published: Arc<Published>,
    /// Who is there.
    pub presence: Arc<Presence>,
    /// The state store.
    pub store: Arc<S>,
    /// The writer of reports.
    pub reports: ReportSender,
    /// The source's thread.
    pub source: SourceHandle,
    /// What is shown of the source.
    pub board: Arc<SourceBoard>,
    /// The time.
    pub clock: Clock,
    /// Room for streams.
    pub streams: Arc<Semaphore>,
    /// Streams end when this is cancelled.
    pub cancel: CancellationToken,
}

/// Serves until the token is cancelled and requests under way are done.
pub async fn serve<S: StateStore>(core: Arc<Core<S>>, listener: TcpListener) -> Result<(), Error> {
    let cancel = core.cancel.clone();
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    router(core).serve_with_incoming_shutdown(incoming, cancel.cancelled_owned()).await
}

fn router<S: StateStore>(core: Arc<Core<S>>) -> Router {
    let sites = SiteSyncServer::new(site_sync::SiteSyncService(Arc::clone(&core)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let fleet = FleetServer::new(fleet::FleetService(core)).max_encoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder()
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_service(sites)
        .add_service(fleet)
}
