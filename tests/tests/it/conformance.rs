//! Gateway API's mesh conformance manifests, unchanged, through real Envoys; the expectations are ours,
//! worked out from the specification.

use std::path::Path;
use std::sync::Arc;

use skerry_tests::fleet::{Agent, Workload, XdsMode};
use skerry_tests::ports::may_listen;
use skerry_tests::run::Run;

use crate::corpora;
use crate::place::{Place, Source, run, wait_for_answer};
use crate::question::{ask_all, assert_share, count};

mod expectations;
mod headers;
mod redirects;

use expectations::{From, To, table};

const MESH: &str = "gateway-conformance-mesh";
const CONSUMER: &str = "gateway-conformance-mesh-consumer";
/// One site, in a mesh that lets go of everything unasked: each file takes the place of the one before.
const SITE: &str = "apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {name: edge}\nspec: {dataPlane: {supervision: Agent}}\n\
---\napiVersion: skerry.dev/v1alpha1\nkind: Mesh\nmetadata: {name: default}\nspec: {maxRemovalPercent: 100}\n";

/// The ports of every echo workload; only the first is served.
const PORTS: [(&str, u16); 4] = [("", 8080), ("", 8443), ("", 9090), ("", 7070)];

async fn place(run: &Run) -> Place {
    let mut place = Place::new(run, "edge", MESH);
    let consumer = Workload::new(CONSUMER, "consumer", run.net().address()).label("app", "consumer");
    place.add(consumer.sidecar(&run.net().range()));
    for version in ["v1", "v2"] {
        let workload = Workload::new(MESH, &format!("echo-{version}"), run.net().address()).ports(&PORTS);
        place.serve(workload.label("app", "echo").label("version", version), "echo", version).await;
    }
    place
}

/// Starts a core, a site and two Envoys, with the manifests' services and no route.
async fn start(run: &Arc<Run>, mesh: &Path) -> (Source, Place, Agent) {
    let mut source = Source::start(run).await;
    let place = place(run).await;
    let agent = place.start_agent(run, source.core.address(), XdsMode::Delta);
    let services = std::fs::read_to_string(mesh.join("manifests.yaml")).expect("the manifests can be read");
    source.repo.write("manifests.yaml", &services).expect("a file can be written");
    source.repo.write("site.yaml", SITE).expect("a file can be written");
    source.publish("manifests", &["edge"]).await;
    for from in [From::Mesh, From::Consumer] {
        wait_for_answer(from.service(&place, To::Echo, 80)).await;
    }
    (source, place, agent)
}

/// Puts one file of the corpora in the place of the one before it.
async fn put(source: &mut Source, mesh: &Path, file: &str) {
    let route = std::fs::read_to_string(mesh.join("tests").join(file)).expect("the file can be read");
    source.repo.write("route.yaml", &route).expect("a file can be written");
    source.publish(file, &["edge"]).await;
}

#[tokio::test]
async fn mesh_manifests_run_unchanged() {
    let Some(mesh) = corpora::find("gateway-api/mesh") else { return };
    if !may_listen(80) {
        skerry_tests::skipped::say("the manifests have services on port 80, where this user may not listen");
        return;
    }
    let run = run();
    let (mut source, place, _agent) = start(&run, &mesh).await;
    for row in table() {
        put(&mut source, &mesh, row.file).await;
        for asked in &row.asked {
            ask_all(asked.from.service(&place, asked.to, asked.port), &asked.questions).await;
        }
    }
    put(&mut source, &mesh, "httproute-weight.yaml").await;
    let counts = count(From::Mesh.service(&place, To::Echo, 80), "/", 300).await;
    assert_share(&counts, "v1", 70);
    assert_share(&counts, "v2", 30);
}

#[tokio::test]
async fn what_is_not_supported_is_named_once() {
    let Some(mesh) = corpora::find("gateway-api/mesh") else { return };
    let run = run();
    let mut source = Source::start(&run).await;
    for file in ["grpcroute-weight.yaml", "grpcroute-request-header-modifier.yaml"] {
        let route = std::fs::read_to_string(mesh.join("tests").join(file)).expect("the file can be read");
        source.repo.write(file, &route).expect("a file can be written");
    }
    source.publish("GRPCRoutes", &[]).await;
    let view = source.core.fleet().await.expect("the core answers");
    for file in ["grpcroute-weight.yaml", "grpcroute-request-header-modifier.yaml"] {
        let named = view.diagnostics().iter().filter(|diagnostic| diagnostic.file == file).count();
        assert_eq!(named, 1, "{file}: {:#?}", view.diagnostics());
    }
}

#[test]
fn every_file_has_its_expectations() {
    let Some(mesh) = corpora::find("gateway-api/mesh") else { return };
    let mut known: Vec<String> = table().iter().map(|row| row.file.to_owned()).collect();
    known.extend(
        ["httproute-weight", "grpcroute-weight", "grpcroute-request-header-modifier"]
            .map(|name| format!("{name}.yaml")),
    );
    known.sort();
    let files = std::fs::read_dir(mesh.join("tests")).expect("the folder can be read").flatten();
    let mut files: Vec<String> =
        files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    files.sort();
    assert_eq!(files, known);
}
