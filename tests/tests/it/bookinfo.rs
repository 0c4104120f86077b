//! Bookinfo's routes for `reviews`, unchanged, through a real Envoy with backends of ours.

use std::path::Path;
use std::sync::Arc;

use skerry_tests::fleet::{Agent, Workload, XdsMode};
use skerry_tests::run::Run;

use crate::corpora;
use crate::place::{Place, Source, run, wait_for_answer};
use crate::question::{assert_share, count};

/// Bookinfo has one service for all versions; its routes want one for each, which its samples make by hand.
const VERSIONS: [(&str, &str); 6] = [
    ("reviews", "v1"),
    ("reviews", "v2"),
    ("reviews", "v3"),
    ("productpage", "v1"),
    ("ratings", "v1"),
    ("details", "v1"),
];
/// The index of `reviews` among the services, which are indexed by name: before it come details,
/// details-v1, productpage, productpage-v1, ratings and ratings-v1.
const REVIEWS: u8 = 7;

fn version_service(app: &str, version: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {app}-{version}}}\nspec:\n  \
         selector: {{app: {app}, version: {version}}}\n  ports: [{{name: http, port: 9080}}]\n---\n"
    )
}

async fn place(run: &Run) -> Place {
    let mut place = Place::new(run, "edge", "default");
    for (app, version) in VERSIONS {
        let workload = Workload::new("default", &format!("{app}-{version}"), run.net().address());
        place.serve(workload.label("app", app).label("version", version), app, version).await;
    }
    place
}

/// Starts a core, a site and its Envoy, with bookinfo's services and no route.
async fn start(run: &Arc<Run>, bookinfo: &Path) -> (Source, Place, Agent) {
    let mut source = Source::start(run).await;
    let place = place(run).await;
    let agent = place.start_agent(run, source.core.address(), XdsMode::Delta);
    let site = "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: edge}\nspec: {dataPlane: {supervision: Agent}}\n";
    let versions: String = VERSIONS.iter().map(|(app, version)| version_service(app, version)).collect();
    let services = std::fs::read_to_string(bookinfo.join("bookinfo.yaml")).expect("bookinfo can be read");
    for (path, content) in [("site.yaml", site), ("versions.yaml", &versions), ("bookinfo.yaml", &services)] {
        source.repo.write(path, content).expect("a file can be written");
    }
    source.publish("bookinfo", &["edge"]).await;
    wait_for_answer(place.service(REVIEWS, 9080)).await;
    (source, place, agent)
}

#[tokio::test]
async fn routes_of_reviews_run_unchanged() {
    let Some(bookinfo) = corpora::find("bookinfo") else { return };
    let run = run();
    let (mut source, place, _agent) = start(&run, &bookinfo).await;
    let expected = [
        ("route-reviews-v1.yaml", [("v1", 100), ("v2", 0), ("v3", 0)]),
        ("route-reviews-90-10.yaml", [("v1", 90), ("v2", 10), ("v3", 0)]),
        ("route-reviews-50-v3.yaml", [("v1", 50), ("v2", 0), ("v3", 50)]),
        ("route-reviews-v3.yaml", [("v1", 0), ("v2", 0), ("v3", 100)]),
        ("route-all-v1.yaml", [("v1", 100), ("v2", 0), ("v3", 0)]),
    ];
    for (file, shares) in expected {
        let route =
            std::fs::read_to_string(bookinfo.join("gateway-api").join(file)).expect("the route can be read");
        source.repo.write("route.yaml", &route).expect("a file can be written");
        source.publish(file, &["edge"]).await;
        let counts = count(place.service(REVIEWS, 9080), "/reviews/1", 200).await;
        for (version, percent) in shares {
            assert_share(&counts, version, percent);
        }
    }
}
