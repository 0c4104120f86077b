//! Sources that cannot be read in whole or in part: what is in force stays, and people are told.

use crate::rig::core::Home;
use crate::rig::policies::{BAD_ROUTE, SHOP, WEB};
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;

/// Invariants 7 and 11: one bad document hurts only itself, and its place is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_commit_holds_one_object_and_lets_the_others_through() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");
    let mut stream = site.connect(&core).await;
    stream.take_offer().await;
    let routes = stream.site.service("cart").tables;

    let changed = WEB.replace("8080", "9090");
    let commit = repository.commit("bad", &[("shop/route.yaml", BAD_ROUTE), ("shop/web.yaml", &changed)]);
    core.notify().await;
    let taken = stream.take_offer().await;

    let places: Vec<_> = taken.offer.list.unwrap().upserts.into_iter().map(|entry| entry.place).collect();
    assert_eq!(places, [2], "the second of the list is `service/shop/web`");
    assert_eq!(stream.site.service("cart").tables, routes, "the last good route stays");
    let source = core.compiled(&commit).await;
    assert!(source.errors >= 1, "{source:?}");
    let error = source.diagnostics.iter().find(|diagnostic| diagnostic.severity == "error").unwrap();
    assert_eq!((error.file.as_str(), error.line), ("shop/route.yaml", 9));
    assert!(!error.help.is_empty() && error.field.contains("port"), "{error:?}");
    assert!(source.diagnostics.iter().any(|diagnostic| diagnostic.code == "Held"), "{source:?}");
    drop(stream);
    core.stop().await;
}

/// A hold is kept over a restart: the bundle is still that of the last good version.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_object_is_held_over_a_restart() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let core = home.start_ready().await;
    let mut site = TestSite::new("s1");
    site.connect(&core).await.take_offer().await;
    let commit = repository.commit("bad", &[("shop/route.yaml", BAD_ROUTE)]);
    core.notify().await;
    core.compiled(&commit).await;
    core.stop().await;

    let core = home.start_ready().await;

    let next = site.connect(&core).await.next_message().await;
    assert!(matches!(next, skerry_proto::v1::sync_response::Message::Current(_)), "{next:?}");
    let source = core.source().await;
    assert!(source.diagnostics.iter().any(|diagnostic| diagnostic.code == "Held"), "{source:?}");
    core.stop().await;
}

/// Waits for an error of the source and checks that the site's bundle stays.
async fn expect_error(home: &Home, words: &str, is_restarted: bool) {
    let core = home.start().await;
    let source = core.source_when("the error", |source| !source.error.is_empty()).await;
    assert!(source.error.contains(words), "{}", source.error);
    assert!(!source.error_help.is_empty());
    let mut site = TestSite::new("s1");
    let mut stream = site.connect(&core).await;
    match is_restarted {
        true => assert_eq!(stream.take_offer().await.manifest.generation, 1),
        false => {
            let next = stream.next_message().await;
            assert!(matches!(next, skerry_proto::v1::sync_response::Message::RetryAfter(_)), "{next:?}");
        }
    }
    drop(stream);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_is_an_error_that_says_so() {
    let repository = Repository::empty();
    expect_error(&Home::of(repository.path()), "is empty", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_not_there_is_an_error_that_says_so() {
    let repository = Repository::with(SHOP);
    expect_error(&Home::with(repository.path(), "  path: polices\n"), "there is no folder `polices`", false)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_not_there_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    expect_error(&Home::of(&folder.path().join("nothing")), "nothing", false).await;
}

/// Invariant 6: a path that becomes wrong, or a branch that is deleted, removes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_becomes_wrong_removes_nothing() {
    let repository = Repository::with(SHOP);
    let mut home = Home::with(repository.path(), "  path: .\n");
    home.start_ready().await.stop().await;

    home.edit("path: .", "path: polices");

    expect_error(&home, "there is no folder `polices`", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_branch_removes_nothing() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    home.start_ready().await.stop().await;

    repository.git(&["branch", "--move", "main", "trunk"]);

    expect_error(&home, "has no branch `main`", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_cannot_be_read_are_an_error_that_names_the_file() {
    let repository = Repository::with(SHOP);
    let spec = "  credentials: {usernameFile: no-user, passwordFile: no-password}\n";
    expect_error(&Home::with(repository.path(), spec), "no-user", false).await;
}
