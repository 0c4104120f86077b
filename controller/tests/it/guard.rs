//! Invariant 6: moves of the branch that take something back are held until they are confirmed.

use skerry_proto::v1::FleetStatus;
use skerry_proto::v1::sync_response::Message;

use crate::rig::core::{Home, TestCore};
use crate::rig::policies::{SHOP, SITES, route};
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;
use crate::rig::until;

/// Waits until a head is held; returns its revision.
async fn held(core: &TestCore, words: &str) -> String {
    let source = core.source_when("the hold", |source| source.held_reason.contains(words)).await;
    assert_ne!(source.held_revision, source.revision);
    source.held_revision
}

#[tokio::test(flavor = "multi_thread")]
async fn a_force_push_is_held_until_it_is_confirmed() {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let core = home.start_ready().await;
    let mut site = TestSite::new("s1");
    site.connect(&core).await.take_offer().await;
    repository.git(&["checkout", "--quiet", "--orphan", "other"]);
    let commit = repository.commit("rewritten", &[("shop/route.yaml", &route("/older"))]);
    repository.git(&["branch", "--force", "main", "other"]);

    core.notify().await;
    let revision = held(&core, "the branch was rewritten").await;
    assert_eq!(revision, format!("main@sha1:{commit}"));
    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("it is not current")
    };

    let error = core.confirm("main@sha1:0000000000000000000000000000000000000000").await.unwrap_err();
    assert!(error.message().contains("waits for a confirmation"), "{}", error.message());
    core.stop().await;

    // The hold outlives a restart, and so does what is in force.
    let core = home.start_ready().await;
    held(&core, "the branch was rewritten").await;
    let mut stream = site.connect(&core).await;
    let Message::Current(_) = stream.next_message().await else { panic!("it is not current") };

    core.confirm(&revision).await.unwrap();

    assert_eq!(stream.take_offer().await.manifest.revision, revision);
    let source = core.compiled(&commit).await;
    assert_eq!((source.held_revision.as_str(), source.held_reason.as_str()), ("", ""));
    let error = core.confirm("main@sha1:0000000000000000000000000000000000000000").await.unwrap_err();
    assert_eq!(error.message(), "nothing waits for a confirmation");
    drop(stream);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_set_back_is_held_until_it_is_confirmed_by_a_short_hash() {
    let repository = Repository::with(SHOP);
    let first = repository.git(&["rev-parse", "HEAD"]);
    let core = Home::of(repository.path()).start_ready().await;
    let second = repository.commit("second", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;
    core.compiled(&second).await;

    repository.git(&["reset", "--quiet", "--hard", &first]);
    core.notify().await;
    held(&core, "takes 1 commit back").await;

    core.confirm(&first[..8]).await.unwrap();
    core.compiled(&first).await;
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_when_the_former_history_comes_back() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let second = repository.commit("second", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;
    core.compiled(&second).await;
    repository.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    core.notify().await;
    held(&core, "takes 1 commit back").await;

    repository.git(&["reset", "--quiet", "--hard", &second]);
    core.notify().await;

    core.source_when("no hold", |source| source.held_reason.is_empty()).await;
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_empties_the_world_is_held_until_it_is_confirmed() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");
    site.connect(&core).await.take_offer().await;

    let gone: Vec<(&str, &str)> = SHOP.iter().map(|(name, _)| (*name, "")).collect();
    repository.commit("all gone", &[gone, vec![("README.md", "nothing")]].concat());
    core.notify().await;
    let revision = held(&core, "has no object of ours").await;
    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("it is not current")
    };

    // What comes after it is taken as if it had not been.
    let back = repository.commit("back", SHOP);
    core.notify().await;
    core.compiled(&back).await;
    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("it is not current")
    };
    assert!(core.confirm(&revision).await.is_err(), "the hold has ended");

    // An empty world that was meant takes the sites away.
    repository.commit("all gone", &SHOP.iter().map(|(name, _)| (*name, "")).collect::<Vec<_>>());
    core.notify().await;
    let revision = held(&core, "has no object of ours").await;
    core.confirm(&revision).await.unwrap();
    until("no sites", || async { Some(core.status().await).filter(|status| status.sites.is_empty()) }).await;
    let Message::RetryAfter(_) = site.connect(&core).await.next_message().await else {
        panic!("it is unknown")
    };
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_repository_in_the_source_file_is_held_like_a_force_push() {
    let repository = Repository::with(SHOP);
    let mut home = Home::of(repository.path());
    home.start_ready().await.stop().await;
    let other = Repository::with(&[(
        "mesh.yaml",
        "apiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: m}\n",
    )]);

    home.edit(&repository.path().display().to_string(), &other.path().display().to_string());
    let core = home.start_ready().await;

    held(&core, "the branch was rewritten").await;
    assert_eq!(core.status().await.sites.len(), 2);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_path_in_the_source_file_is_held_until_it_is_confirmed() {
    let lab = SITES.replace("s1", "lab1").replace("s2", "lab2");
    let repository = Repository::with(&[("prod/sites.yaml", SITES), ("lab/sites.yaml", &lab)]);
    let mut home = Home::with(repository.path(), "  path: prod\n");
    home.start_ready().await.stop().await;

    home.edit("path: prod", "path: lab");
    let core = home.start_ready().await;

    let hold = "the path was changed from `prod` to `lab`";
    let source = core.source_when("the hold", |source| source.held_reason.contains(hold)).await;
    let names = |status: FleetStatus| status.sites.into_iter().map(|site| site.site).collect::<Vec<_>>();
    assert_eq!(names(core.status().await), ["s1", "s2"]);

    core.confirm(&source.held_revision).await.unwrap();
    until("the other sites", || async { (names(core.status().await) == ["lab1", "lab2"]).then_some(()) })
        .await;
    core.stop().await;
}
