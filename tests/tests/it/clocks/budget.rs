//! A site that is cut off for its whole offline budget, and longer.

use std::collections::BTreeSet;

use skerry_agent::enrolment::Enrolment;
use skerry_identity::ca::Authority as _;
use skerry_tests::clock::Clocks;
use skerry_tests::fleet::Loaded;
use skerry_tests::http::Request;
use skerry_tests::link::Link;
use skerry_tests::run::Run;

use super::*;
use crate::asker::Asker;
use crate::place::run;

/// How long a workload's certificate lasts at these sites: seconds.
const LIFE: i64 = 8 * 3_600;

/// A site behind a link. All clocks of the world go together.
struct World {
    source: Source,
    core_clocks: Clocks,
    link: Link,
    site: Site,
}

impl World {
    async fn start(run: &Arc<Run>) -> Self {
        let (source, core_clocks) = core(run).await;
        let link =
            Link::start(run.net().socket(7600), source.core.address()).await.expect("the address is free");
        let mut site = Site::prepare(run, &source.core, link.address(), "edge", &SERVICES).await;
        site.agent.start().expect("the agent starts");
        for service in ["echo", "web"] {
            site.is_strict(service).await;
        }
        site.answers("lenient").await;
        Self { source, core_clocks, link, site }
    }

    async fn passes(&self, time: Duration) {
        self.core_clocks.pass(time).expect("the clocks can be moved");
        self.site.moves(|clocks| clocks.pass(time)).await;
    }

    /// The certificates that the site's proxies show. Each has to have two thirds of its life left, or to be renewed now.
    async fn certificates(&self) -> BTreeSet<String> {
        let (mut serials, now) = (BTreeSet::new(), self.site.clocks.wall().expect("a time"));
        for workload in &self.site.place.workloads {
            let fresh = async || {
                let newest = Loaded::newest(&self.site.agent.proxy(workload)).await?;
                let left = newest.until - i64::try_from(now)?;
                anyhow::ensure!(left > LIFE - LIFE / 3, "{} has {left} s left of {newest:?}", workload.name);
                Ok(newest.serial)
            };
            let what = format!("{} has a certificate that lasts", workload.name);
            serials.insert(eventually(&what, DEADLINE, fresh).await.expect("it was renewed on time"));
        }
        serials
    }

    /// What the box has on its disk.
    fn enrolment(&self) -> Enrolment {
        let kept = Enrolment::load(&self.site.agent.data().join("identity.json")).expect("it can be read");
        kept.expect("the box is enrolled")
    }
}

/// The budget is 12 hours, so the authority lasts for 24, a workload's certificate for 8, and the agent's own for 48. The link is
/// lost after 6 hours, before anything was renewed over it.
#[tokio::test]
async fn a_site_outlives_its_whole_budget_and_comes_back_after_everything_is_over() {
    let run = run();
    let mut world = World::start(&run).await;
    let (echo, web) = (world.site.service("echo"), world.site.service("web"));
    world.passes(6 * HOUR).await;
    world.link.cut().await;
    let askers = [Asker::start(echo), Asker::start(web)];
    let (mut seen, mut rotations) = (world.certificates().await, 0);
    for _ in 0..12 {
        world.passes(HOUR).await;
        let serials = world.certificates().await;
        rotations += serials.iter().filter(|serial| seen.insert((*serial).clone())).count();
        for service in SERVICES {
            let reply = Request::get("/").send(world.site.service(service)).await.expect("it answers");
            assert!(reply.status.is_success(), "{service}: {}", reply.status);
        }
    }
    for asker in askers {
        asker.stop().await;
    }
    // It is due after a third of its life less a fifth of that by chance, 2.1 to 2.7 hours, and time passes by the hour.
    assert_eq!(rotations, 4 * world.site.place.workloads.len(), "every 3 hours, at each proxy");
    let before = world.enrolment();

    is_over_as_documented(&world).await;

    // Past the end of the agent's own certificate, too.
    world.passes(24 * HOUR).await;
    assert!(before.agent.not_after().0 / 1000 < world.site.clocks.wall().expect("a time"), "nothing is left");
    comes_back(&mut world, &before).await;
}

/// Past the end of its authority: what is `Strict` is shut, what is `Permissive` goes on in plain text, and that is said.
async fn is_over_as_documented(world: &World) {
    world.passes(8 * HOUR).await;
    let site = &world.site;
    site.shows("the authority of site edge is over").await;
    site.is_shown_with("IdentityOver").await;
    site.answers("lenient").await;
    let asker = Asker::start(site.service("lenient"));
    for service in ["echo", "web"] {
        let shut = async || {
            let reply = Request::get("/").send(site.service(service)).await;
            anyhow::ensure!(reply.as_ref().map_or(true, |reply| !reply.status.is_success()), "{reply:?}");
            Ok(())
        };
        eventually(&format!("{service} is shut"), DEADLINE, shut).await.expect("nobody can prove anything");
        Request::get("/").send(site.inbound(service)).await.expect_err("plain text is refused still");
    }
    asker.stop().await;
}

/// With nothing but its key.
async fn comes_back(world: &mut World, before: &Enrolment) {
    world.link.restore().await;
    for service in ["echo", "web"] {
        world.site.is_strict(service).await;
    }
    world.certificates().await;
    let askers = [Asker::start(world.site.service("echo")), Asker::start(world.site.service("web"))];
    world
        .source
        .repo
        .replace("services.yaml", "value: first", "value: second")
        .expect("the release is there");
    world.source.publish("second", &["edge"]).await;
    let reply = Request::get("/").send(world.site.service("web")).await.expect("it answers");
    assert_eq!(reply.header("x-release"), Some("second"));
    for asker in askers {
        asker.stop().await;
    }
    let after = world.enrolment();
    assert_eq!(after.agent_key.thumbprint(), before.agent_key.thumbprint(), "it is the box that it was");
    assert!(after.authority.certificate().not_after() > before.agent.not_after());
}
