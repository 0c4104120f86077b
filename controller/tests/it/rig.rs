//! What the tests run: a policy repository, a core, a site. Waiting has a deadline everywhere.

use std::future::Future;
use std::time::Duration;

pub(crate) mod core;
pub(crate) mod papers;
pub(crate) mod policies;
pub(crate) mod repository;
pub(crate) mod site;

use core::{Home, TestCore};
use policies::SHOP;
use repository::Repository;
use site::TestSite;

/// How long anything may take; two busy cores compile and link beside the tests.
const DEADLINE: Duration = Duration::from_secs(30);

/// A policy repository, a core's folders, and a site that runs what is in them.
pub(crate) struct Shop {
    pub(crate) repository: Repository,
    pub(crate) home: Home,
    pub(crate) site: TestSite,
}

/// Starts a core with a shop, of which site `s1` has taken the first bundle.
pub(crate) async fn shop() -> (Shop, TestCore) {
    let repository = Repository::with(SHOP);
    let home = Home::of(repository.path());
    let core = home.start_ready().await;
    let mut site = TestSite::new("s1");
    site.connect(&core).await.take_offer().await;
    (Shop { repository, home, site }, core)
}

/// Waits for a future, at most until the deadline.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {DEADLINE:?}"),
    }
}

/// Asks again and again until the answer is `Some`.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    within(what, async {
        loop {
            match ask().await {
                Some(value) => return value,
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    })
    .await
}
