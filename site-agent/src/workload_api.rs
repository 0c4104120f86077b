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
use crate::mailbox::{self, Mail};
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

/// Serves until the agent ends. A socket that cannot be served is a problem of the site, and of nobody else there.
pub(crate) async fn run(
    (socket, issued, mailbox): (PathBuf, watch::Receiver<Arc<Issued>>, mailbox::Sender),
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut said = None;
    while !cancel.is_cancelled() {
        let trouble = match bind(&socket) {
            Ok(listener) => {
                info!(socket = %socket.display(), "serves the Workload API");
                tell(&mailbox, &mut said, None).await;
                tokio::select! {
                    ended = serve(listener, issued.clone(), &cancel) => ended.err().map(|error| error.to_string()),
                    () = is_gone(&socket) => Some("somebody has removed it".to_owned()),
                }
            }
            Err(error) => Some(error.to_string()),
        };
        tell(&mailbox, &mut said, trouble.map(|reason| not_served(&socket, &reason))).await;
        cancel.run_until_cancelled(tokio::time::sleep(RETRY)).await;
    }
    Ok(())
}

fn not_served(socket: &Path, reason: &str) -> String {
    format!(
        "the Workload API is not served at {}: {reason} (help: see that the agent may make a socket there, or give it another \
         --workload-socket; it tries again every {} s)",
        socket.display(),
        RETRY.as_secs()
    )
}

/// Tells the site what is new. One that is about to end does not listen any more.
async fn tell(mailbox: &mailbox::Sender, said: &mut Option<String>, trouble: Option<String>) {
    if *said == trouble {
        return;
    }
    if let Some(trouble) = &trouble {
        warn!("{trouble}");
    }
    said.clone_from(&trouble);
    let _ended = mailbox.send(Mail::WorkloadApi(trouble)).await;
}

/// Returns when nobody can reach the socket by its path any more.
async fn is_gone(socket: &Path) {
    while fs_err::symlink_metadata(socket).is_ok() {
        tokio::time::sleep(RETRY).await;
    }
}

async fn serve(
    listener: UnixListener,
    issued: watch::Receiver<Arc<Issued>>,
    cancel: &CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let api = SpiffeWorkloadApiServer::new(WorkloadApi::new(issued, cancel.clone()));
    let server = tonic::transport::Server::builder().max_concurrent_streams(MAX_CALLS).add_service(api);
    server.serve_with_incoming_shutdown(incoming(listener), cancel.clone().cancelled_owned()).await
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
