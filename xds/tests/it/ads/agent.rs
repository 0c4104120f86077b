//! The least agent: an ADS server around a session, that can be ended and started again.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use skerry_xds::resource::ResourceSet;
use skerry_xds::session::{Delta, Event, Session, Sotw, Variant};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use crate::envoy::DEADLINE;

/// What was seen on all streams so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(super) responses: usize,
    pub(super) events: Vec<Event>,
}

/// A running server; ends with its value.
pub(crate) struct Agent {
    sets: Sets,
    pub(super) seen: Arc<Mutex<Seen>>,
    _runtime: Runtime,
}

impl Agent {
    /// Serves a set at a socket; one that is left from an earlier life is removed.
    pub(super) fn start(socket: &Path, set: &ResourceSet) -> Self {
        let _ = fs_err::remove_file(socket);
        let (runtime, sets, seen, service) = Self::prepare(set);
        let listener = runtime.block_on(async { UnixListener::bind(socket) }).unwrap();
        runtime.spawn(server().add_service(service).serve_with_incoming(UnixListenerStream::new(listener)));
        Self { sets, seen, _runtime: runtime }
    }

    /// Serves a set on a TCP port of its own: any gRPC service.
    pub(crate) fn start_tcp(set: &ResourceSet) -> (Self, SocketAddr) {
        let (runtime, sets, seen, service) = Self::prepare(set);
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(server().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
        (Self { sets, seen, _runtime: runtime }, address)
    }

    fn prepare(
        set: &ResourceSet,
    ) -> (Runtime, Sets, Arc<Mutex<Seen>>, AggregatedDiscoveryServiceServer<Ads>) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sets, watched) = watch::channel(Arc::new(set.clone()));
        let seen = Arc::<Mutex<Seen>>::default();
        let service = AggregatedDiscoveryServiceServer::new(Ads { sets: watched, seen: Arc::clone(&seen) });
        (runtime, sets, seen, service)
    }

    /// Serves another set.
    pub(super) fn set(&self, set: &ResourceSet) {
        self.sets.send_replace(Arc::new(set.clone()));
    }

    /// Waits until an event was seen that was not among the first `from`; returns how long that took.
    pub(super) fn wait_for(&self, what: &str, from: usize, is_it: impl Fn(&Event) -> bool) -> Duration {
        let start = Instant::now();
        while !self.seen.lock().unwrap().events[from..].iter().any(&is_it) {
            assert!(start.elapsed() < DEADLINE, "no {what} in {:?}", self.seen.lock().unwrap());
            std::thread::sleep(Duration::from_millis(2));
        }
        start.elapsed()
    }

    /// How many events there were.
    pub(super) fn events(&self) -> usize {
        self.seen.lock().unwrap().events.len()
    }

    /// Serves another set and waits until the proxy has it.
    pub(super) fn bring(&self, set: &ResourceSet) -> Duration {
        let from = self.events();
        self.set(set);
        self.wait_for("sync", from, |event| *event == Event::Synced(set.digest()))
    }
}

type Sets = watch::Sender<Arc<ResourceSet>>;

fn server() -> tonic::transport::Server {
    tonic::transport::Server::builder()
}

struct Ads {
    sets: watch::Receiver<Arc<ResourceSet>>,
    seen: Arc<Mutex<Seen>>,
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
        Ok(Response::new(self.converse::<Sotw>(request.into_inner())))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Ok(Response::new(self.converse::<Delta>(request.into_inner())))
    }
}

impl Ads {
    fn converse<V>(&self, requests: Streaming<V::Request>) -> Responses<V::Response>
    where
        V::Request: Send + 'static,
        V::Response: Send + 'static,
        V: Variant + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(1);
        let (sets, seen) = (self.sets.clone(), Arc::clone(&self.seen));
        Handle::current().spawn(drive::<V>(requests, sets, seen, sender));
        Box::pin(ReceiverStream::new(receiver))
    }
}

async fn drive<V: Variant>(
    mut requests: Streaming<V::Request>,
    mut sets: watch::Receiver<Arc<ResourceSet>>,
    seen: Arc<Mutex<Seen>>,
    sender: mpsc::Sender<Result<V::Response, Status>>,
) {
    let mut session = Session::<V>::new(Arc::clone(&sets.borrow_and_update()));
    loop {
        tokio::select! {
            request = requests.next() => match request {
                Some(Ok(request)) => session.handle_request(request),
                _ => return,
            },
            changed = sets.changed() => {
                if changed.is_err() {
                    return;
                }
                session.set_resources(Arc::clone(&sets.borrow_and_update()));
            }
        }
        while let Some(response) = session.poll_response() {
            seen.lock().unwrap().responses += 1;
            if sender.send(Ok(response)).await.is_err() {
                return;
            }
        }
        let mut seen = seen.lock().unwrap();
        while let Some(event) = session.poll_event() {
            seen.events.push(event);
        }
    }
}
