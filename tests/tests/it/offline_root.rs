//! A mesh root that is kept offline: a box waits for the ceremony, and is the site's with what comes of it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use skerry_agent::enrolment::Enrolment;
use skerry_identity::ca::Authority as _;
use skerry_identity::certificate::Certificate;
use skerry_identity::trust_bundle::TrustBundle;
use skerry_tests::run::Run;

use crate::place::{Source, run};
use crate::said::Said;

const SITE: &str = "edge";

struct World {
    run: Arc<Run>,
    source: Source,
}

impl World {
    async fn start() -> Self {
        let run = run();
        let mut ceremony = Command::new(run.binaries().ours("skerry").expect("it is built"));
        ceremony.args(["root", "create", "--mesh", "mesh.local", "--dir"]).arg(run.folder().join("root"));
        Said::by(&mut ceremony).done();
        // The core is given the certificate and nothing else.
        let certificate = run.folder().join("copy.crt");
        fs_err::copy(run.folder().join("root/root.crt"), &certificate).expect("a copy");
        let shown = certificate.to_str().expect("a path");
        let source = Source::of_one_site(&run, &["--offline-root", shown]).await;
        Self { run, source }
    }

    fn skerry(&self, arguments: &[&str]) -> String {
        self.source.skerry(arguments).done()
    }

    fn described(&self) -> Value {
        self.source.skerry(&["site", "describe", SITE, "-o", "json"]).json()
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.run.folder().join(name);
        fs_err::write(&path, content).expect("a file");
        path
    }

    fn enroll(&self, token: &Path) -> Said {
        let agent = self.run.binaries().ours("skerry-agent").expect("it is built");
        let mut command = Command::new(agent);
        command.args(["enroll", "--no-wait", "--data-dir"]).arg(self.box_folder());
        Said::by(command.arg("--token-file").arg(token))
    }

    fn box_folder(&self) -> PathBuf {
        self.run.folder().join("box")
    }
}

#[tokio::test]
async fn a_box_waits_for_the_ceremony_and_is_enrolled_by_what_comes_of_it() {
    let mut world = World::start().await;
    let token = world.write("token", &world.skerry(&["site", "enroll", SITE]));
    for _ in 0..2 {
        let waits = world.enroll(&token);
        assert_eq!(waits.code, Some(75), "{}", waits.errors);
        assert!(waits.errors.contains("has not signed for this box yet"), "{}", waits.errors);
    }
    let described = world.described();
    let kinds: Vec<_> =
        described["problems"].as_array().into_iter().flatten().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["WaitsForRoot"], "{described:#}");
    assert!(described["runway"].is_null(), "it has none that could be over");
    // What waits outlives the core.
    world.source.core.stop().await.expect("it ends");
    world.source.core.start_and_answer().await.expect("it starts again");

    let requests = world.skerry(&["root", "requests"]);
    let asked: Value = serde_json::from_str(&requests).expect("JSON");
    assert_eq!(asked["requests"].as_array().map(Vec::len), Some(1), "asked twice it is there once");
    world.write("requests.json", &requests);
    let signed = world.skerry(&["root", "sign", "--dir", "root", "--new", SITE, "requests.json"]);
    world.write("signed.json", &signed);
    assert_eq!(world.skerry(&["root", "deliver", "signed.json"]), "1 certificate is delivered\n");
    let nothing = world.source.skerry(&["root", "requests"]).json();
    assert_eq!(nothing["requests"].as_array().map(Vec::len), Some(0), "nothing waits any more");

    world.enroll(&token).done();
    let enrolment = Enrolment::load(&world.box_folder().join("identity.json")).expect("it can be read");
    let enrolment = enrolment.expect("it is enrolled");
    let root = fs_err::read_to_string(world.run.folder().join("root/root.crt")).expect("the certificate");
    assert_eq!(enrolment.mesh_roots.iter().map(Certificate::to_pem).collect::<Vec<_>>(), [root]);
    let bundle = TrustBundle::from_jwks(&world.skerry(&["trust", "bundle"])).expect("a trust bundle");
    assert_eq!(bundle.roots, enrolment.mesh_roots, "others are told the same");
    assert!(bundle.sequence.is_some_and(|sequence| sequence > 0) && bundle.refresh_hint.is_some());
    let left = enrolment.authority.certificate().validity();
    // A week of budget and a month that the ceremony may take, one and a half times.
    assert!((left.until.0 - left.issued.0) / 86_400_000 > 55, "{left:?}");
    let described = world.described();
    assert!(described["runway"]["seconds"].as_u64() > Some(50 * 86_400), "{described:#}");
}
