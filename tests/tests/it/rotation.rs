//! Rotation of what a core signs with, by the commands that people type, while clients call through real Envoys by mutual TLS: no
//! request fails, whatever is rotated, and whoever was away meanwhile.

use std::path::PathBuf;

use skerry_agent::enrolment::Enrolment;
use skerry_tests::fleet::{Agent, XdsMode, credentials_file};
use skerry_tests::http::Request;
use skerry_tests::wait::eventually;

use crate::asker::Asker;
use crate::place::{DEADLINE, Place, Source, run};

const SITE: &str = "edge";

/// The port carries bytes: each request has a connection, and so a handshake between the proxies, of its own.
const POLICIES: &str = "\
apiVersion: skerry.dev/v1alpha1
kind: Mesh
metadata: {name: default}
spec: {mtls: {mode: Strict}}
---
apiVersion: skerry.dev/v1alpha1
kind: Site
metadata: {name: edge}
spec: {dataPlane: {supervision: Agent}}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop}
spec:
  selector: {app: echo}
  ports: [{name: raw, port: 8080, targetPort: http, appProtocol: tcp}]
";

struct World {
    source: Source,
    place: Place,
    agent: Agent,
    commits: u32,
}

impl World {
    /// A site whose proxies speak by mutual TLS alone.
    async fn start() -> Self {
        let run = run();
        let mut source = Source::start(&run).await;
        let place = Place::with_guarded_echo(&run, SITE).await;
        let agent = place.start_agent(&run, source.core.address(), XdsMode::Delta);
        source.repo.write("fleet.yaml", POLICIES).expect("a file can be written");
        source.publish("first", &[SITE]).await;
        let world = Self { source, place, agent, commits: 0 };
        let served = async || {
            let reply = Request::get("/").send(world.place.service(1, 8080)).await?;
            anyhow::ensure!(reply.status.is_success(), "{}", reply.status);
            Ok(())
        };
        eventually("the client is served", DEADLINE, served).await.expect("it is");
        world
    }

    /// Clients that call all the time.
    fn load(&self) -> [Asker; 2] {
        [(); 2].map(|()| Asker::start(self.place.service(1, 8080)))
    }

    /// Takes a step as soon as it can be taken; says what it did.
    async fn step(&self, arguments: &[&str]) -> String {
        let taken = async || {
            let said = self.source.skerry(&[&["trust", "rotate"], arguments].concat());
            anyhow::ensure!(said.is_done(), "{}", said.errors);
            Ok(said.output)
        };
        eventually(&format!("a step of {arguments:?}"), DEADLINE, taken).await.expect("it is taken")
    }

    /// What the site has.
    fn enrolment(&self) -> Enrolment {
        let kept = Enrolment::load(&self.agent.data().join("identity.json")).expect("it can be read");
        kept.expect("it is enrolled")
    }

    /// The file with the core's identity.
    fn identity(&self) -> PathBuf {
        let credentials = credentials_file(self.source.core.address()).expect("the core has a folder");
        credentials.with_file_name("identity.redb")
    }

    /// Starts the core anew with a copy of its identity.
    async fn put_back(&mut self, copy: &[u8]) {
        self.source.core.kill().await.expect("it runs");
        fs_err::write(self.identity(), copy).expect("the file can be written");
        self.source.core.start().await.expect("it starts");
    }

    /// Rotates the manifest key: two more versions of the trust root.
    async fn rotate_manifest_key(&self, how: &[&str]) {
        for step in ["begin", "switch", "end"] {
            self.step(&[&["manifest-key", "--step", step], how].concat()).await;
        }
    }

    /// Waits until people are told so of the site, or nothing of the kind.
    async fn is_shown(&self, words: Option<&str>) {
        let seen = async || {
            let status = self.source.skerry(&["status"]).output;
            let is_right = match words {
                Some(words) => status.contains(words),
                None => status.contains("InSync") && !status.contains("OtherTrustRoot"),
            };
            anyhow::ensure!(is_right, "{status}");
            Ok(())
        };
        eventually(&format!("{words:?} is shown"), DEADLINE, seen).await.expect("it is");
    }

    /// Waits until the site believes other roots than before, and none of those.
    async fn believes_others(&self, before: &Enrolment) {
        let seen = async || {
            let now = self.enrolment();
            let is_other = now.mesh_roots.iter().all(|root| !before.mesh_roots.contains(root));
            anyhow::ensure!(is_other, "{:?}", now.mesh_roots);
            Ok(())
        };
        eventually("the site believes the new root alone", DEADLINE, seen).await.expect("it does");
    }

    /// A commit that the site takes, which it does only if it believes who signed it.
    async fn commit(&mut self) {
        self.commits += 1;
        let service = POLICIES.rsplit("---\n").next().expect("there is one");
        let service = service.replace("name: echo,", &format!("name: more-{},", self.commits));
        self.source
            .repo
            .write(&format!("more-{}.yaml", self.commits), &service)
            .expect("a file can be written");
        self.source.publish("one more service", &[SITE]).await;
    }
}

async fn stop(load: [Asker; 2]) {
    for asker in load {
        asker.stop().await;
    }
}

/// Each step also renews the site's authority and every workload's certificate: all four kinds of keys are rotated here. The core is killed
/// after each step, and goes on.
#[tokio::test]
async fn rotation_of_every_key_under_load_fails_no_request() {
    let mut world = World::start().await;
    let (load, first) = (world.load(), world.enrolment());
    for key in ["manifest-key", "mesh-root", "link-root"] {
        for words in ["is believed beside", "signs from now on", "the rotation is over"] {
            let said = world.step(&[key]).await;
            assert!(said.contains(words), "{key}: {said}");
            world.source.core.kill().await.expect("it runs");
            world.source.core.start().await.expect("it starts");
            world.commit().await;
        }
    }
    world.believes_others(&first).await;
    let knows_all = async || {
        let now = world.enrolment();
        anyhow::ensure!(now.trust_root.root().version == 3, "{}", now.trust_root.root().version);
        let is_other = now.link_roots.iter().all(|root| !first.link_roots.contains(root));
        anyhow::ensure!(is_other, "{:?}", now.link_roots);
        Ok(())
    };
    eventually("the site has heard of the last step", DEADLINE, knows_all).await.expect("it does");

    world.agent.kill().await.expect("it runs");
    world.agent.start().expect("it can be started again");
    world.commit().await;
    stop(load).await;
}

/// A site whose agent is away for a whole rotation is named, left behind, and comes back by itself.
#[tokio::test]
async fn a_site_that_was_away_for_whole_rotations_comes_back_with_no_failed_request() {
    let mut world = World::start().await;
    let (load, first) = (world.load(), world.enrolment());
    world.agent.kill().await.expect("it runs");
    for key in ["mesh-root", "manifest-key"] {
        world.step(&[key]).await;
        let dark = async || {
            let said = world.source.skerry(&["trust", "rotate", key]);
            let is_named = said.errors.contains("waits for 1 dark site to have what was told last (edge)");
            anyhow::ensure!(is_named, "{}", said.errors);
            assert_eq!(said.code, Some(6));
            Ok(())
        };
        eventually("the site is dark", DEADLINE, dark).await.expect("its agent is gone");
        for _ in 0..2 {
            assert!(world.step(&[key, "--leave-behind"]).await.contains("left behind: edge"), "{key}");
        }
    }
    world.agent.start().expect("it can be started again");
    world.believes_others(&first).await;
    world.commit().await;
    stop(load).await;
}

/// A core whose identity is put back from before a rotation: its site lives on, and is shown, also when the core has made the same versions anew.
#[tokio::test]
async fn a_site_that_a_core_put_back_from_an_old_copy_cannot_lead_on_is_shown() {
    let mut world = World::start().await;
    let old = fs_err::read(world.identity()).expect("the core has one");
    world.rotate_manifest_key(&[]).await;
    let is_there = async || {
        let version = world.enrolment().trust_root.root().version;
        anyhow::ensure!(version == 3, "{version}");
        Ok(())
    };
    eventually("the site has trust root 3", DEADLINE, is_there).await.expect("it does");
    let newest = fs_err::read(world.identity()).expect("the core has one");

    world.put_back(&old).await;
    world.is_shown(Some("it has trust root 3, and this core's newest is 1")).await;
    let refused = world.source.skerry(&["trust", "rotate", "manifest-key", "--step", "begin"]);
    assert_eq!(refused.code, Some(6), "{}", refused.errors);
    world.rotate_manifest_key(&["--leave-behind"]).await;
    world.is_shown(Some("its trust root 3 is not the one of this core")).await;

    world.put_back(&newest).await;
    world.is_shown(None).await;
    world.commit().await;
}

/// A key that is in wrong hands is dropped at once, and calls go on.
#[tokio::test]
async fn an_emergency_fails_no_request_of_sites_that_hear_of_it() {
    let mut world = World::start().await;
    let (load, first) = (world.load(), world.enrolment());
    for key in ["mesh-root", "manifest-key"] {
        assert!(
            world.step(&[key, "--now"]).await.contains("signs and alone is believed from now on"),
            "{key}"
        );
    }
    world.believes_others(&first).await;
    world.commit().await;
    assert_eq!(world.source.skerry(&["trust", "rotate", "link-root", "--now"]).code, Some(6));
    stop(load).await;
}
