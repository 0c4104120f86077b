//! Agents of other releases: one release each way is served, what is older is told so, and shown.

use prost::Message as _;
use prost::bytes::{Buf, BufMut as _};
use skerry_core::bundle::SCHEMA;
use skerry_proto::limits::{OLDEST_PROTOCOL, PROTOCOL};
use skerry_proto::v1::sync_response::Message;
use skerry_proto::v1::{Applied, Hello, SyncResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use crate::rig::core::Home;
use crate::rig::policies::SHOP;
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;
use crate::rig::{until, within};

/// Sends bytes as they are, and reads responses of this release.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = SyncResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, bytes: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = SyncResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<SyncResponse>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        SyncResponse::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// A field with bytes in it.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut field);
    prost::encoding::encode_varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}

/// A message of a release to come: with a field that this one does not know.
fn newer(message: &impl prost::Message) -> Vec<u8> {
    [message.encode_to_vec(), field(1_000, b"new")].concat()
}

/// The fields of `SyncRequest` that hold these messages.
const HELLO: u32 = 1;
const APPLIED: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_a_newer_release_is_served() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let hello = Hello { protocol: PROTOCOL + 1, schema: SCHEMA + 1, ..TestSite::new("s1").hello() };
    let (requests, receive) = mpsc::channel(4);
    let mut client = tonic::client::Grpc::new(core.agent("s1").await);
    client.ready().await.unwrap();
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/skerry.sync.v1.SiteSync/Sync");
    requests.send(field(HELLO, &newer(&hello))).await.unwrap();
    let opened = client.streaming(Request::new(ReceiverStream::new(receive)), path, Raw);
    let mut responses = within("the stream opens", opened).await.expect("it is served").into_inner();

    let first = within("an offer", responses.message()).await.unwrap().unwrap();
    let Some(Message::Offer(offer)) = first.message else { panic!("not an offer: {first:?}") };
    // A message that only newer cores know, and then one that this one knows.
    requests.send(field(99, b"how are you")).await.unwrap();
    let applied = Applied { offer: offer.number, refused: String::new() };
    requests.send(field(APPLIED, &newer(&applied))).await.unwrap();
    repository.commit("move", &[("shop/route.yaml", &crate::rig::policies::route("/older"))]);
    core.notify().await;

    let next = within("the next offer", responses.message()).await.unwrap().unwrap();
    let Some(Message::Offer(offer)) = next.message else { panic!("not an offer: {next:?}") };
    assert!(!offer.list.unwrap().base.is_empty(), "it has what it said that it has");
    assert_eq!(core.site("s1").await.summary.unwrap().turned_away, None);
    drop((requests, responses));
    core.stop().await;
}

/// The oldest release that is served is that before this one, once there is one.
#[test]
fn one_release_back_is_served() {
    assert!([PROTOCOL, PROTOCOL - 1].contains(&OLDEST_PROTOCOL));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_too_old_is_told_so_and_shown_until_it_is_upgraded() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");
    for (hello, words) in [
        (
            Hello { protocol: OLDEST_PROTOCOL - 1, ..site.hello() },
            "the agent speaks protocol 0, and this core 1 to 1",
        ),
        (Hello { schema: SCHEMA - 1, ..site.hello() }, "the agent lowers bundles up to schema 0"),
    ] {
        let error = site.connect_with(&core, hello).await.err().expect("it is refused");

        assert_eq!(error.code(), tonic::Code::FailedPrecondition);
        assert!(
            error.message().starts_with(words) && error.message().ends_with("upgrade the agent"),
            "{error}"
        );
        let summary = core.site("s1").await.summary.unwrap();
        let shown = summary.turned_away.expect("it is shown");
        assert_eq!((shown.reason.as_str(), summary.last_seen_ms), (error.message(), 0), "and nothing else");
        assert!(shown.peer.starts_with("127.0.0.1:") && shown.last_seen_ms > 0, "{shown:?}");
    }
    assert!(core.site("s2").await.summary.unwrap().turned_away.is_none());
    // A stranger's words are kept nowhere.
    let hello = Hello { protocol: 0, ..TestSite::new("s9").hello() };
    assert!(site.connect_with(&core, hello).await.is_err());

    let mut stream = site.connect(&core).await;
    stream.take_offer().await;
    assert_eq!(core.site("s1").await.summary.unwrap().turned_away, None, "it was upgraded");
    drop(stream);
    core.stop().await;
}

/// Pulls follow the same rule.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_of_an_agent_that_is_too_old_is_shown_too() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let hello = Hello { protocol: OLDEST_PROTOCOL - 1, ..TestSite::new("s1").hello() };

    let pulled =
        core.sites("s1").await.pull(skerry_proto::v1::PullRequest { hello: Some(hello), need: None }).await;

    assert_eq!(pulled.unwrap_err().code(), tonic::Code::FailedPrecondition);
    until("it is shown", || async { core.site("s1").await.summary.unwrap().turned_away }).await;
    core.stop().await;
}
