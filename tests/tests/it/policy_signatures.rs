//! Policy signatures with the real programs: a site that asks for them runs what a key outside of the core has signed, and
//! nothing else, also when somebody has broken into the core.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use prost::Message as _;
use skerry_controller::identity::authority::Authority;
use skerry_controller::identity::seal;
use skerry_controller::identity::store::IdentityStore as _;
use skerry_controller::store::redb::RedbStore;
use skerry_core::id::Epoch;
use skerry_identity::spiffe_id::MeshDomain;
use skerry_identity::trust_root::{SignedRoot, TrustRoot};
use skerry_proto::v1::PolicySignatures;
use skerry_tests::fleet::{Agent, XdsMode};
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, Place, Source, policies, run};
use crate::question::{Question, ask_all};
use crate::said::Said;

const SITE: &str = "edge";

const ALPHA: &str = "\
apiVersion: v1
kind: Service
metadata: {name: alpha, namespace: shop}
spec: {ports: [{port: 80}]}
";

struct World {
    run: Arc<Run>,
    source: Source,
    place: Place,
}

impl World {
    /// A core, and nobody who is enrolled.
    async fn start() -> Self {
        let run = run();
        let mut source = Source::prepare(&run);
        source.core.start_and_answer().await.expect("the core starts");
        let place = Place::with_echo(&run, SITE).await;
        source.repo.copy_from(&policies()).expect("the fixture is there");
        Self { run, source, place }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.run.folder().join(name)
    }

    fn ask(&self, arguments: &[&str]) -> String {
        self.source.skerry(arguments).done()
    }

    /// What a pipeline does for a commit.
    fn sign(&self, key: &str, number: &str) -> PathBuf {
        let path = self.path("policy.sig");
        let work = self.source.repo.work().to_str().expect("it is UTF-8");
        self.ask(&["bundle", "sign", "--source", work, "--key", key, "--number", number, "-o", "policy.sig"]);
        path
    }

    /// Commits a release, and waits until the core has compiled it.
    async fn release(&mut self, before: &str, after: &str) -> String {
        let (old, new) = (format!("value: {before}"), format!("value: {after}"));
        self.source.repo.replace("echo.yaml", &old, &new).expect("the release is there");
        self.push(after).await
    }

    async fn push(&mut self, message: &str) -> String {
        let revision = self.source.repo.publish(message).expect("a push");
        self.source.core.notify().await.expect("the core takes the notice");
        self.source.core.compiled(&revision, DEADLINE).await.expect("it is compiled");
        revision
    }

    /// Waits until the site is shown with a problem that says this.
    async fn problem(&self, kind: &str, words: &str) {
        eventually(&format!("{kind} is shown"), DEADLINE, async || {
            let site = self.source.skerry(&["site", "describe", SITE, "-o", "json"]).json();
            let problems = site["problems"].as_array().cloned().unwrap_or_default();
            let fits = |problem: &serde_json::Value| {
                problem["kind"] == kind && problem["detail"].as_str().is_some_and(|it| it.contains(words))
            };
            anyhow::ensure!(problems.iter().any(fits), "{site:#}");
            Ok(())
        })
        .await
        .expect("it is shown");
    }

    async fn serves(&self, release: &'static str) {
        let question = Question::get("the release", "/").by("v1").header("x-release", release);
        ask_all(self.place.service(1, 8080), &[question]).await;
    }
}

/// A box is enrolled with the keys that whoever is there knows: a core cannot bring its own.
fn keys_are_compared(world: &World) {
    let token = world.ask(&["site", "enroll", "spare"]);
    fs_err::write(world.path("spare.token"), token).expect("it can be written");
    let enroll = |key: &str| {
        let agent = world.run.binaries().ours("skerry-agent").expect("it is built");
        let mut command = Command::new(agent);
        command.current_dir(world.run.folder()).args([
            "enroll",
            "--data-dir",
            "spare",
            "--token-file",
            "spare.token",
        ]);
        Said::by(command.args(["--policy-key", key]))
    };
    let refused = enroll("stranger.key.pub");
    assert!(refused.errors.contains("which --policy-key does not name"), "{}", refused.errors);
    assert!(!world.path("spare/identity.json").exists());
    enroll("policy.key.pub").done();
}

/// Does what somebody can do who has everything that is in a core: makes a trust root that asks for no policy signature.
fn break_in(data: &Path) {
    let store = RedbStore::open(&data.join("identity.redb"), Epoch(1)).expect("the core is stopped");
    let record = store.authority().expect("it can be read").expect("it is there");
    let mesh = MeshDomain::new("mesh.local").expect("a mesh");
    let seal = seal::find(None, None, data, false).expect("the core keeps it there");
    let authority = Authority::open(&record, &mesh, None, &seal).expect("its keys can be opened");
    let newest = authority.trust_roots_after(0).last().expect("there is one").root().expect("it can be read");
    let version = newest.version + 1;
    let forged = TrustRoot { version, policy: None, require_policy: false, ..newest };
    let mut signed = SignedRoot::new(&forged).expect("a root");
    authority.sign_trust_root(&mut signed).expect("a signature");
    let record = authority.with_trust_root(signed).to_record(&seal).expect("it can be sealed");
    // And tells the sites.
    let version = store.roll().expect("it can be read").trust_version + 1;
    store.keep_trust(version, Some(&record), &[]).expect("it is kept");
}

/// What was signed is taken; what was not waits, and the site goes on with what it has.
async fn signed_and_not(world: &mut World) -> Agent {
    let first = world.push("first").await;
    let agent = world.place.start_agent(&world.run, world.source.core.address(), XdsMode::Delta);
    world.problem("WaitsForPolicy", "`skerry bundle sign` makes one").await;
    world.sign("policy.key", "10");
    let attached = world.ask(&["bundle", "attach", "policy.sig"]);
    assert!(attached.contains("new for 1 of 1 sites"), "{attached}");
    world.source.core.settled(&first, &[SITE], DEADLINE).await.expect("the site follows");
    world.serves("first").await;

    // A service that whoever compiles this commit alone numbers before the other, and the core after it.
    world.source.repo.write("alpha.yaml", ALPHA).expect("a file can be written");
    let second = world.release("first", "second").await;
    world.problem("WaitsForPolicy", "`skerry bundle sign` makes one").await;
    let status = world.ask(&["status"]);
    assert!(status.contains("WaitsForPolicy"), "{status}");

    // By a stranger; for another site; with a number below the one that the site has.
    world.ask(&["bundle", "keygen", "stranger.key"]);
    world.sign("stranger.key", "11");
    let refused = world.source.skerry(&["bundle", "attach", "policy.sig"]);
    let is_named = refused.errors.contains("is by no policy key");
    assert_eq!((refused.code, is_named), (Some(6), true), "{}", refused.errors);
    let path = world.sign("policy.key", "11");
    let mut signatures =
        PolicySignatures::decode(&*fs_err::read(&path).expect("it is there")).expect("it is one");
    signatures.groups[0].sites[0].site = "elsewhere".to_owned();
    fs_err::write(&path, signatures.encode_to_vec()).expect("it can be written");
    let refused = world.source.skerry(&["bundle", "attach", "policy.sig"]);
    assert!(refused.errors.contains("for site `elsewhere` is by no policy key"), "{refused:?}");
    world.sign("policy.key", "9");
    world.ask(&["bundle", "attach", "policy.sig"]);
    world.problem("WaitsForPolicy", "`skerry bundle sign` makes one").await;
    world.serves("first").await;

    world.sign("policy.key", "11");
    world.ask(&["bundle", "attach", "policy.sig"]);
    world.source.core.settled(&second, &[SITE], DEADLINE).await.expect("the site follows");
    world.serves("second").await;
    agent
}

#[tokio::test]
async fn a_core_that_was_broken_into_invents_no_policy() {
    let mut world = World::start().await;
    world.ask(&["bundle", "keygen", "policy.key"]);
    let root = world.ask(&["trust", "policy", "--key", "policy.key"]);
    assert!(root.contains("trust root 2: 1 of 1 policy keys sign, nothing runs without"), "{root}");
    let agent = signed_and_not(&mut world).await;
    keys_are_compared(&world);
    let dropped = world.source.skerry(&["trust", "policy", "--drop"]);
    assert_eq!(dropped.code, Some(2), "nobody does that without the key");

    // The core's own keys make a root that asks for nothing, and the core believes it. The site does not.
    world.source.core.stop().await.expect("it ends");
    break_in(world.source.core.data());
    world.source.core.start().await.expect("it starts");
    let root = world.ask(&["trust", "policy"]);
    assert!(root.contains("trust root 3 has no policy keys: the core alone is believed"), "{root}");
    eventually("the site has heard of it", DEADLINE, async || {
        let log = agent.log();
        anyhow::ensure!(
            log.contains("goes on with its trust root, since the core's is not believed"),
            "{log}"
        );
        Ok(())
    })
    .await
    .expect("it says so");
    world.release("second", "third").await;
    world.problem("BundleRefused", "no policy key has signed what it offers this site (trust root 2").await;
    world.serves("second").await;
    let shown = agent.show().expect("it can be shown");
    assert_eq!(shown["trustRoot"]["requiresPolicy"], true, "{shown:#}");
}
