//! The ADS server: one Unix socket for each proxy, so that file permissions say who asks.
//!
//! A stream is a thin task around `skerry_xds::session`; several may be open at once, as during a
//! hot restart.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;
use parking_lot::Mutex;
use skerry_core::id::{Digest, NamespacedName};
use skerry_xds::resource::{ResourceKind, ResourceSet};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::machine::StreamId;
use crate::mailbox;
use crate::site::Feed;

mod service;

/// What a proxy's stream says.
#[derive(Debug)]
pub(crate) struct Event {
    /// The workload that the proxy belongs to.
    pub(crate) proxy: NamespacedName,
    /// The stream.
    pub(crate) stream: StreamId,
    /// What it says.
    pub(crate) news: News,
}

/// What happened on a stream.
#[derive(Debug)]
pub(crate) enum News {
    /// It opened.
    Connected,
    /// All of the resources with this hash are acknowledged.
    Acked(Digest),
    /// Something of the resources with this hash was refused.
    Refused(Digest, Refusal),
    /// It closed.
    Gone,
}

/// What a proxy refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// Of which kind it was.
    pub(crate) kind: ResourceKind,
    /// The names that were new in the response.
    pub(crate) resources: Vec<String>,
    /// Envoy's words.
    pub(crate) detail: String,
}

/// How many of a refused response's resources are named.
const NAMED: usize = 3;

impl fmt::Display for Refusal {
    /// Names those that Envoy speaks of; all of the response where it speaks of none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = || self.detail.split(|c: char| c.is_whitespace() || "'\",:;()".contains(c));
        let is_named = |name: &&String| words().any(|word| word == name.as_str());
        let mut names: Vec<&str> = self.resources.iter().filter(is_named).map(String::as_str).collect();
        if names.is_empty() {
            names = self.resources.iter().map(String::as_str).collect();
        }
        let more = if names.len() > NAMED { ", …" } else { "" };
        names.truncate(NAMED);
        let detail: Vec<&str> = self.detail.split_whitespace().collect();
        write!(f, "{} {}{more}: {}", self.kind, names.join(", "), detail.join(" "))
    }
}

/// Serves every proxy that has a feed, until the process ends.
pub(crate) async fn run(
    mut feeds: watch::Receiver<BTreeMap<NamespacedName, Feed>>,
    mailbox: mailbox::Sender,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut servers = Servers {
        mailbox,
        tasks: JoinSet::new(),
        open: BTreeMap::new(),
        streams: Arc::default(),
        ends: Arc::default(),
        failed: BTreeMap::new(),
    };
    loop {
        servers.reconcile(&feeds.borrow_and_update(), &cancel);
        tokio::select! {
            () = cancel.cancelled() => break,
            changed = feeds.changed() => if changed.is_err() { break },
            Some(Ok(name)) = servers.tasks.join_next() => drop(servers.open.remove(&name)),
            // A socket that could not be bound is tried again.
            () = tokio::time::sleep(std::time::Duration::from_secs(1)), if servers.open.len() < feeds.borrow().len() => {}
        }
    }
    Ok(())
}

struct Servers {
    mailbox: mailbox::Sender,
    tasks: JoinSet<NamespacedName>,
    /// What ends each server, and what it serves.
    open: BTreeMap<NamespacedName, (CancellationToken, watch::Receiver<Arc<ResourceSet>>)>,
    /// Numbers the streams of all servers.
    streams: Arc<AtomicU64>,
    /// One waiter for the end of each stream.
    ends: Arc<Mutex<JoinSet<()>>>,
    /// Why a socket could not be bound the last time.
    failed: BTreeMap<NamespacedName, String>,
}

impl Servers {
    fn reconcile(&mut self, feeds: &BTreeMap<NamespacedName, Feed>, cancel: &CancellationToken) {
        // A workload that went and came back at once has a new channel, and the old one is silent for ever.
        let is_current =
            |name, served| feeds.get(name).is_some_and(|feed: &Feed| feed.resources.same_channel(served));
        for (_, (server, _)) in self.open.iter().filter(|(name, (_, served))| !is_current(*name, served)) {
            server.cancel();
        }
        for (name, feed) in feeds {
            if self.open.contains_key(name) {
                continue;
            }
            match bind(&feed.folder.ads_socket()) {
                Ok(listener) => {
                    self.failed.remove(name);
                    self.serve(name.clone(), feed, listener, cancel.child_token());
                }
                Err(error) => self.note_failure(name, feed, &error.to_string()),
            }
        }
    }

    /// Says why a socket cannot be bound: not every second anew.
    fn note_failure(&mut self, name: &NamespacedName, feed: &Feed, error: &str) {
        if self.failed.get(name).is_none_or(|before| before != error) {
            warn!(proxy = %name, "cannot listen at {}: {error}; tried every second", feed.folder.ads_socket().display());
            self.failed.insert(name.clone(), error.to_owned());
        }
    }

    fn serve(
        &mut self,
        name: NamespacedName,
        feed: &Feed,
        listener: UnixListener,
        cancel: CancellationToken,
    ) {
        info!(proxy = %name, socket = %feed.folder.ads_socket().display(), "serves ADS");
        let service = service::Ads {
            proxy: name.clone(),
            resources: feed.resources.clone(),
            mailbox: self.mailbox.clone(),
            streams: Arc::clone(&self.streams),
            cancel: cancel.clone(),
            ends: Arc::clone(&self.ends),
        };
        let server =
            tonic::transport::Server::builder().add_service(AggregatedDiscoveryServiceServer::new(service));
        self.open.insert(name.clone(), (cancel.clone(), feed.resources.clone()));
        self.tasks.spawn(async move {
            let incoming = UnixListenerStream::new(listener);
            let served = server.serve_with_incoming_shutdown(incoming, cancel.cancelled_owned()).await;
            if let Err(error) = served {
                warn!(proxy = %name, "the ADS server ended: {error}");
            }
            name
        });
    }
}

/// Binds a socket that only the owner may use. What an earlier agent left there goes.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
