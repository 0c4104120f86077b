//! Who may call, from a commit to a refusal: a real core, agent and Envoys, and the same policy as a static bootstrap.
//! Callers have no certificate here: the rules are about methods and paths.

use std::path::{Path, PathBuf};
use std::process::Command;

use hyper::Method;
use skerry_tests::fleet::{StaticEnvoy, XdsMode};

use crate::place::{Place, Source, run, wait_for_answer};
use crate::question::{Question, ask_all};

const SITE: &str = "edge";

fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/guarded")
}

/// What the policies of the fixture let pass.
fn questions() -> Vec<Question> {
    vec![
        Question::get("what is public", "/public/a?b=c").path("/public/a"),
        Question::new("an order", Method::POST, "/orders").by("v1"),
        Question::new("a method that no rule has", Method::PUT, "/public").status(403),
        Question::get("a path that no rule has", "/private").status(403),
        Question::get("an exact path has nothing below it", "/orders/1").status(403),
        Question::get("what is denied though it is allowed", "/public/internal/a").status(403),
        Question::get("the same in another spelling", "/public//internal").status(403),
        Question::get("a path that servers read in two ways", "/public/..%2fprivate").status(400),
    ]
}

/// A policy that allows, with a mistake in its only rule; it never was without.
const NEVER_GOOD: &str = "apiVersion: skerry.dev/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: fresh, namespace: shop}\n\
                          spec:\n  targetRefs: [{kind: Service, name: echo}]\n  action: Allow\n  rules:\n  - to: [{methods: [GETT]}]\n";

#[tokio::test]
async fn a_mistake_opens_nothing_and_a_removal_does() {
    let run = run();
    let mut source = Source::start(&run).await;
    let place = Place::with_guarded_echo(&run, SITE).await;
    let _agent = place.start_agent(&run, source.core.address(), XdsMode::Delta);
    source.repo.copy_from(&policies()).expect("the fixture is there");
    source.publish("first", &[SITE]).await;
    let echo = place.service(1, 8080);
    wait_for_answer(echo).await;
    ask_all(echo, &questions()).await;

    let release =
        |release: &'static str| Question::get("the release", "/public").header("x-release", release);
    source
        .repo
        .replace("authorization.yaml", "methods: [GET]", "methods: [GETT]")
        .expect("the policy is there");
    source.repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
    source.publish("a mistake in a policy that was good", &[SITE]).await;
    ask_all(echo, &[questions(), vec![release("second")]].concat()).await;
    let view = source.core.fleet().await.expect("the core answers");
    let codes: Vec<_> = view.diagnostics().iter().map(|found| found.code.as_str()).collect();
    assert_eq!(codes, ["Held", "UnknownValue"], "{:#?}", view.diagnostics());

    source.repo.remove("authorization.yaml").expect("the policies are there");
    source.repo.replace("echo.yaml", "value: second", "value: third").expect("the release is there");
    source.publish("no policies any more", &[SITE]).await;
    let open = Question::get("anything", "/private").header("x-release", "third");
    ask_all(echo, &[open, Question::get("what was denied", "/public/internal").by("v1")]).await;

    source.repo.write("fresh.yaml", NEVER_GOOD).expect("a file can be written");
    source.publish("a policy that never was good", &[SITE]).await;
    let shut = |path| Question::get("a rule that cannot be read allows nothing", path).status(403);
    ask_all(echo, &[shut("/private"), shut("/public")]).await;
}

#[tokio::test]
async fn a_static_bootstrap_guards_as_the_agent_does() {
    let run = run();
    let place = Place::with_guarded_echo(&run, SITE).await;
    let folder = run.make_folder("workloads").expect("a folder can be made");
    for workload in &place.workloads {
        let path = folder.join(format!("{}.yaml", workload.name));
        std::fs::write(path, workload.to_file()).expect("a workload's file can be written");
    }
    let mut command = Command::new(run.binaries().ours("skerry").expect("the CLI is built"));
    command.args(["render", "envoy", "--static", "--site", SITE, "--workload", "shop/echo-v1"]);
    command.arg("--source").arg(policies()).arg("--workloads").arg(folder);
    let output = command.output().expect("the CLI starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let inbound = place.workloads[1].inbound().expect("it has a sidecar");
    let bootstrap = String::from_utf8_lossy(&output.stdout);
    let mut envoy = StaticEnvoy::start(&run, "guarded", &bootstrap, inbound).await.expect("the Envoy starts");
    ask_all(inbound, &questions()).await;
    envoy.must_run().expect("the Envoy goes on");
}
