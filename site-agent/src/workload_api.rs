//! The SPIFFE Workload API: a Unix socket at which a process of the site learns who it is, by the user that runs it.
//!
//! The kernel says which user that is (`SO_PEERCRED`); nothing that the caller says is believed. Decides nothing about
//! identities: it hands out what [`Issued`] holds.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use skerry_proto::spiffe::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, watch};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::identity::Issued;
use connection::Connection;
use service::WorkloadApi;

mod authority;
mod connection;
mod service;

/// How many processes are connected at a time; others wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 256;

/// How many calls a connection has open at a time; a library has two.
const MAX_CALLS: u32 = 8;

/// How often a socket is tried that cannot be bound.
const RETRY: Duration = Duration::from_secs(10);

/// Anybody may connect: who it is decides what it gets.
const MODE: u32 = 0o666;

/// Serves until the agent ends.
pub(crate) async fn run(
    socket: PathBuf,
    issued: watch::Receiver<Arc<Issued>>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut said = String::new();
    while !cancel.is_cancelled() {
        match bind(&socket) {
            Ok(listener) => {
                info!(socket = %socket.display(), "serves the Workload API");
                serve(listener, issued.clone(), &cancel).await;
            }
            Err(error) if error.to_string() != said => {
                warn!("cannot listen at {}: {error}; tried every {} s", socket.display(), RETRY.as_secs());
                said = error.to_string();
            }
            Err(_) => {}
        }
        cancel.run_until_cancelled(tokio::time::sleep(RETRY)).await;
    }
    Ok(())
}

async fn serve(listener: UnixListener, issued: watch::Receiver<Arc<Issued>>, cancel: &CancellationToken) {
    let api = SpiffeWorkloadApiServer::new(WorkloadApi::new(issued, cancel.clone()));
    let server = tonic::transport::Server::builder().max_concurrent_streams(MAX_CALLS).add_service(api);
    let served =
        server.serve_with_incoming_shutdown(incoming(listener), cancel.clone().cancelled_owned()).await;
    if let Err(error) = served {
        warn!("the Workload API ended: {error}");
    }
}

/// Takes a connection when there is room for it.
fn incoming(listener: UnixListener) -> impl Stream<Item = std::io::Result<Connection>> {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let with_room = move |stream: std::io::Result<_>| {
        let room = Arc::clone(&room);
        async move {
            let place = room.acquire_owned().await.map_err(std::io::Error::other)?;
            Ok(Connection::new(stream?, place))
        }
    };
    UnixListenerStream::new(listener).then(with_room)
}

/// Binds a socket in the place of what an earlier agent left there, and of nothing else.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::FileTypeExt as _;
    match fs_err::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs_err::remove_file(path)?,
        Ok(_) => return Err(std::io::Error::other("there is something that is not a socket")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
