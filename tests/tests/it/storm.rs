//! Many agents at one core: none is refused for good, whatever the core goes through (invariant 9). The agents are
//! simulated; how long it takes is measured by `cargo xtask bench storm`.

use std::sync::Arc;
use std::time::Instant;

use skerry_core::id::SiteId;
use skerry_tests::crowd::{Arrival, Crowd, Goal, raise_files};
use skerry_tests::fleet::{Core, FleetView};
use skerry_tests::repo::PolicyRepo;
use skerry_tests::run::Run;
use skerry_tests::wait::eventually;

use crate::place::{DEADLINE, run};

const SITES: usize = 300;

/// A core with services, a route and sites; an agent for each site.
struct Fleet {
    repo: PolicyRepo,
    core: Core,
    crowd: Crowd,
    _run: Arc<Run>,
}

impl Fleet {
    async fn start() -> Self {
        raise_files(SITES).expect("so many files may be open");
        let run = run();
        let mut repo = PolicyRepo::init(run.folder()).expect("a repository");
        let service = |at| {
            format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: svc-{at}, namespace: shop}},\n\
                 spec: {{selector: {{app: svc-{at}}}, ports: [{{name: http, port: 8080}}]}}}}\n"
            )
        };
        let site =
            |at| format!("{{apiVersion: skerry.dev/v1alpha1, kind: Site, metadata: {{name: s{at}}}}}\n");
        repo.write("services.yaml", &(0..20).map(service).collect::<Vec<_>>().join("---\n")).expect("a file");
        repo.write("sites.yaml", &(0..SITES).map(site).collect::<Vec<_>>().join("---\n")).expect("a file");
        write_route(&repo, "first");
        let revision = repo.publish("first").expect("a push");
        let mut core = Core::new(&run, "core", &repo.url()).expect("a core");
        let sites = || (0..SITES).map(|at| SiteId::new(format!("s{at}")).expect("a good name"));
        let papers = core.enrol(sites()).expect("sites can be enrolled");
        core.start().await.expect("the core starts");
        let addresses = vec![run.net().address().into()];
        let mut crowd = Crowd::new(core.address(), addresses, &papers, sites()).expect("a crowd");
        // Nothing is published yet: who comes first waits for it, or is told to come back.
        crowd.arrive(Arrival::AtOnce);
        let fleet = Self { repo, core, crowd, _run: run };
        fleet.reach(&Goal::Reported(revision), Instant::now()).await;
        fleet
    }

    /// Waits until all agents are there, and the core agrees.
    async fn reach(&self, goal: &Goal, start: Instant) {
        self.crowd.reach(goal, start, DEADLINE).await.expect("all agents get there");
        let counts = self.crowd.counts();
        assert_eq!(counts.faults, [] as [String; 0]);
        assert_eq!(counts.refused(), 0, "{counts}");
        eventually("the core sees that all are current", DEADLINE, async || {
            FleetView::ask_all(self.core.address()).await?.must_all_be_current(SITES)
        })
        .await
        .expect("the core agrees with its sites");
    }
}

fn write_route(repo: &PolicyRepo, release: &str) {
    let route = format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r, namespace: shop}},\n\
         spec: {{parentRefs: [{{group: \"\", kind: Service, name: svc-3}}], rules: [{{\n\
         filters: [{{type: ResponseHeaderModifier,\n\
         responseHeaderModifier: {{set: [{{name: x-release, value: {release}}}]}}}}],\n\
         backendRefs: [{{name: svc-3, port: 8080}}]}}]}}}}\n"
    );
    repo.write("route.yaml", &route).expect("a file");
}

#[tokio::test]
async fn invariant_9_all_agents_come_back_to_a_core_that_restarts() {
    let mut fleet = Fleet::start().await;

    fleet.core.stop().await.expect("the core ends");
    let start = Instant::now();
    fleet.core.start().await.expect("the core starts");
    fleet.reach(&Goal::Current, start).await;

    fleet.core.kill().await.expect("the core is killed");
    write_route(&fleet.repo, "second");
    let revision = fleet.repo.publish("second").expect("a push");
    let start = Instant::now();
    fleet.core.start().await.expect("the core starts");
    fleet.reach(&Goal::Reported(revision), start).await;

    write_route(&fleet.repo, "third");
    let revision = fleet.repo.publish("third").expect("a push");
    fleet.core.notify().await.expect("the core takes the notice");
    fleet.reach(&Goal::Reported(revision), Instant::now()).await;

    fleet.crowd.leave().await.expect("no agent panicked");
    let start = Instant::now();
    fleet.crowd.arrive(Arrival::AtOnce);
    fleet.reach(&Goal::Current, start).await;
}
