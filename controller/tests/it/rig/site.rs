//! A site as the core sees it: says hello, takes offers, keeps fragments.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use skerry_core::bundle::{SCHEMA, v1::FragmentList, v1::Manifest};
use skerry_core::id::Digest;
use skerry_proto::codec::list::Stepped;
use skerry_proto::codec::{Assembly, decode_list};
use skerry_proto::limits::{BOOT_BYTES, PROTOCOL};
use skerry_proto::v1::{
    Applied, Hello, Need, Offer, PullRequest, PullResponse, Report, ReportRequest, SiteState, SyncRequest,
    SyncResponse, report::Body, sync_request, sync_response::Message,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::core::TestCore;
use super::within;

/// What a site keeps over reconnects.
#[derive(Debug, Default)]
pub(crate) struct TestSite {
    pub(crate) name: String,
    pub(crate) manifest: Vec<u8>,
    pub(crate) list: FragmentList,
    pub(crate) fragments: BTreeMap<Digest, Arc<[u8]>>,
}

/// A site with its stream.
pub(crate) struct Connected<'a> {
    pub(crate) site: &'a mut TestSite,
    requests: mpsc::Sender<SyncRequest>,
    responses: Streaming<SyncResponse>,
}

/// What it took to take an offer.
#[derive(Debug, PartialEq)]
pub(crate) struct Taken {
    pub(crate) offer: Offer,
    pub(crate) manifest: Manifest,
    /// Messages from the core, the offer among them.
    pub(crate) responses: usize,
}

impl TestSite {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn digest(&self) -> Vec<u8> {
        if self.manifest.is_empty() { vec![] } else { Digest::of(&self.manifest).as_bytes().to_vec() }
    }

    /// Epoch and generation of what it runs.
    pub(crate) fn place(&self) -> (u64, u64) {
        let manifest = Manifest::decode(&*self.manifest).expect("a manifest is protobuf");
        (manifest.epoch, manifest.generation)
    }

    pub(crate) fn hello(&self) -> Hello {
        let start = |bytes: &[u8]| Digest::of(bytes).prefix().as_bytes().to_vec();
        let has = |bytes: &[u8]| if self.manifest.is_empty() { vec![] } else { start(bytes) };
        let (epoch, generation) = self.place();
        Hello {
            protocol: PROTOCOL,
            site: self.name.clone(),
            manifest: has(&self.manifest),
            list: has(&self.list.encode_to_vec()),
            schema: SCHEMA,
            boot: vec![1; BOOT_BYTES],
            epoch,
            generation,
            ..Hello::default()
        }
    }

    pub(crate) async fn connect(&mut self, core: &TestCore) -> Connected<'_> {
        let hello = self.hello();
        self.connect_with(core, hello).await.expect("the core takes the hello")
    }

    pub(crate) async fn connect_with(
        &mut self,
        core: &TestCore,
        hello: Hello,
    ) -> Result<Connected<'_>, Status> {
        let (requests, receive) = mpsc::channel(4);
        requests.send(request(sync_request::Message::Hello(hello))).await.expect("there is room");
        let mut client =
            core.sites(&self.name).await.max_decoding_message_size(skerry_proto::limits::MAX_MESSAGE_BYTES);
        let responses =
            within("the stream opens", client.sync(ReceiverStream::new(receive))).await?.into_inner();
        Ok(Connected { site: self, requests, responses })
    }

    /// Pulls once.
    pub(crate) async fn pull(&self, core: &TestCore, need: Option<Need>) -> PullResponse {
        let request = PullRequest { hello: Some(self.hello()), need };
        within("an answer", core.sites(&self.name).await.pull(request))
            .await
            .expect("the core answers")
            .into_inner()
    }

    /// The fragment of a service, decoded.
    pub(crate) fn service(&self, name: &str) -> skerry_core::bundle::v1::Service {
        let key = format!("service/shop/{name}");
        let entry =
            self.list.fragments.iter().find(|entry| entry.key == key).expect("the site has the service");
        let bytes = &self.fragments[&Digest::from_slice(&entry.id).expect("an id is a digest")];
        let fragment = skerry_core::bundle::v1::Fragment::decode(&**bytes).expect("a fragment is protobuf");
        match fragment.kind {
            Some(skerry_core::bundle::v1::fragment::Kind::Service(service)) => service,
            other => panic!("not a service: {other:?}"),
        }
    }

    /// Reports that it runs what it has.
    pub(crate) async fn report(&self, core: &TestCore, seq: u64) -> u64 {
        let state = SiteState { manifest: self.digest(), workloads: 2, ..SiteState::default() };
        let report =
            Report { seq, observed_at_ms: 7_000, body: Some(Body::State(state)), ..Default::default() };
        self.send(core, vec![report]).await.expect("the core keeps it")
    }

    pub(crate) async fn send(&self, core: &TestCore, reports: Vec<Report>) -> Result<u64, Status> {
        let request =
            ReportRequest { site: self.name.clone(), boot: vec![1; BOOT_BYTES], reports, sent_at_ms: 0 };
        within("the report is kept", core.sites(&self.name).await.report(request))
            .await
            .map(|reply| reply.into_inner().acknowledged)
    }
}

impl<'a> Connected<'a> {
    /// Hangs up and says hello again.
    pub(crate) async fn again(self, core: &TestCore) -> Connected<'a> {
        self.site.connect(core).await
    }
}

impl Connected<'_> {
    pub(crate) async fn send(&self, message: sync_request::Message) {
        self.requests.send(request(message)).await.expect("the stream is open");
    }

    /// Sends a whole request.
    pub(crate) async fn send_request(&self, request: SyncRequest) {
        self.requests.send(request).await.expect("the stream is open");
    }

    /// Waits for a response, whatever is in it.
    pub(crate) async fn next_response(&mut self) -> SyncResponse {
        let response = within("a message comes", self.responses.message()).await;
        response.expect("the stream is good").expect("the stream goes on")
    }

    /// Sends reports as they are, packed.
    pub(crate) async fn send_packed(&self, reports: Vec<u8>) {
        let request = SyncRequest { reports, ..SyncRequest::default() };
        self.requests.send(request).await.expect("the stream is open");
    }

    /// Waits for a message; `None` when the core ended the stream.
    pub(crate) async fn next(&mut self) -> Result<Option<Message>, Status> {
        let response = within("a message comes", self.responses.message()).await?;
        Ok(response.and_then(|response| response.message))
    }

    pub(crate) async fn next_message(&mut self) -> Message {
        self.next().await.expect("the stream is good").expect("the stream goes on")
    }

    /// Takes the next offer with all its fragments, checks it, and says that it runs.
    pub(crate) async fn take_offer(&mut self) -> Taken {
        let taken = self.fetch_offer().await;
        let offer = taken.offer.number;
        self.send(sync_request::Message::Applied(Applied { offer, refused: String::new() })).await;
        taken
    }

    /// Takes the next offer with all its fragments and checks it.
    pub(crate) async fn fetch_offer(&mut self) -> Taken {
        match self.next_message().await {
            Message::Offer(offer) => self.fetch(offer).await,
            other => panic!("an offer is due, not {other:?}"),
        }
    }

    /// Takes an offer with all its fragments and checks it.
    pub(crate) async fn fetch(&mut self, offer: Offer) -> Taken {
        let manifest = Manifest::decode(&*offer.manifest).expect("a manifest is protobuf");
        let delta = offer.list.as_ref().expect("an offer has a list");
        let own = if delta.base.is_empty() { FragmentList::default() } else { self.site.list.clone() };
        let known = |id: &Digest| self.site.fragments.get(id).cloned();
        let stepped = decode_list(delta, &offer.fragments, &own, known).expect("it decodes");
        let Stepped { list, fragments } = stepped;
        assert_eq!(
            Digest::of(&list.encode_to_vec()).as_bytes(),
            &*manifest.list,
            "the list is the manifest's"
        );
        self.site.fragments.extend(fragments);
        let responses = 1 + self.fetch_missing(&list).await;
        (self.site.manifest, self.site.list) = (offer.manifest.clone(), list);
        Taken { offer, manifest, responses }
    }

    async fn fetch_missing(&mut self, list: &FragmentList) -> usize {
        let ids =
            list.fragments.iter().map(|entry| Digest::from_slice(&entry.id).expect("an id is a digest"));
        let missing = ids.filter(|id| !self.site.fragments.contains_key(id));
        let mut missing: Vec<Assembly> = missing.map(|id| Assembly::resume(id, vec![])).collect();
        if missing.is_empty() {
            return 0;
        }
        let fragments = missing.iter().map(Assembly::want).collect();
        self.send(sync_request::Message::Need(Need { fragments })).await;
        let mut responses = 0;
        missing.reverse();
        while let Some(assembly) = missing.last_mut() {
            let Message::Chunk(chunk) = self.next_message().await else { panic!("a chunk is due") };
            responses += 1;
            if let Some(bytes) = assembly.accept(&chunk).expect("chunks fit together") {
                self.site.fragments.insert(Digest::of(&bytes), bytes.into());
                missing.pop();
            }
        }
        responses
    }
}

fn request(message: sync_request::Message) -> SyncRequest {
    SyncRequest { message: Some(message), ..SyncRequest::default() }
}
