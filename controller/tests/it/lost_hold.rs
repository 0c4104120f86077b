//! Invariant 6: a version that is held outlives the mirror; one that is lost is missed by nobody unasked.

use skerry_proto::v1::sync_response::Message;

use crate::rig::policies::{BAD_ROUTE, route};
use crate::rig::{Shop, shop};

/// Breaks a document, and rewrites the history so that the good version is in none that can be fetched.
async fn held_and_rewritten() -> Shop {
    let (Shop { repository, home, mut site }, core) = shop().await;
    let bad = repository.commit("bad", &[("shop/route.yaml", BAD_ROUTE)]);
    core.notify().await;
    core.compiled(&bad).await;
    repository.git(&["checkout", "--quiet", "--orphan", "other"]);
    let rewritten = repository.commit("rewritten", &[]);
    repository.git(&["branch", "--force", "main", "other"]);
    repository.git(&["checkout", "--quiet", "main"]);
    core.notify().await;
    core.source_when("the hold", |source| !source.held_reason.is_empty()).await;
    core.confirm(&rewritten).await.expect("it waits for that");
    core.compiled(&rewritten).await;
    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("the site has what is held")
    };
    core.stop().await;
    fs_err::remove_dir_all(home.data_dir().join("mirror")).expect("a mirror can be lost");
    Shop { repository, home, site }
}

/// As a store was before it kept files.
fn forget_files(Shop { home, .. }: &Shop) {
    let database = redb::Database::open(home.data_dir().join("state.redb")).expect("no core has it");
    let write = database.begin_write().expect("it can be written");
    let kept = redb::TableDefinition::<&str, &[u8]>::new("kept");
    assert!(write.delete_table(kept).expect("a table can go"), "there were files");
    write.commit().expect("it can be written");
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_6_what_is_held_is_in_the_store_when_the_mirror_is_lost() {
    let Shop { repository: _repository, home, mut site } = held_and_rewritten().await;

    let core = home.start_ready().await;

    let Message::Current(_) = site.connect(&core).await.next_message().await else {
        panic!("something was taken from it")
    };
    let source = core.source().await;
    assert_eq!(source.held_reason, "");
    assert!(source.diagnostics.iter().any(|diagnostic| diagnostic.message.contains("stays in force")));
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_6_a_lost_version_is_shown_and_goes_when_that_is_confirmed() {
    let mut shop = held_and_rewritten().await;
    forget_files(&shop);
    let core = shop.home.start().await;

    let source = core.source_when("the loss", |source| !source.held_reason.is_empty()).await;

    assert!(source.held_reason.contains("HTTPRoute shop/cart (commit "), "{}", source.held_reason);
    assert!(source.held_reason.contains("`skerry source confirm "), "{}", source.held_reason);
    let mut stream = shop.site.connect(&core).await;
    let Message::Current(_) = stream.next_message().await else { panic!("something was taken from it") };

    core.confirm(&source.held_revision).await.unwrap();

    assert_eq!(stream.take_offer().await.manifest.revision, source.held_revision);
    assert_eq!(core.source().await.held_reason, "");
    drop(stream);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_6_a_lost_version_is_not_missed_when_its_document_is_mended() {
    let mut shop = held_and_rewritten().await;
    forget_files(&shop);
    let core = shop.home.start().await;
    core.source_when("the loss", |source| !source.held_reason.is_empty()).await;

    let commit = shop.repository.commit("mended", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;

    assert_eq!(core.compiled(&commit).await.held_reason, "");
    shop.site.connect(&core).await.take_offer().await;
    core.stop().await;
}
