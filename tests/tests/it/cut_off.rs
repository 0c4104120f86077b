//! Invariant 5: an agent without a link keeps serving its last verified bundle, across restarts of
//! agent and Envoy; and when the link is back, both ends agree again.

use std::sync::Arc;

use rustix::process::Signal;
use skerry_tests::fleet::{Agent, XdsMode};
use skerry_tests::http::Request;
use skerry_tests::link::Link;
use skerry_tests::process;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::asker::Asker;
use crate::place::{DEADLINE, Place, Source, policies, run};
use crate::question::{Question, ask_all};

const SERVICE: (u8, u16) = (1, 8080);

/// A site behind a link.
struct Site {
    run: Arc<Run>,
    source: Source,
    link: Link,
    place: Place,
    agent: Agent,
}

impl Site {
    /// Starts a core and a site, and waits until the release `first` is served.
    async fn start() -> Self {
        let run = run();
        let source = Source::start(&run).await;
        let link = Link::start(run.net().socket(7600), source.core.address())
            .await
            .expect("the link's address is free");
        let place = Place::with_echo(&run, "edge").await;
        let agent = place.start_agent(&run, link.address(), XdsMode::Delta);
        source.repo.copy_from(&policies()).expect("the fixture is there");
        let mut site = Self { run, source, link, place, agent };
        site.source.publish("first", &["edge"]).await;
        site.serves("first").await;
        site
    }

    /// Commits another release and waits until the core has compiled it.
    async fn commit(&mut self, old: &str, new: &str) -> String {
        let repo = &mut self.source.repo;
        repo.replace("echo.yaml", &format!("value: {old}"), &format!("value: {new}"))
            .expect("the release is there");
        let revision = repo.publish(new).expect("a push");
        self.source.core.notify().await.expect("the core takes the notice");
        self.source.core.compiled(&revision, DEADLINE).await.expect("the core compiles");
        revision
    }

    /// Waits until clients see this release.
    async fn serves(&self, release: &str) {
        let service = self.place.service(SERVICE.0, SERVICE.1);
        let seen = async || {
            let reply = Request::get("/").send(service).await?;
            anyhow::ensure!(reply.header("x-release") == Some(release), "{:?}", reply.header("x-release"));
            Ok(())
        };
        eventually(&format!("clients see {release}"), DEADLINE, seen).await.expect("the release is served");
    }

    /// Asks once: the release must be this one now.
    async fn serves_now(&self, release: &'static str) {
        let question = Question::get("the release", "/").by("v1").header("x-release", release);
        ask_all(self.place.service(SERVICE.0, SERVICE.1), &[question]).await;
    }

    /// Asks the core about the site, by the command that people type.
    fn described(&self) -> anyhow::Result<serde_json::Value> {
        let mut skerry = self.source.core.skerry()?;
        let output = skerry.args(["site", "describe", "edge", "--output", "json"]).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Writes a workload's file that cannot be used.
    fn break_a_workload(&self, name: &str) {
        let text = format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{address: 127.0.0.1, prots: []}}\n"
        );
        fs_err::write(self.agent.workloads().join(format!("{name}.yaml")), text)
            .expect("a file can be written");
    }

    /// Makes the agent report something new, and waits until the core has it; returns what the core says then.
    async fn tells_of_a_later_file(&self, name: &str) -> serde_json::Value {
        self.break_a_workload(name);
        let told = async || {
            let row = self.described()?;
            anyhow::ensure!(count_of_file(&row["problems"], &format!("{name}.yaml")) > 0, "{row}");
            Ok(row)
        };
        eventually("a later report", DEADLINE, told).await.expect("the site reports it")
    }

    /// What the agent says about itself, in its own file.
    fn own_words(&self) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&fs_err::read(self.agent.data().join("status.json"))?)?)
    }

    /// Kills agent and Envoys, all at once, and waits until nobody answers.
    async fn kill_everything(&mut self) {
        self.agent.kill().await.expect("the agent runs");
        self.agent.kill_data_plane().expect("Envoys can be killed");
        let service = self.place.service(SERVICE.0, SERVICE.1);
        let silent = async || {
            anyhow::ensure!(Request::get("/").send(service).await.is_err(), "somebody answers");
            Ok(())
        };
        eventually("nobody answers", DEADLINE, silent).await.expect("everything is dead");
        assert_eq!(self.agent.data_plane(), [], "no process of the site is left");
    }
}

#[tokio::test]
async fn invariant_5_a_cut_off_site_serves_across_restarts_and_returns() {
    let mut site = Site::start().await;
    site.link.cut().await;
    site.commit("first", "second").await;
    let newest = site.commit("second", "third").await;
    site.serves_now("first").await;

    site.kill_everything().await;
    site.agent.start().expect("the agent starts again");
    site.serves("first").await;

    let before = site.link.traffic();
    site.link.restore().await;
    site.serves("third").await;
    let traffic = site.link.traffic().since(before);
    assert_eq!(traffic.connections, 1, "one connection is enough: {traffic:?}");
    site.source.core.settled(&newest, &["edge"], DEADLINE).await.expect("both ends agree");
}

/// How many problems of a site name a file.
fn count_of_file(rows: &serde_json::Value, file: &str) -> usize {
    rows.as_array().into_iter().flatten().filter(|row| row.to_string().contains(file)).count()
}

/// How often a site's rows say something.
fn count(rows: &serde_json::Value, kind: &str) -> usize {
    rows.as_array().into_iter().flatten().filter(|row| row["kind"] == kind).count()
}

/// What went wrong while nobody could be told is told when the link is back: once each, with the time at which it was.
#[tokio::test]
async fn what_goes_wrong_in_the_dark_is_told_once_when_the_link_is_back() {
    let mut site = Site::start().await;
    site.link.cut().await;
    let envoys = site.agent.envoys();
    envoys.iter().for_each(|envoy| process::kill(envoy.id, Signal::KILL).expect("an Envoy can be killed"));
    site.break_a_workload("broken");
    let noted = async || {
        let own = site.own_words()?;
        let problems = own["workloadProblems"].as_array().map_or(0, Vec::len);
        anyhow::ensure!(problems > 0 && own["proxies"][0]["restarts"] == 1, "{own}");
        Ok(())
    };
    eventually("the agent has noted both", DEADLINE, noted).await.expect("the agent looks after its site");
    let dark = site.described().expect("the core answers");
    assert_eq!((&dark["state"], &dark["connected"]), (&"Unknown".into(), &false.into()), "{dark}");
    assert_eq!(count(&dark["problems"], "WorkloadProblem"), 0, "nobody could tell");

    for round in 0..2 {
        site.link.restore().await;
        let told = async || {
            let row = site.described()?;
            anyhow::ensure!(
                row["connected"] == true && count(&row["problems"], "WorkloadProblem") > 0,
                "{row}"
            );
            anyhow::ensure!(count(&row["events"], "ProxyExited") > 0, "{row}");
            Ok(row)
        };
        eventually("the core has been told", DEADLINE, told).await.expect("the site tells it");
        // What is told twice is told before what comes later.
        let row = site.tells_of_a_later_file(&format!("later-{round}")).await;
        assert_eq!(count_of_file(&row["problems"], "broken.yaml"), 1, "round {round}: {row}");
        assert_eq!(count(&row["events"], "ProxyExited"), envoys.len(), "round {round}: {row}");
        let rows =
            [&row["problems"], &row["events"]].into_iter().flat_map(|rows| rows.as_array().expect("rows"));
        assert!(rows.clone().all(|row| row["observed"]["ageSeconds"].is_u64()), "round {round}: {row}");
        site.link.cut().await;
    }
}

#[tokio::test]
async fn envoys_serve_on_without_agent_and_core_and_never_fail_a_request() {
    let mut site = Site::start().await;
    site.agent.kill().await.expect("the agent runs");
    site.source.core.kill().await.expect("the core runs");
    for _ in 0..50 {
        site.serves_now("first").await;
    }
    let envoys = site.agent.envoys();
    site.source.core.start().await.expect("the core starts again");
    site.agent.start().expect("the agent starts again");
    site.commit("first", "second").await;
    site.serves("second").await;
    assert_eq!(site.agent.envoys(), envoys, "the Envoys are still the same processes");
}

#[tokio::test]
async fn a_link_that_swallows_everything_does_not_keep_a_site_back_for_ever() {
    let mut site = Site::start().await;
    site.link.black_hole().await;
    site.commit("first", "second").await;
    site.serves_now("first").await;
    site.link.restore().await;
    site.serves("second").await;
    let programs: Vec<String> = site.run.processes().into_iter().map(|process| process.program).collect();
    assert_eq!(
        programs,
        ["skerry-controller", "skerry-agent", "skerry-launcher", "envoy"],
        "all run on, and no others"
    );
}

#[tokio::test]
async fn an_envoy_that_starts_without_the_agent_serves_and_moves_to_ads_with_no_failed_request() {
    let mut site = Site::start().await;
    site.agent.kill().await.expect("the agent runs");
    let killed = site.agent.envoys();
    killed.iter().for_each(|envoy| process::kill(envoy.id, Signal::KILL).expect("an Envoy can be killed"));
    // The launcher lives on: it starts Envoy again, from the snapshot, since nobody serves ADS.
    site.serves("first").await;
    assert_ne!(site.agent.envoys(), killed, "another process serves");

    let asker = Asker::start(site.place.service(SERVICE.0, SERVICE.1));
    site.agent.start().expect("the agent starts again");
    let newest = site.commit("first", "second").await;
    site.serves("second").await;
    site.source
        .core
        .settled(&newest, &["edge"], DEADLINE)
        .await
        .expect("the proxy takes its configuration from ADS again");
    asker.stop().await;
}
