//! News of whom sites shall believe: said where a site has another version, and nowhere else.

use skerry_proto::v1::{Hello, PullRequest, RevokeSiteRequest, SyncRequest, TrustNews};

use crate::rig::core::{Home, TestCore};
use crate::rig::policies::SHOP;
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;
use crate::rig::within;

async fn revoke(core: &TestCore, site: &str) {
    core.fleet().revoke_site(RevokeSiteRequest { site: site.to_owned() }).await.expect("it is enrolled");
}

/// What a site that has a version is told when it pulls.
async fn pulled(core: &TestCore, has: u64) -> Option<TrustNews> {
    let site = TestSite::new("s1");
    let hello = Hello { trust_version: has, ..site.hello() };
    let request = PullRequest { hello: Some(hello), need: None };
    let answer = within("an answer", core.sites("s1").await.pull(request)).await;
    answer.expect("the core answers").into_inner().trust
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_hears_of_another_version_at_once_and_of_its_own_never() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let first = pulled(&core, 1).await.expect("1 is no version of today").version;
    assert_eq!(pulled(&core, first).await, None, "it costs nothing where there is nothing new");
    assert_eq!(pulled(&core, 0).await, None, "who does not say is told nothing");

    let mut site = TestSite::new("s1");
    let hello = Hello { trust_version: first, ..site.hello() };
    let mut stream = site.connect_with(&core, hello).await.expect("the core takes the hello");
    assert_eq!(stream.next_response().await.trust, None);
    core.sites("s2").await;
    revoke(&core, "s2").await;
    let news = stream.next_response().await.trust.expect("it is pushed");
    assert!(news.version > first && news.spread_seconds == 0, "{news:?}");

    // It has renewed: what it says is what it has, and the next news are news.
    let said = SyncRequest { trust_version: news.version, ..SyncRequest::default() };
    stream.send_request(said).await;
    core.sites("s3").await;
    revoke(&core, "s3").await;
    let next = stream.next_response().await.trust.expect("it is pushed");
    assert!(next.version > news.version);
    assert_eq!(pulled(&core, news.version).await.map(|news| news.version), Some(next.version));
    core.stop().await;
}
