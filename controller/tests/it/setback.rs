//! A state store that is an older copy, or lost: the core learns it from the sites, and they follow it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use skerry_controller::clock::Clock;
use skerry_core::id::Timestamp;
use skerry_proto::v1::Hello;
use skerry_proto::v1::sync_response::Message;

use crate::rig::core::{Home, TestCore};
use crate::rig::policies::{SHOP, route};
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;
use crate::rig::{Shop, shop};

/// Ten years in milliseconds.
const TEN_YEARS: u64 = 10 * 365 * 86_400_000;

/// Commits, waits until the core has compiled that, and returns the commit.
async fn commit(shop: &Shop, core: &TestCore, path: &str) -> String {
    let commit = shop.repository.commit("move", &[("shop/route.yaml", &route(path))]);
    core.notify().await;
    core.compiled(&commit).await;
    commit
}

/// Copies the store, and publishes something after that, which the site takes: the core, its store, and the copy.
async fn back_up_and_go_on(shop: &mut Shop, core: TestCore) -> (TestCore, PathBuf, PathBuf) {
    core.stop().await;
    let (state, copy) = (shop.home.data_dir().join("state.redb"), shop.home.data_dir().join("backup"));
    fs_err::copy(&state, &copy).expect("the store is there");
    let core = shop.home.start_ready().await;
    commit(shop, &core, "/two").await;
    shop.site.connect(&core).await.take_offer().await;
    (core, state, copy)
}

/// Invariant 4 from the core's side: a site refuses what is not above its floor, so that has to rise.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_4_a_store_from_a_backup_begins_an_epoch_above_what_sites_accepted() {
    let (mut shop, core) = shop().await;
    let (core, state, copy) = back_up_and_go_on(&mut shop, core).await;
    let newest = commit(&shop, &core, "/three").await;
    shop.site.connect(&core).await.take_offer().await;
    let before = shop.site.place();
    assert_eq!(before.1, 3);
    core.stop().await;

    fs_err::copy(&copy, &state).unwrap();
    let core = shop.home.start_ready().await;
    // It begins with what the copy says is in force.
    core.compiled(&newest).await;
    let taken = shop.site.connect(&core).await.take_offer().await;

    assert!(shop.site.place() > before, "{:?} is not above {before:?}", shop.site.place());
    assert_eq!(taken.offer.fragments, [], "it has all of them");
    // The epoch outlives the core, and begins once.
    core.stop().await;
    let core = shop.home.start_ready().await;
    let said = shop.site.connect(&core).await.next_message().await;
    assert!(matches!(said, Message::Current(_)), "{said:?}");
    core.stop().await;
}

/// The copy has counted on to where the site stands before that is heard of: two manifests with one generation.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_4_a_store_from_a_backup_that_gave_a_generation_again_begins_an_epoch() {
    let (mut shop, core) = shop().await;
    let (core, state, copy) = back_up_and_go_on(&mut shop, core).await;
    let before = shop.site.place();
    core.stop().await;

    fs_err::copy(&copy, &state).unwrap();
    let newest = shop.repository.commit("move", &[("shop/route.yaml", &route("/three"))]);
    let core = shop.home.start().await;
    // It begins with what the copy says is in force, and the site stays away for so long.
    core.compiled(&newest).await;
    shop.site.connect(&core).await.take_offer().await;
    let after = shop.site.place();
    assert!(after.0 > before.0, "{after:?} is no new epoch after {before:?}");
    assert_eq!(after.1, before.1, "the copy counted on");
    core.stop().await;
}

/// A connected site follows the new epoch too, whoever brought it about.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_epoch_is_offered_to_all_who_are_connected() {
    let (mut shop, core) = shop().await;
    let mut other = TestSite::new("s2");
    let mut stream = other.connect(&core).await;
    stream.take_offer().await;

    let (epoch, generation) = shop.site.place();
    let hello = Hello { generation: generation + 1, ..shop.site.hello() };
    let mut first = shop.site.connect_with(&core, hello).await.unwrap();

    assert!(first.take_offer().await.manifest.epoch > epoch);
    assert!(stream.take_offer().await.manifest.epoch > epoch);
    // Who names what cannot be is served as before, and changes nothing.
    let hello = Hello { epoch: u64::MAX, ..first.site.hello() };
    drop(first);
    let mut stream = shop.site.connect_with(&core, hello).await.unwrap();
    let Message::Current(_) = stream.next_message().await else { panic!("it is not current") };
    drop(stream);
    core.stop().await;
}

/// A fixed time, and so the first epoch of a store that begins then.
const BEGINS: u64 = 1_790_000_000;

/// Invariant 7: an agent that is enrolled at another core, and was pointed here, is no witness of this core's store:
/// neither while the core has not read its source yet nor afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_7_whose_site_nobody_knows_begins_no_epoch() {
    let repository = Repository::empty();
    let core = Home::of(repository.path()).start_with(Clock::of(|| Timestamp(BEGINS * 1000))).await;
    let (mut stranger, mut site) = (TestSite::new("s9"), TestSite::new("s1"));
    let from_elsewhere = Hello { epoch: BEGINS + 50, generation: 7, ..stranger.hello() };

    // One comes before the source was read, and waits for it.
    let coming = async {
        let stream = stranger.connect_with(&core, from_elsewhere.clone()).await;
        stream.expect("the core takes the hello").next_message().await
    };
    let committing = async {
        let commit = repository.commit("first", SHOP);
        core.notify().await;
        core.compiled(&commit).await;
    };
    let (said, ()) = tokio::join!(coming, committing);

    let Message::RetryAfter(retry) = said else { panic!("nobody knows it: {said:?}") };
    assert!(retry.reason.contains("is not in the policy repository"), "{}", retry.reason);
    let mut stream = site.connect(&core).await;
    assert_eq!(stream.take_offer().await.manifest.epoch, BEGINS);
    let mut stranger = TestSite::new("s9");
    let mut other = stranger.connect_with(&core, from_elsewhere).await.expect("the core takes the hello");
    let Message::RetryAfter(_) = other.next_message().await else { panic!("nobody knows it") };
    drop(other);
    let Message::Current(_) = stream.again(&core).await.next_message().await else {
        panic!("an epoch began")
    };
    core.stop().await;
}

/// A core whose store was lost knows no site: it hears of the loss all the same from the first that comes.
#[tokio::test(flavor = "multi_thread")]
async fn invariant_4_a_site_that_comes_before_the_source_was_read_begins_an_epoch_after_it() {
    let repository = Repository::empty();
    let core = Home::of(repository.path()).start_with(Clock::of(|| Timestamp(BEGINS * 1000))).await;
    let mut site = TestSite::new("s1");
    let hello = Hello { epoch: BEGINS + 50, generation: 7, ..site.hello() };

    let coming = async {
        let mut stream = site.connect_with(&core, hello).await.expect("the core takes the hello");
        stream.take_offer().await.manifest.epoch
    };
    let committing = async {
        repository.commit("first", SHOP);
        core.notify().await;
    };
    let (epoch, ()) = tokio::join!(coming, committing);

    assert_eq!(epoch, BEGINS + 51);
    core.stop().await;
}

/// The clock jumps ten years ahead, and then ten years back: numbers go on rising, and everything is served.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ten_years_either_way_changes_no_order() {
    let (mut shop, core) = shop().await;
    core.stop().await;
    let now = Arc::new(AtomicU64::new(Clock::system().now().0));
    let clock = || {
        let now = Arc::clone(&now);
        Clock::of(move || Timestamp(now.load(Ordering::Acquire)))
    };
    let core = shop.home.start_with(clock()).await;
    let mut places = vec![shop.site.place()];
    for (path, jump) in
        [("/two", i64::try_from(TEN_YEARS).unwrap()), ("/three", -2 * i64::try_from(TEN_YEARS).unwrap())]
    {
        now.fetch_add(jump.cast_unsigned(), Ordering::AcqRel);
        commit(&shop, &core, path).await;
        shop.site.connect(&core).await.take_offer().await;
        places.push(shop.site.place());
    }
    assert!(places.is_sorted_by(|one, next| one.0 == next.0 && one.1 < next.1), "{places:?}");
    core.stop().await;

    // A store that begins anew at a clock that is ten years late still gets above.
    fs_err::remove_file(shop.home.data_dir().join("state.redb")).unwrap();
    let core = shop.home.start_with(clock()).await;
    core.source_when("the first revision", |source| !source.revision.is_empty()).await;
    let before = shop.site.place();
    shop.site.connect(&core).await.take_offer().await;
    assert!(shop.site.place() > before);
    core.stop().await;
}

/// The clock jumps ten years ahead and back: whose site it is does not depend on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ten_years_lets_no_other_agent_in() {
    let (mut shop, core) = shop().await;
    core.stop().await;
    let now = Arc::new(AtomicU64::new(Clock::system().now().0));
    let read = Arc::clone(&now);
    let core = shop.home.start_with(Clock::of(move || Timestamp(read.load(Ordering::Acquire)))).await;
    core.source_when("the first revision", |source| !source.revision.is_empty()).await;
    let mut first = shop.site.connect(&core).await;
    let Message::Current(_) = first.next_message().await else { panic!("it is current") };
    let mut rival = TestSite::new("s1");
    for jump in [TEN_YEARS.cast_signed(), -2 * TEN_YEARS.cast_signed()] {
        now.fetch_add(jump.cast_unsigned(), Ordering::AcqRel);
        let hello = Hello { boot: vec![9; skerry_proto::limits::BOOT_BYTES], ..rival.hello() };
        let mut stream = rival.connect_with(&core, hello).await.unwrap();
        let Message::RetryAfter(retry) = stream.next_message().await else { panic!("the first is there") };
        assert!(retry.reason.starts_with("two agents claim this site"), "{}", retry.reason);
        let summary = core.site("s1").await.summary.unwrap();
        assert!(summary.connected && summary.rival.is_some(), "{summary:?}");
    }
    drop(first);
    core.stop().await;
}
