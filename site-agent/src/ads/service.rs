//! One proxy's ADS streams: each a session of `skerry_xds`, moved along by whoever reads it.
//!
//! Nothing piles up: a proxy that does not read is not asked for its next request either.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryService;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use futures::stream::{Stream, unfold};
use parking_lot::Mutex;
use skerry_core::id::{Digest, NamespacedName};
use skerry_xds::resource::ResourceSet;
use skerry_xds::session::{Delta, Event as Heard, Session, Sotw, Variant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status, Streaming};

use super::{Event, News, Refusal};
use crate::machine::StreamId;
use crate::mailbox::{self, Mail};

/// The service behind one socket.
pub(super) struct Ads {
    /// The workload that the proxy belongs to.
    pub(super) proxy: NamespacedName,
    /// What it is served.
    pub(super) resources: watch::Receiver<Arc<ResourceSet>>,
    /// To `site`.
    pub(super) mailbox: mailbox::Sender,
    /// Numbers the streams.
    pub(super) streams: Arc<AtomicU64>,
    /// Ends the streams.
    pub(super) cancel: CancellationToken,
    /// One waiter for the end of each stream.
    pub(super) ends: Arc<Mutex<JoinSet<()>>>,
}

type Responses<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Ads {
    type StreamAggregatedResourcesStream = Responses<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let conversation = self.open::<Sotw>(request.into_inner()).await?;
        Ok(Response::new(Box::pin(unfold(conversation, Conversation::next))))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let conversation = self.open::<Delta>(request.into_inner()).await?;
        Ok(Response::new(Box::pin(unfold(conversation, Conversation::next))))
    }
}

impl Ads {
    async fn open<V: Variant>(&self, requests: Streaming<V::Request>) -> Result<Conversation<V>, Status> {
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let mut resources = self.resources.clone();
        let set = Arc::clone(&resources.borrow_and_update());
        let speaker = Speaker { proxy: self.proxy.clone(), stream, mailbox: self.mailbox.clone() };
        let end = self.watch_end(speaker.clone());
        speaker.tell(News::Connected).await?;
        Ok(Conversation {
            published: set.digest(),
            session: Session::new(set),
            requests,
            resources,
            sent: BTreeMap::new(),
            speaker,
            cancel: self.cancel.clone(),
            _end: end,
        })
    }

    /// Tells the site when the stream is dropped, however that comes about.
    fn watch_end(&self, speaker: Speaker) -> DropGuard {
        let end = CancellationToken::new();
        let ended = end.clone();
        let mut ends = self.ends.lock();
        while ends.try_join_next().is_some() {}
        ends.spawn(async move {
            ended.cancelled().await;
            let _site_is_gone = speaker.tell(News::Gone).await;
        });
        end.drop_guard()
    }
}

/// Speaks to the site for one stream.
#[derive(Clone)]
struct Speaker {
    proxy: NamespacedName,
    stream: StreamId,
    mailbox: mailbox::Sender,
}

impl Speaker {
    async fn tell(&self, news: News) -> Result<(), Status> {
        let event = Event { proxy: self.proxy.clone(), stream: self.stream, news };
        let sent = self.mailbox.send(Mail::Proxy(event)).await;
        sent.map_err(|_| Status::unavailable("the agent is about to end"))
    }
}

/// One stream.
struct Conversation<V: Variant> {
    session: Session<V>,
    /// Hash of the set that the session serves.
    published: Digest,
    requests: Streaming<V::Request>,
    resources: watch::Receiver<Arc<ResourceSet>>,
    /// Hash of the set that the last response of each type was made of: a refusal is about that one.
    sent: BTreeMap<String, Digest>,
    speaker: Speaker,
    cancel: CancellationToken,
    _end: DropGuard,
}

impl<V: Variant> Conversation<V>
where
    V::Response: Typed,
{
    /// Returns the next response, as soon as there is one; `None` ends the stream.
    async fn next(mut self) -> Option<(Result<V::Response, Status>, Self)> {
        loop {
            self.tell_events().await.ok()?;
            if let Some(response) = self.session.poll_response() {
                self.sent.insert(response.type_url().to_owned(), self.published);
                return Some((Ok(response), self));
            }
            tokio::select! {
                () = self.cancel.cancelled() => return None,
                request = self.requests.message() => self.session.handle_request(request.ok().flatten()?),
                changed = self.resources.changed() => {
                    changed.ok()?;
                    self.take_resources();
                }
            }
        }
    }

    fn take_resources(&mut self) {
        let set = Arc::clone(&self.resources.borrow_and_update());
        self.published = set.digest();
        self.session.set_resources(set);
    }

    async fn tell_events(&mut self) -> Result<(), Status> {
        while let Some(event) = self.session.poll_event() {
            match event {
                Heard::Synced(hash) => self.speaker.tell(News::Acked(hash)).await?,
                Heard::Nacked { kind, resources, detail } => {
                    let hash = self.sent.get(kind.type_url()).copied().unwrap_or(self.published);
                    let refusal = Refusal { kind, resources, detail };
                    self.speaker.tell(News::Refused(hash, refusal)).await?;
                }
                Heard::NodeKnown(node) => {
                    tracing::debug!(proxy = %self.speaker.proxy, node = node.id, "connected");
                }
                Heard::Acked { .. } => {}
            }
        }
        Ok(())
    }
}

/// A response that says what it holds.
trait Typed {
    fn type_url(&self) -> &str;
}

impl Typed for DiscoveryResponse {
    fn type_url(&self) -> &str {
        &self.type_url
    }
}

impl Typed for DeltaDiscoveryResponse {
    fn type_url(&self) -> &str {
        &self.type_url
    }
}
