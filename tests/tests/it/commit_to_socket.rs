//! The same bundle, served in delta and in SotW mode and rendered with `--static`, answers the same
//! questions alike (issue: from a commit to a socket). Each answer is observed at a backend.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use skerry_tests::fleet::{StaticEnvoy, Workload, XdsMode};
use skerry_tests::run::Run;

use crate::place::{Place, Source, run, wait_for_answer};
use crate::question::{ask_all, assert_share, count};

mod backends;
mod filters;
mod matches;
mod patience;

/// The sites of the policy repository. `south` has overrides, so it answers some questions otherwise.
const SITES: [&str; 2] = ["north", "south"];
/// The index of the service `echo`, and of `plain`, which has no routes.
const ECHO: u8 = 1;
const PLAIN: u8 = 5;
const PORT: u16 = 8080;

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/answers")
}

/// A site with a client and `echo` in two versions, the first behind a sidecar of its own.
async fn place(run: &Run, site: &str) -> Place {
    let mut place = Place::new(run, site, "shop");
    let echo = |version: &str| {
        let workload = Workload::new("shop", &format!("echo-{version}"), run.net().address());
        workload.label("app", "echo").label("version", version)
    };
    place.serve(echo("v1").sidecar(&run.net().range()), "echo", "v1").await;
    place.serve(echo("v2"), "echo", "v2").await;
    place
}

/// Asks everything at one site.
async fn ask_everything(place: &Place) {
    let (echo, plain) = (place.service(ECHO, PORT), place.service(PLAIN, PORT));
    wait_for_answer(echo).await;
    let questions =
        [matches::questions(), filters::questions(), backends::questions(), patience::questions()].concat();
    ask_all(echo, &questions).await;
    ask_all(echo, &patience::questions_by_site(&place.site)).await;
    let without_routes = [backends::questions_without_routes(), patience::questions_without_routes()];
    ask_all(plain, &without_routes.concat()).await;
    assert_share(&count(echo, "/weights", 300).await, "v2", 30);
    assert_share(&count(echo, "/half-dangling", 200).await, "500", 50);
}

/// Runs a core and two sites, and asks everything at both.
async fn ask_with_agents(mode: XdsMode) {
    let run = run();
    let mut source = Source::start(&run).await;
    let mut places = Vec::new();
    for site in SITES {
        places.push(place(&run, site).await);
    }
    let core = source.core.address();
    let agents: Vec<_> = places.iter().map(|place| place.start_agent(&run, core, mode)).collect();
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.publish("answers", &SITES).await;
    for place in &places {
        ask_everything(place).await;
    }
    assert_eq!(agents.iter().map(|agent| agent.envoys().len()).sum::<usize>(), 4, "two Envoys at each site");
}

#[tokio::test]
async fn delta_answers_as_the_routes_say() {
    ask_with_agents(XdsMode::Delta).await;
}

#[tokio::test]
async fn sotw_answers_as_the_routes_say() {
    ask_with_agents(XdsMode::Sotw).await;
}

#[tokio::test]
async fn a_static_bootstrap_answers_as_the_routes_say() {
    let run = run();
    for site in SITES {
        let place = place(&run, site).await;
        let folder = run.make_folder(&format!("{site}-workloads")).expect("a folder can be made");
        for workload in &place.workloads {
            let path = folder.join(format!("{}.yaml", workload.name));
            std::fs::write(path, workload.to_file()).expect("a workload's file can be written");
        }
        let mut envoys = Vec::new();
        for workload in place.workloads.iter().filter(|workload| workload.inbound().is_some()) {
            envoys.push(start_static(&run, &place, workload, &folder).await);
        }
        ask_everything(&place).await;
        envoys.iter_mut().for_each(|envoy| envoy.must_run().expect("the Envoy goes on"));
    }
}

/// Renders a workload's bootstrap with the CLI, from a plain folder, and runs an Envoy from it.
async fn start_static(run: &Arc<Run>, place: &Place, workload: &Workload, folder: &Path) -> StaticEnvoy {
    let mut command = Command::new(run.binaries().ours("skerry").expect("the CLI is built"));
    command.args(["render", "envoy", "--static", "--site", &place.site]);
    command.arg("--workload").arg(format!("{}/{}", workload.namespace, workload.name));
    command.arg("--source").arg(policies()).arg("--workloads").arg(folder);
    let output = command.output().expect("the CLI starts");
    let (bootstrap, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!bootstrap.is_empty(), "nothing was rendered: {errors}");
    let name = format!("{}-{}", place.site, workload.name);
    let envoy =
        StaticEnvoy::start(run, &name, &bootstrap, workload.inbound().expect("it has a sidecar")).await;
    envoy.expect("the Envoy starts from its bootstrap alone")
}
