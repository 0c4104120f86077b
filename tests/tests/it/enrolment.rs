//! Identities on the link, with the real programs: tokens, boxes that are fenced and revoked, and who may ask what.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use skerry_proto::tls::Connector;
use skerry_proto::v1::fleet_client::FleetClient;
use skerry_proto::v1::site_sync_client::SiteSyncClient;
use skerry_proto::v1::{GetFleetRequest, ReportRequest};
use skerry_tests::fleet::{Agent, XdsMode, agent_tls};
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;
use tonic::Code;
use tonic::transport::Endpoint;

use crate::place::{DEADLINE, Place, Source, policies, run};
use crate::question::{Question, ask_all};
use crate::said::Said;

const SITE: &str = "edge";

struct World {
    run: Arc<Run>,
    source: Source,
    place: Place,
    agent: Agent,
}

impl World {
    /// A site that is served.
    async fn start() -> Self {
        let run = run();
        let mut source = Source::start(&run).await;
        let place = Place::with_echo(&run, SITE).await;
        let agent = place.start_agent(&run, source.core.address(), XdsMode::Delta);
        source.repo.copy_from(&policies()).expect("the fixture is there");
        source.publish("first", &[SITE]).await;
        Self { run, source, place, agent }
    }

    fn token(&self, arguments: &[&str]) -> String {
        self.source.skerry(&[&["site", "enroll"], arguments].concat()).done()
    }

    fn enroll(&self, data: &Path, token: &str) -> Said {
        let agent = self.run.binaries().ours("skerry-agent").expect("it is built");
        let file = data.with_extension("token");
        fs_err::write(&file, token).expect("a file can be written");
        fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("it is ours");
        let mut command = Command::new(agent);
        Said::by(command.args(["enroll", "--data-dir"]).arg(data).arg("--token-file").arg(file))
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.run.make_folder(name).expect("a folder")
    }

    fn described(&self, site: &str) -> serde_json::Value {
        self.source.skerry(&["site", "describe", site, "-o", "json"]).json()
    }
}

/// A token is good for one box: used by another, for nothing, or altered it is refused with the reason, and who came is shown.
#[tokio::test]
async fn a_token_is_good_for_one_box_once() {
    let world = World::start().await;
    let token = world.token(&["spare"]);
    assert!(token.trim().starts_with("skerry-join.v1."));
    let (one, two) = (world.folder("box-one"), world.folder("box-two"));
    let words = world.enroll(&one, &token).done();
    assert_eq!(words.lines().count(), 1, "{words}");
    assert!(words.contains("others could read the token's file until it was used (mode 644)"), "{words}");

    let again = world.enroll(&two, &token);
    assert_eq!(again.code, Some(1));
    assert!(again.errors.contains("the core refuses: this join token was used before"), "{}", again.errors);
    let cut = world.enroll(&two, &token[..token.len() - 9]);
    assert_eq!(cut.code, Some(2));
    assert!(cut.errors.contains("this join token is not whole"), "{}", cut.errors);
    let over = world.enroll(&one, &world.token(&["spare", "--replace"]));
    assert!(over.errors.contains("has the identity of site `spare` already"), "{}", over.errors);

    let fenced = world.source.skerry(&["site", "enroll", "spare"]);
    assert_eq!(fenced.code, Some(6));
    assert!(fenced.errors.contains("is enrolled by another box"), "{}", fenced.errors);
    let core = world.source.core.data();
    for path in [one.join("identity.json"), one.join("identity.copy.json"), core.join("operator.json")] {
        let metadata = fs_err::metadata(&path).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

/// Cut off at once, with its stream, and for good; it goes on serving, and a box that is enrolled anew takes its place.
#[tokio::test]
async fn a_site_that_is_revoked_is_cut_off_at_once_and_serves_on() {
    let mut world = World::start().await;
    let service = world.place.service(1, 8080);
    world.source.skerry(&["site", "revoke", SITE]).done();
    let gone = async || {
        let log = world.agent.log();
        anyhow::ensure!(log.contains("site `edge` was revoked"), "{log}");
        let site = world.described(SITE);
        anyhow::ensure!(site["connected"] == false && site["enrolment"]["revokedAt"].is_string(), "{site:#}");
        Ok(())
    };
    eventually("it is cut off", DEADLINE, gone).await.expect("at once");
    ask_all(service, &[Question::get("it serves what it has", "/").by("v1")]).await;

    // The same machine, with a new token.
    world.agent.stop().await.expect("it ends");
    fs_err::remove_file(world.agent.data().join("identity.json")).expect("it has one");
    world.agent.start().expect("it is enrolled anew");
    world.source.repo.replace("echo.yaml", "value: first", "value: second").expect("the release is there");
    world.source.publish("second", &[SITE]).await;
    ask_all(service, &[Question::get("the next release", "/").by("v1").header("x-release", "second")]).await;
}

/// Another offline budget is in force once the bundle that says so is: the site asks for certificates that last as long.
#[tokio::test]
async fn another_offline_budget_is_asked_for_at_once() {
    let mut world = World::start().await;
    let budget = |world: &World| world.described(SITE)["runway"].clone();
    assert_eq!(budget(&world)["budgetSeconds"], 7 * 86_400, "the default");
    world
        .source
        .repo
        .write("site.yaml", &site_with("offlineBudget: 720h, dataPlane: {supervision: Agent}"))
        .expect("a file");
    world.source.publish("a month", &[SITE]).await;
    let is_longer = async || {
        let runway = budget(&world);
        anyhow::ensure!(runway["budgetSeconds"] == 30 * 86_400, "{runway:#}");
        anyhow::ensure!(runway["seconds"].as_u64() > Some(30 * 86_400), "{runway:#}");
        Ok(())
    };
    eventually("the runway is longer", DEADLINE, is_longer).await.expect("it renews");
}

/// The site of these tests, with something in its spec.
fn site_with(spec: &str) -> String {
    format!("apiVersion: skerry.dev/v1alpha1\nkind: Site\nmetadata: {{name: {SITE}}}\nspec: {{{spec}}}\n")
}

/// Each peer may do what it is for: an agent speaks for its own site and asks nothing of the fleet, who shows nothing may
/// enrol, and who does not speak TLS is hung up on.
#[tokio::test]
async fn each_peer_may_do_what_it_is_for() {
    let world = World::start().await;
    let address = world.source.core.address();
    let connector = Connector::new(agent_tls(world.agent.data()).expect("it is enrolled"));
    let endpoint = Endpoint::from_shared(format!("https://{address}")).expect("a URL");
    let channel = endpoint.connect_with_connector(connector).await.expect("hands are shaken");
    let asked = FleetClient::new(channel.clone()).get_fleet(GetFleetRequest::default()).await;
    assert_eq!(asked.expect_err("it is no operator").code(), Code::PermissionDenied);
    let other = ReportRequest { site: "other".to_owned(), ..ReportRequest::default() };
    let reported = SiteSyncClient::new(channel).report(other).await.expect_err("it is another site's");
    assert_eq!(reported.code(), Code::PermissionDenied);
    assert!(reported.message().contains("does not speak for site `other`"), "{}", reported.message());

    let plain = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
    let mut client = FleetClient::new(plain.connect().await.expect("it listens"));
    client.get_fleet(GetFleetRequest::default()).await.expect_err("nothing is said without TLS");
}
