//! What the core has no room for is told when to come back, and comes in when there is room.

use std::net::SocketAddr;
use std::time::Duration;

use prost::Message as _;
use skerry_controller::admission::Limits;
use skerry_core::bundle::v1::Manifest;
use skerry_proto::v1::pull_response::Outcome;
use skerry_proto::v1::sync_response::Message;
use skerry_proto::v1::{Applied, FragmentWant, Need, RetryAfter, SyncRequest, sync_request};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_stream::wrappers::ReceiverStream;

use crate::rig::core::{Home, TestCore};
use crate::rig::policies::SHOP;
use crate::rig::repository::Repository;
use crate::rig::site::{Connected, TestSite};
use crate::rig::{until, within};

/// Longer than a test may take.
const HOUR: Duration = Duration::from_secs(3_600);

/// Comes to the core, and is told to come back; the core hangs up.
async fn sent_away(site: &mut TestSite, core: &TestCore) -> RetryAfter {
    let mut stream = site.connect(core).await;
    let Message::RetryAfter(retry) = stream.next_message().await else { panic!("there is no room") };
    let after = stream.next().await.expect("the stream is good");
    assert_eq!(after, None, "the core hangs up");
    retry
}

/// Comes to the core again and again until it is offered a bundle, fetches that, and keeps the stream.
async fn comes_in<'a>(site: &'a mut TestSite, core: &TestCore) -> Connected<'a> {
    let mut stream = site.connect(core).await;
    let coming = async move {
        loop {
            match stream.next_message().await {
                Message::Offer(offer) => {
                    stream.fetch(offer).await;
                    return stream;
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            stream = stream.again(core).await;
        }
    };
    within("there is room", coming).await
}

/// A core that takes on one stream at a time, and the repository that it reads.
async fn with_room_for_one_stream() -> (TestCore, Repository) {
    let repository = Repository::with(SHOP);
    let limits = Limits { streams: 1, ..Limits::default() };
    (Home::of(repository.path()).start_limited(limits).await, repository)
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_a_stream_too_many_comes_back_later_and_is_served_then() {
    let (core, _repository) = with_room_for_one_stream().await;
    let (mut first, mut second) = (TestSite::new("s1"), TestSite::new("s2"));
    let mut stream = first.connect(&core).await;
    stream.take_offer().await;

    let retry = sent_away(&mut second, &core).await;

    assert!((150..=300).contains(&retry.seconds), "streams last: {retry:?}");
    assert_eq!(retry.reason, "the core has its hands full");
    assert!(core.site("s1").await.summary.unwrap().connected, "the first is not hurt");
    drop(stream);
    comes_in(&mut second, &core).await;
    assert_eq!(second.place().1, 1);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_a_whole_bundle_too_many_comes_back_later_and_is_served_then() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let core = home.start_limited(Limits { bundles: 1, ..Limits::default() }).await;
    let (mut first, mut second) = (TestSite::new("s1"), TestSite::new("s2"));
    let mut stream = first.connect(&core).await;
    let offer = stream.fetch_offer().await.offer.number;

    // One bundle a second, before any was measured: each who comes is given the second after that of the one before.
    for at_most in [1, 2, 3] {
        let retry = sent_away(&mut second, &core).await;
        assert!((1..=at_most).contains(&retry.seconds), "{retry:?}");
    }

    stream.send(sync_request::Message::Applied(Applied { offer, refused: String::new() })).await;
    let holding = comes_in(&mut second, &core).await;
    drop(stream);
    let Message::Current(_) = first.connect(&core).await.next_message().await else {
        panic!("what needs no whole bundle needs no place")
    };
    drop(holding);
    core.stop().await;
}

/// Pulls, and is told to come back.
async fn pulls_in_vain(site: &TestSite, core: &TestCore) -> RetryAfter {
    match site.pull(core, None).await.outcome {
        Some(Outcome::RetryAfter(retry)) => retry,
        other => panic!("there is no room: {other:?}"),
    }
}

/// Pulls over a connection of its own, again and again until it is offered something.
async fn pulls_in(site: &TestSite, core: &TestCore) -> TestCore {
    until("there is room", || async {
        let own = core.anew();
        let answer = site.pull(&own, None).await;
        matches!(answer.outcome, Some(Outcome::Offer(_))).then_some(own)
    })
    .await
}

/// Who pulls takes a place as who has a stream: an answer that nobody takes weighs as much.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_who_pulls_where_there_is_no_stream_left_comes_back_later_and_is_served_then() {
    let (core, _repository) = with_room_for_one_stream().await;
    let (mut first, mut second) = (TestSite::new("s1"), TestSite::new("s2"));
    let mut stream = first.connect(&core).await;
    stream.take_offer().await;

    let retry = pulls_in_vain(&second, &core.anew()).await;

    assert!((150..=300).contains(&retry.seconds), "streams last: {retry:?}");
    drop(stream);
    let pulling = pulls_in(&second, &core).await;
    // And the other way round, until it hangs up.
    sent_away(&mut first, &core).await;
    drop(pulling);
    comes_in(&mut second, &core).await;
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_who_pulls_a_whole_bundle_too_many_comes_back_later_and_is_served_then() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let core = home.start_limited(Limits { bundles: 1, ..Limits::default() }).await;
    let (first, second) = (TestSite::new("s1"), TestSite::new("s2"));
    let pulling = pulls_in(&first, &core).await;

    // One bundle a second, before any was measured: each who comes is given the second after that of the one before.
    for at_most in [1, 2, 3] {
        let retry = pulls_in_vain(&second, &core.anew()).await;
        assert!((1..=at_most).contains(&retry.seconds), "{retry:?}");
    }
    // What is asked for is part of it, and comes to the one who is in.
    let mut current = TestSite::new("s1");
    let wanted = {
        let Some(Outcome::Offer(offer)) = first.pull(&pulling, None).await.outcome else {
            panic!("it is in")
        };
        let manifest = Manifest::decode(&*offer.manifest).expect("a manifest is protobuf");
        current.manifest = offer.manifest;
        Need { fragments: vec![FragmentWant { id: manifest.list, offset: 0 }] }
    };
    assert_eq!(first.pull(&pulling, Some(wanted.clone())).await.chunks.len(), 1);
    let refused = second.pull(&core.anew(), Some(wanted)).await;
    assert!(matches!(refused.outcome, Some(Outcome::RetryAfter(_))) && refused.chunks.is_empty());

    // Its word that it runs it gives the place back, although it stays.
    let said = current.pull(&pulling, None).await.outcome;
    assert!(matches!(said, Some(Outcome::Current(_))), "{said:?}");
    let other = pulls_in(&second, &core).await;
    drop((pulling, other));
    pulls_in(&first, &core).await;
    core.stop().await;
}

/// How many connections wait in the kernel for this listener to accept them.
fn not_accepted(listener: SocketAddr) -> u64 {
    let SocketAddr::V4(address) = listener else { panic!("tests listen on IPv4") };
    let ip = u32::from_ne_bytes(address.ip().octets());
    let name = format!("{ip:08X}:{:04X}", address.port());
    let table = fs_err::read_to_string("/proc/net/tcp").expect("a kernel with TCP");
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut listening = row.filter(|row| row.len() > 4 && row[1] == name && row[3] == "0A");
    let queues = listening.next().expect("it listens")[4];
    u64::from_str_radix(queues.split(':').nth(1).expect("two queues"), 16).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_a_handshake_too_many_waits_outside() {
    let repository = Repository::with(SHOP);
    let limits = Limits { handshakes: 2, handshake_deadline: HOUR, ..Limits::default() };
    let core = Home::of(repository.path()).start_limited(limits).await;
    let mut mute = Vec::new();
    for _ in 0..2 {
        mute.push(TcpStream::connect(core.address).await.unwrap());
    }
    until("both are accepted", || async { (not_accepted(core.address) == 0).then_some(()) }).await;

    let (anew, mut site) = (core.anew(), TestSite::new("s1"));
    let coming = async { site.connect(&anew).await.take_offer().await.manifest.generation };
    let going = async {
        until("the third waits", || async { (not_accepted(core.address) == 1).then_some(()) }).await;
        // Those who are in already are served meanwhile.
        core.status().await;
        assert_eq!(not_accepted(core.address), 1, "it still does");
        drop(mute.pop());
    };
    let (generation, ()) = tokio::join!(coming, going);

    assert_eq!(generation, 1);
    drop(anew);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_who_says_nothing_is_cut_off_at_the_deadline() {
    let repository = Repository::with(SHOP);
    let deadline = Duration::from_millis(300);
    let limits = Limits { handshakes: 1, handshake_deadline: deadline, ..Limits::default() };
    let core = Home::of(repository.path()).start_limited(limits).await;
    let mut mute = TcpStream::connect(core.address).await.unwrap();

    // There is one place, so this comes in when the core is tired of the other.
    let mut site = TestSite::new("s1");
    site.connect(&core.anew()).await.take_offer().await;
    // What the core says first may be there still. An error is an end as well.
    let _is_closed = within("the connection ends", mute.read_to_end(&mut Vec::new())).await;

    // A request without its first message is no better: whichever of the two deadlines it meets first.
    let (_silent, nothing) = tokio::sync::mpsc::channel::<SyncRequest>(1);
    let answer = within("an answer", core.anew().sites("s1").await.sync(ReceiverStream::new(nothing))).await;
    let error = answer.expect_err("there is no hello");
    assert!(error.code() != tonic::Code::DeadlineExceeded || error.message() == "no hello came", "{error}");
    core.stop().await;
}
