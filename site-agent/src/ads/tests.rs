//! The ADS server over its real sockets, with scripted clients: who reads slowly or never acknowledges
//! holds up nobody, and nothing piles up for it.

use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use skerry_xds::resource::ResourceSet;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

use super::*;
use crate::layout::ProxyDir;
use crate::mailbox::Mail;

const DEADLINE: Duration = Duration::from_secs(40);

/// A refusal names what Envoy speaks of, not what merely came along, and is one line.
#[test]
fn a_refusal_names_the_culprit() {
    let refusal = |detail: &str| {
        let resources = ["dns", "outbound/shop/a/80", "outbound/shop/b/80"].map(str::to_owned).to_vec();
        Refusal { kind: ResourceKind::Listener, resources, detail: detail.to_owned() }.to_string()
    };
    assert_eq!(
        refusal("Error adding/updating listener(s) outbound/shop/b/80: no dns.\n"),
        "listener outbound/shop/b/80: Error adding/updating listener(s) outbound/shop/b/80: no dns."
    );
    assert_eq!(refusal("no"), "listener dns, outbound/shop/a/80, outbound/shop/b/80: no");
}

/// One cluster, in an edition.
fn set(edition: u32) -> Arc<ResourceSet> {
    let mut set = ResourceSet::default();
    let name = "a".to_owned();
    set.add_cluster(&Cluster { name, alt_stat_name: edition.to_string(), ..Default::default() });
    Arc::new(set)
}

fn proxy(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

/// A server of some proxies, and what it says.
struct Stage {
    folder: tempfile::TempDir,
    feeds: watch::Sender<BTreeMap<NamespacedName, Feed>>,
    mail: mpsc::Receiver<Mail>,
    cancel: CancellationToken,
    server: JoinSet<anyhow::Result<()>>,
}

impl Stage {
    fn new() -> Self {
        let (feeds, seen) = watch::channel(BTreeMap::new());
        let (mailbox, mail) = mpsc::channel(mailbox::CAPACITY);
        let cancel = CancellationToken::new();
        let mut server = JoinSet::new();
        server.spawn(run(seen, mailbox, cancel.clone()));
        Self { folder: tempfile::tempdir().unwrap(), feeds, mail, cancel, server }
    }

    /// Serves a proxy, from now on from this channel.
    fn serve(&self, name: &str, resources: &watch::Sender<Arc<ResourceSet>>) {
        let folder = ProxyDir::new(self.folder.path().join(name));
        std::fs::create_dir_all(folder.path()).unwrap();
        let feed = Feed { folder, resources: resources.subscribe() };
        self.feeds.send_modify(|feeds| drop(feeds.insert(proxy(name), feed)));
    }

    /// Opens a stream that takes all clusters and all listeners.
    async fn connect(&self, name: &str) -> Result<Client, tonic::Status> {
        let uri = format!("unix://{}", ProxyDir::new(self.folder.path().join(name)).ads_socket().display());
        let deadline = tokio::time::Instant::now() + DEADLINE;
        let channel = loop {
            match Endpoint::from_shared(uri.clone()).unwrap().connect().await {
                Ok(channel) => break channel,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::task::yield_now().await;
        };
        let (out, requests) = mpsc::channel(16);
        for kind in [ResourceKind::Cluster, ResourceKind::Listener] {
            let type_url = kind.type_url().to_owned();
            out.send(DeltaDiscoveryRequest { type_url, ..Default::default() }).await.unwrap();
        }
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let stream = client.delta_aggregated_resources(ReceiverStream::new(requests)).await?;
        Ok(Client { out, stream: stream.into_inner() })
    }

    /// Waits until a proxy has acknowledged all of a set.
    async fn await_acked(&mut self, name: &str, digest: Digest) {
        let acked = async {
            while let Some(mail) = self.mail.recv().await {
                if matches!(&mail, Mail::Proxy(Event { proxy: from, news: News::Acked(hash), .. }) if *from == proxy(name) && *hash == digest)
                {
                    return;
                }
            }
            panic!("the server ended");
        };
        tokio::time::timeout(DEADLINE, acked).await.expect("the proxy acknowledges");
    }

    async fn end(mut self) {
        self.cancel.cancel();
        while let Some(ended) = self.server.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

struct Client {
    out: mpsc::Sender<DeltaDiscoveryRequest>,
    stream: Streaming<DeltaDiscoveryResponse>,
}

impl Client {
    async fn read(&mut self) -> DeltaDiscoveryResponse {
        let message = tokio::time::timeout(DEADLINE, self.stream.message()).await.expect("a response");
        message.unwrap().expect("the stream goes on")
    }

    async fn ack(&self, response: &DeltaDiscoveryResponse) {
        let (type_url, response_nonce) = (response.type_url.clone(), response.nonce.clone());
        let ack = DeltaDiscoveryRequest { type_url, response_nonce, ..Default::default() };
        self.out.send(ack).await.unwrap();
    }

    /// Reads and acknowledges the first answers: clusters, and then listeners.
    async fn take_first(&mut self) {
        for _ in 0..2 {
            let response = self.read().await;
            self.ack(&response).await;
        }
    }

    /// Reads and acknowledges until a response holds the edition of a set; returns how many there were.
    async fn take(&mut self, set: &ResourceSet) -> usize {
        let version = set.of(ResourceKind::Cluster)["a"].version().to_owned();
        for count in 1.. {
            let response = self.read().await;
            self.ack(&response).await;
            if response.resources.iter().any(|resource| resource.version == version) {
                return count;
            }
        }
        unreachable!("a version comes or the deadline does")
    }
}

/// Invariant 9: a client that does not acknowledge is sent nothing more, whatever comes meanwhile, and
/// the newest afterwards; another proxy is served as if it were not there.
#[tokio::test]
async fn invariant_9_a_client_that_is_slow_gets_the_newest_alone_and_holds_up_nobody() {
    let mut stage = Stage::new();
    let (slow, quick) = (watch::Sender::new(set(0)), watch::Sender::new(set(0)));
    stage.serve("slow", &slow);
    stage.serve("quick", &quick);
    let (mut sluggard, mut runner) =
        (stage.connect("slow").await.unwrap(), stage.connect("quick").await.unwrap());
    let held = sluggard.read().await;
    runner.take_first().await;

    for edition in 1..=300 {
        slow.send_replace(set(edition));
        quick.send_replace(set(edition));
        if edition % 100 == 0 {
            runner.take(&set(edition)).await;
        }
    }
    stage.await_acked("quick", set(300).digest()).await;

    sluggard.ack(&held).await;
    assert_eq!(sluggard.take(&set(300)).await, 1, "nothing in between");
    let listeners = sluggard.read().await;
    sluggard.ack(&listeners).await;
    stage.await_acked("slow", set(300).digest()).await;
    stage.end().await;
}

/// A workload that went and came back is served from its new channel, though the server may have seen
/// neither its going nor its coming alone.
#[tokio::test]
async fn a_proxy_that_came_back_is_served_from_its_new_feed() {
    let stage = Stage::new();
    let before = watch::Sender::new(set(1));
    stage.serve("a", &before);
    stage.connect("a").await.unwrap().take(&set(1)).await;
    let after = watch::Sender::new(set(2));
    stage.serve("a", &after);
    drop(before);

    let deadline = tokio::time::Instant::now() + DEADLINE;
    let newest = set(2).of(ResourceKind::Cluster)["a"].version().to_owned();
    loop {
        // A stream that the old server took ends with it.
        if let Ok(mut client) = stage.connect("a").await
            && let Ok(Some(response)) = client.stream.message().await
            && response.resources.iter().any(|resource| resource.version == newest)
        {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "it is served from the old one");
    }
    stage.end().await;
}
