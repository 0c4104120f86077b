//! From a commit to a site: the first bundle, deltas, and who is not told.

use skerry_controller::session::UNKNOWN_SITE_RETRY;
use skerry_proto::v1::sync_response::Message;
use skerry_proto::v1::{Applied, Encoding, FleetStatus, sync_request};

use crate::rig::core::Home;
use crate::rig::policies::{ROUTE, SHOP, SITES, WEB, route};
use crate::rig::repository::Repository;
use crate::rig::site::TestSite;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_site_gets_the_first_bundle_in_one_message() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");

    let taken = site.connect(&core).await.take_offer().await;

    assert_eq!((taken.manifest.site.as_str(), taken.manifest.generation, taken.responses), ("s1", 1, 1));
    let keys: Vec<&str> = site.list.fragments.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["service/shop/cart", "service/shop/web", "settings"]);
    assert_eq!(site.service("cart").tables.len(), 1);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_changed_route_is_one_message_with_a_delta_inside() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");
    let mut stream = site.connect(&core).await;
    let first = stream.take_offer().await;

    let commit = repository.commit("move", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;
    let second = stream.take_offer().await;

    let list = second.offer.list.as_ref().unwrap();
    assert_eq!(list.base, first.manifest.list[..8]);
    let places: Vec<u32> = list.upserts.iter().map(|entry| entry.place).collect();
    assert_eq!((places, second.responses), (vec![1], 1), "the first of the list is `service/shop/cart`");
    let [data] = second.offer.fragments.as_slice() else { panic!("one fragment is inside") };
    assert_eq!(data.encoding(), Encoding::ZstdDictionary);
    let bytes = prost::Message::encoded_len(&second.offer);
    // 75 of them are the signature.
    assert!(bytes < 230 + 75, "{bytes} bytes");
    assert_eq!((second.manifest.generation, second.manifest.removals), (2, 0));
    assert_eq!(second.manifest.revision, format!("main@sha1:{commit}"));
    drop(stream);
    core.stop().await;
}

/// Invariant 2: a change that does not select a site leaves its manifest as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_a_change_does_not_touch_is_not_told() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let (mut touched, mut other) = (TestSite::new("s1"), TestSite::new("s2"));
    let mut touched_stream = touched.connect(&core).await;
    touched_stream.take_offer().await;
    let mut other_stream = other.connect(&core).await;
    other_stream.take_offer().await;

    let only_retail = route("/older").replace(
        "metadata: {name: cart, namespace: shop}",
        "metadata: {name: cart, namespace: shop, annotations: {skerry.dev/sites: tier=retail}}",
    );
    // First both change: `s2` loses the route. Then only `s1` does.
    repository.commit("retail only", &[("shop/route.yaml", &only_retail)]);
    core.notify().await;
    touched_stream.take_offer().await;
    other_stream.take_offer().await;
    repository.commit("move", &[("shop/route.yaml", &only_retail.replace("/older", "/oldest"))]);
    core.notify().await;
    assert_eq!(touched_stream.take_offer().await.manifest.generation, 3);
    let both = repository.commit("both", &[("shop/web.yaml", &WEB.replace("8080", "9090"))]);
    core.notify().await;

    let next = other_stream.take_offer().await;
    assert_eq!(next.manifest.generation, 4, "nothing came in between");
    assert_eq!(next.manifest.revision, format!("main@sha1:{both}"));
    drop((touched_stream, other_stream));
    core.stop().await;
}

/// A route with as many rules as it may have, whose paths do not compress.
fn many_routes(name: usize) -> String {
    let rule = |number| {
        let noise = skerry_core::id::Digest::of(format!("{name} {number}").as_bytes());
        let text = "    - matches: [{path: {type: Exact, value: /NOISE}}]\n      backendRefs: [{name: web, port: 80}]\n";
        text.replace("NOISE", &noise.to_string())
    };
    let head = ROUTE.split("    - matches").next().unwrap_or_default();
    let rules: String = (0..16).map(rule).collect();
    format!("{}{rules}", head.replace("name: cart, namespace", &format!("name: r{name}, namespace")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_that_does_not_fit_comes_in_chunks() {
    let repository = Repository::with(SHOP);
    let routes: Vec<String> = (0..45).map(many_routes).collect();
    repository.commit("many routes", &[("shop/many.yaml", &routes.join("---\n"))]);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");

    let taken = site.connect(&core).await.take_offer().await;

    assert_eq!(taken.responses, 3, "an offer, and two chunks of the fragment that is too long for it");
    assert_eq!(site.service("cart").tables[0].routes.len(), 45 * 16 + 2);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_refuses_is_offered_only_what_comes_after() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s1");
    let mut stream = site.connect(&core).await;
    let first = stream.fetch_offer().await;
    let applied = Applied { offer: first.offer.number, refused: "Envoy said no".to_owned() };
    stream.send(sync_request::Message::Applied(applied)).await;

    repository.commit("move", &[("shop/route.yaml", &route("/older"))]);
    core.notify().await;

    let Message::Offer(offer) = stream.next_message().await else { panic!("an offer is due") };
    assert!(offer.list.unwrap().base.is_empty(), "it still has nothing");
    drop(stream);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_nobody_knows_is_told_when_to_come_back_until_it_is_committed() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let mut site = TestSite::new("s3");
    let mut stream = site.connect(&core).await;

    let Message::RetryAfter(retry) = stream.next_message().await else { panic!("no retry") };
    assert_eq!(retry.seconds, UNKNOWN_SITE_RETRY);
    assert_eq!(retry.reason, "site s3 is not in the policy repository");
    assert_eq!(stream.next().await.unwrap(), None, "the core hangs up");
    drop(stream);
    let sites = |status: FleetStatus| status.strangers.into_iter().map(|one| one.site).collect::<Vec<_>>();
    assert_eq!(sites(core.status().await), ["s3"], "people see that it knocks");

    let third = "---\napiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: s3}\n";
    let commit = repository.commit("s3", &[("sites.yaml", &format!("{SITES}{third}"))]);
    core.notify().await;
    core.compiled(&commit).await;
    assert_eq!(site.connect(&core).await.take_offer().await.manifest.site, "s3");
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_stream_of_a_site_takes_the_place_of_the_older() {
    let repository = Repository::with(SHOP);
    let core = Home::of(repository.path()).start_ready().await;
    let (mut first, mut second) = (TestSite::new("s1"), TestSite::new("s1"));
    let mut older = first.connect(&core).await;
    older.take_offer().await;

    let mut newer = second.connect(&core).await;
    newer.take_offer().await;

    let Message::RetryAfter(retry) = older.next_message().await else { panic!("no retry") };
    assert!(retry.reason.contains("newer stream"), "{}", retry.reason);
    assert!(core.site("s1").await.summary.unwrap().connected);
    drop((older, newer));
    core.stop().await;
}
