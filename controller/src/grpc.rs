//! The gRPC server: thin services around pure parts.
//!
//! Nothing is read of a request before it is known who asks (`who`), and what strangers may do costs little.

use std::sync::Arc;

use skerry_proto::limits::MAX_MESSAGE_BYTES;
use skerry_proto::v1::enrolment_server::EnrolmentServer;
use skerry_proto::v1::fleet_server::FleetServer;
use skerry_proto::v1::site_sync_server::SiteSyncServer;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::admission::Limits;
use crate::clock::Clock;
use crate::identity::desk::Desk;
use crate::policy::PolicyBoard;
use crate::presence::Presence;
use crate::publish::Published;
use crate::source::SourceHandle;
use crate::source::status::SourceBoard;
use crate::store::StateStore;
use crate::webhook;
use crate::writer::ReportSender;

mod ceremony;
mod connection;
mod enrolment;
mod failure;
mod fleet;
mod incoming;
mod operators;
mod places;
mod policy;
mod pull;
mod reports;
mod rotation;
mod site_sync;
mod stream;
mod tls;
mod trust;
mod who;

use connection::Door;
use incoming::{Handshake, Incoming};
use places::Places;
use tls::Tls;

/// File descriptors that are no connections of agents: store, mirror with its packs, listeners, the runtime; and
/// connections to the HTTP side.
const OTHER_FILES: u64 = 256 + webhook::CONNECTIONS as u64;

/// The longest request of somebody who is not known yet: two certificate requests of 8 KiB, and a few names.
const MAX_REQUEST_BYTES: usize = 20 << 10;

/// Returns how many file descriptors a core with all its connections needs.
pub fn files(limits: Limits) -> u64 {
    limits.connections() as u64 + OTHER_FILES
}

/// How many connections the kernel keeps that are not accepted yet: 10,000 sites that come back at once.
/// It takes the smaller one of this and `net.core.somaxconn`, and those that find no room try again by themselves
/// after a second. `SO_REUSEPORT` is not set: a second core at the same address has to fail.
pub const BACKLOG: u32 = 16_384;

/// What requests need of the core.
#[derive(Debug)]
pub struct Core<S> {
    /// What sites shall run.
    pub published: Arc<Published>,
    /// Who is there.
    pub presence: Arc<Presence>,
    /// The state store.
    pub store: Arc<S>,
    /// Who is who.
    pub desk: Arc<Desk>,
    /// Policy signatures.
    pub policy: Arc<PolicyBoard>,
    /// The writer of reports.
    pub reports: ReportSender,
    /// The source's thread.
    pub source: SourceHandle,
    /// What is shown of the source.
    pub board: Arc<SourceBoard>,
    /// The time.
    pub clock: Clock,
    /// What there is room for.
    pub room: Room,
    /// Streams end when this is cancelled.
    pub cancel: CancellationToken,
}

/// How much is served at once.
#[derive(Debug)]
pub struct Room {
    /// Streams and bundles.
    places: Places,
    /// How many connections there may be.
    connections: usize,
    /// How many of them may be between accept and hello, and how long.
    limits: Limits,
    /// How many epochs were begun since the start; held while one begins.
    epochs: Mutex<u32>,
    /// How many enrol or renew at once.
    desk: Semaphore,
    /// How many connections there may be of those who show no certificate.
    strangers: Arc<Semaphore>,
}

/// How many enrol or renew at once: each waits for the one before it to be on disk, a few milliseconds. 10,000 sites that renew
/// within a day are one in 8 s.
const AT_THE_DESK: usize = 16;

/// How many connections of strangers there may be at once: four times as many as are served, for those who wait for an answer.
const STRANGERS: usize = 64;

impl Room {
    /// Makes room as far as limits and the number of files that may be open allow.
    pub fn new(limits: Limits, files: u64) -> Self {
        let connections = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
        let connections = connections.clamp(1, limits.connections());
        Self {
            places: Places::new(limits),
            connections,
            limits,
            epochs: Mutex::new(0),
            desk: Semaphore::new(AT_THE_DESK),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
        }
    }
}

/// Serves until the token is cancelled and requests under way are done.
///
/// # Errors
/// The core has no certificate to show.
pub async fn serve<S: StateStore>(core: Arc<Core<S>>, listener: TcpListener) -> anyhow::Result<()> {
    let cancel = core.cancel.clone();
    let door = Door {
        tls: Tls::new(&core.desk, core.room.connections)?,
        desk: Arc::clone(&core.desk),
        strangers: Arc::clone(&core.room.strangers),
        disbelief: Arc::default(),
    };
    let incoming = Incoming::new(listener, core.room.connections, core.room.limits);
    let routes = routes(core);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            stream = incoming.accept() => {
                connections.spawn(connection::serve(stream, door.clone(), routes.clone(), cancel.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(incoming);
    connections.join_all().await;
    Ok(())
}

fn routes<S: StateStore>(core: Arc<Core<S>>) -> Routes {
    let sites = SiteSyncServer::new(site_sync::SiteSyncService(Arc::clone(&core)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let enrolment = EnrolmentServer::new(enrolment::EnrolmentService(Arc::clone(&core)))
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let fleet = FleetServer::new(fleet::FleetService(core))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let fleet = InterceptedService::new(fleet, Handshake::finish);
    Routes::new(sites).add_service(enrolment).add_service(fleet).prepare()
}
