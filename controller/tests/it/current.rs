//! Reconnects: what is current stays current, over restarts of the core and without the remote.

use skerry_proto::v1::sync_response::Message;

use crate::rig::core::Home;
use crate::rig::policies::{SHOP, route};
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;
use crate::rig::{Shop, shop};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_core_offers_nothing_to_a_site_that_is_current() {
    let (Shop { repository: _repository, home, mut site }, core) = shop().await;
    core.stop().await;

    let core = home.start_ready().await;
    let mut stream = site.connect(&core).await;

    let Message::Current(_) = stream.next_message().await else { panic!("it is not current") };
    drop(stream);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_was_away_for_two_commits_gets_one_offer() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");
    let first = site.connect(&core).await.take_offer().await;

    for path in ["/older", "/oldest"] {
        let commit = repository.commit("move", &[("shop/route.yaml", &route(path))]);
        core.notify().await;
        core.compiled(&commit).await;
    }

    let second = site.connect(&core).await.take_offer().await;
    assert_eq!(second.offer.list.as_ref().unwrap().base, first.manifest.list[..8]);
    assert_eq!((second.manifest.generation, second.responses), (3, 1));
    core.stop().await;
}

/// Invariant 6: an unreachable remote removes nothing, also when the core is restarted meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_core_without_its_remote_goes_on_serving() {
    let (Shop { repository, home, mut site }, core) = shop().await;
    let hidden = repository.hide();

    core.notify().await;
    let source = core.source_when("the error", |source| !source.error.is_empty()).await;
    assert!(!source.revision.is_empty() && !source.error_help.is_empty(), "{source:?}");
    core.stop().await;

    let core = home.start_ready().await;
    let mut newcomer = TestSite::new("s2");
    newcomer.connect(&core).await.take_offer().await;
    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("it is not current")
    };

    repository.show(&hidden);
    let commit = repository.commit("back", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;
    let source = core.compiled(&commit).await;
    assert_eq!(source.error, "");
    core.stop().await;
}

/// Invariant 3 at a restart: the deltas of a core that just started begin at what it told sites before.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_core_sends_a_delta_for_what_was_pushed_meanwhile() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let core = home.start_ready().await;
    let mut site = TestSite::new("s1");
    let first = site.connect(&core).await.take_offer().await;
    core.stop().await;

    let commit = repository.commit("meanwhile", &[("shop/route.yaml", &route("/older"))]);
    let core = home.start().await;
    core.compiled(&commit).await;

    let second = site.connect(&core).await.take_offer().await;
    assert_eq!(second.offer.list.as_ref().unwrap().base, first.manifest.list[..8]);
    assert_eq!((second.manifest.generation, second.responses), (2, 1));
    core.stop().await;
}

/// A lost mirror is fetched again, and what is in force is found in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_mirror_changes_nothing() {
    let (Shop { repository: _repository, home, mut site }, core) = shop().await;
    core.stop().await;

    fs_err::remove_dir_all(home.data_dir().join("mirror")).unwrap();
    let core = home.start_ready().await;

    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("it is not current")
    };
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_a_word_when_the_core_stops() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");
    let mut stream = site.connect(&core).await;
    stream.take_offer().await;

    let stopping = core.stop();
    let listening = async {
        let Message::RetryAfter(retry) = stream.next_message().await else { panic!("no retry") };
        assert_eq!(retry.reason, "the core is stopping");
        drop(stream);
    };
    tokio::join!(stopping, listening);
}

/// A site that comes before there is anything waits on its stream, and has the first commit at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_commit_is_offered_to_those_who_wait_for_it() {
    let repository = Repository::empty();
    let core = Home::of(repository.path()).start().await;
    let mut site = TestSite::new("s1");
    let waiting = async {
        let mut stream = site.connect(&core).await;
        stream.take_offer().await.manifest.generation
    };
    let committing = async {
        core.source_when("the empty repository was seen", |source| !source.error.is_empty()).await;
        repository.commit("first", SHOP);
        core.notify().await;
    };

    let (generation, ()) = tokio::join!(waiting, committing);

    assert_eq!(generation, 1, "and no word about coming back");
    core.stop().await;
}
