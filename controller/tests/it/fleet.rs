//! The fleet service: what people are shown, with its age.

use skerry_proto::v1::GetFleetRequest;

use crate::rig::core::Home;
use crate::rig::policies::SHOP;
use crate::rig::repository::Repository;
use crate::rig::{shop, until};

/// Invariant 10: figures carry their time, and a site that was never heard from has none.
#[tokio::test(flavor = "multi_thread")]
async fn a_dark_site_has_no_state_and_a_connected_one_is_seen() {
    let (mut shop, core) = shop().await;
    let stream = shop.site.connect(&core).await;

    let status = core.status().await;

    let [connected, dark] = status.sites.as_slice() else { panic!("two sites: {status:?}") };
    assert!(connected.connected && connected.last_seen_ms > 0 && connected.last_seen_ms <= status.now_ms);
    assert_eq!(
        (dark.connected, dark.last_seen_ms, dark.received_at_ms, dark.state.as_ref()),
        (false, 0, 0, None)
    );
    assert_eq!(dark.desired.len(), 32);
    assert_eq!((dark.desired_generation, dark.labels["tier"].as_str()), (1, "lab"));
    drop(stream);
    until("the site is gone", || async {
        Some(core.status().await)
            .filter(|status| !status.sites[0].connected && status.sites[0].last_seen_ms > 0)
    })
    .await;
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_site_was_seen_outlives_the_core() {
    let (shop, core) = shop().await;
    core.stop().await;

    let core = shop.home.start_ready().await;

    let status = core.status().await;
    assert!(status.sites[0].last_seen_ms > 0 && !status.sites[0].connected, "{status:?}");
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sites_come_in_pages_and_by_label() {
    let sites: String = (0..5)
        .map(|number| {
            let tier = if number % 2 == 0 { "retail" } else { "lab" };
            format!("---\napiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: s{number}, labels: {{tier: {tier}}}}}\n")
        })
        .collect();
    let repository = Repository::with(&[("sites.yaml", &sites)]);
    let core = Home::of(repository.path()).start_ready().await;
    let page = |selector: &str, limit, after: &str| {
        let request = GetFleetRequest { selector: selector.to_owned(), limit, after: after.to_owned() };
        let mut client = core.fleet();
        async move {
            let status = client.get_fleet(request).await.unwrap().into_inner();
            let names: Vec<String> = status.sites.into_iter().map(|site| site.site).collect();
            (names.join(" "), status.more)
        }
    };

    assert_eq!(page("", 2, "").await, ("s0 s1".to_owned(), true));
    assert_eq!(page("", 3, "s1").await, ("s2 s3 s4".to_owned(), false));
    assert_eq!(page("tier=retail", 2, "").await, ("s0 s2".to_owned(), true));
    assert_eq!(page("tier=retail", 2, "s2").await, ("s4".to_owned(), false));
    let request = GetFleetRequest { selector: "tier in retail".to_owned(), ..GetFleetRequest::default() };
    let error = core.fleet().get_fleet(request).await.unwrap_err();
    assert!(error.message().contains("parentheses"), "{}", error.message());
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_has_its_fragments_and_one_that_is_not_there_is_not_found() {
    let repository = Repository::with(
        &[SHOP, &[("other.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n")]].concat(),
    );
    let core = Home::of(repository.path()).start_ready().await;

    let detail = core.site("s2").await;

    let keys: Vec<&str> = detail.fragments.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, ["service/shop/cart", "service/shop/web", "settings"]);
    assert!(detail.fragments.iter().all(|row| row.id.len() == 64 && row.length > 0));
    let request = skerry_proto::v1::GetSiteRequest { site: "s9".to_owned() };
    assert_eq!(core.fleet().get_site(request).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(core.source().await.foreign["Deployment"], 1);
    core.stop().await;
}
