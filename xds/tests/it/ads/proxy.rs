//! What Envoy makes of what a session sends: each trap that was met, in both modes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use skerry_core::bundle::v1;
use skerry_xds::bootstrap::{AdsMode, ads_bootstrap};
use skerry_xds::resource::{ResourceKind, ResourceSet};
use skerry_xds::session::Event;

use super::agent::Agent;
use crate::backend::Backend;
use crate::client::get;
use crate::envoy::{Envoy, Format, free_cidr, node};
use crate::site::{
    RouteBuilder as _, ServiceBuilder as _, Site, WorkloadBuilder as _, backend, route, service, site,
    workload,
};

/// Envoy waits 15 s for something that does not come; everything that works is far quicker.
const SOON: Duration = Duration::from_secs(5);

/// An Envoy, its agent and two backends.
struct Stage {
    cidr: String,
    socket: PathBuf,
    a: Backend,
    b: Backend,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("ads.sock");
        let (a, b) = (Backend::start("a"), Backend::start("b"));
        Self { cidr: free_cidr(), socket, a, b, _folder: folder }
    }

    fn envoy(&self, mode: AdsMode) -> Envoy {
        Envoy::start(|options| ads_bootstrap(&node(), &self.socket, mode, options), Format::Protobuf)
    }

    /// The service `shop/web` with this route, and services with a backend each, in this order.
    fn site(&self, web: v1::Route, services: &[&str]) -> Site {
        let mut site = site()
            .service(service("shop/web").http(8080, 1).routes(8080, "", vec![web]))
            .workload(workload("shop/client-1").proxy(&self.cidr, 15006))
            .workload(workload("shop/a-1").at(self.a.address))
            .workload(workload("shop/b-1").at(self.b.address));
        for name in services {
            // Indexes are given once and never moved.
            let (index, to) = if *name == "shop/a" { (2, &self.a) } else { (3, &self.b) };
            site = site.service(v1::Service { index, ..service(name).http(8080, to.address.port().into()) });
        }
        site
    }

    fn to(&self, target: &str) -> ResourceSet {
        self.site(route("web").to(&[backend(target, 8080)]), &["shop/a", "shop/b"]).lower("shop/client-1")
    }

    fn web(&self) -> SocketAddr {
        let site = self.site(route("web"), &[]);
        site.address("shop/web", &self.cidr, 8080)
    }
}

fn in_both_modes(test: fn(AdsMode)) {
    [AdsMode::Delta, AdsMode::Sotw].into_iter().for_each(test);
}

#[test]
fn a_proxy_comes_up_follows_and_is_not_pushed_anew_after_a_restart() {
    in_both_modes(|mode| {
        let stage = Stage::new();
        let (to_a, to_b) = (stage.to("shop/a"), stage.to("shop/b"));
        let agent = Agent::start(&stage.socket, &to_a);
        let envoy = stage.envoy(mode);
        agent.wait_for("sync", 0, |event| *event == Event::Synced(to_a.digest()));
        assert_eq!(agent.seen.lock().unwrap().events[0], Event::NodeKnown(node()));
        envoy.wait_until_ready();
        assert_eq!(get(stage.web(), "/").backend(), "a");
        assert!(agent.bring(&to_b) < SOON);
        assert_eq!(get(stage.web(), "/").backend(), "b");
        drop(agent);
        assert_eq!(get(stage.web(), "/").backend(), "b", "Envoy serves what it has");
        let agent = Agent::start(&stage.socket, &to_b);
        agent.wait_for("sync", 0, |event| *event == Event::Synced(to_b.digest()));
        assert_eq!(agent.seen.lock().unwrap().responses, 0, "{mode:?}: nothing is sent again");
        assert!(agent.bring(&to_a) < SOON);
        assert_eq!(get(stage.web(), "/").backend(), "a");
    });
}

/// Asks without a pause until it is told to stop; counts what was answered otherwise than with 200.
fn ask_on(at: SocketAddr) -> (Arc<AtomicBool>, Arc<AtomicUsize>, std::thread::JoinHandle<usize>) {
    let (stop, failures) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (stopped, failed) = (Arc::clone(&stop), Arc::clone(&failures));
    let asking = std::thread::spawn(move || {
        let mut asked = 0;
        while !stopped.load(Ordering::Relaxed) {
            asked += 1;
            if get(at, "/").status != 200 {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        asked
    });
    (stop, failures, asking)
}

/// Make before break: a route moves to a service that is new, and the old one goes, at once.
#[test]
fn no_request_fails_while_a_route_moves_and_services_come_and_go() {
    in_both_modes(|mode| {
        let stage = Stage::new();
        let only =
            |name: &str| stage.site(route("web").to(&[backend(name, 8080)]), &[name]).lower("shop/client-1");
        let (only_a, only_b) = (only("shop/a"), only("shop/b"));
        let agent = Agent::start(&stage.socket, &only_a);
        let envoy = stage.envoy(mode);
        envoy.wait_until_ready();
        agent.wait_for("sync", 0, |event| *event == Event::Synced(only_a.digest()));
        let (stop, failures, asking) = ask_on(stage.web());
        for round in 0..20 {
            let took = agent.bring(if round % 2 == 0 { &only_b } else { &only_a });
            assert!(took < SOON, "{mode:?}, round {round} took {took:?}");
        }
        stop.store(true, Ordering::Relaxed);
        let asked = asking.join().unwrap();
        assert_eq!(failures.load(Ordering::Relaxed), 0, "{mode:?}: of {asked}");
    });
}

/// Trap: a changed cluster waits for its endpoints and does not ask for them.
#[test]
fn a_changed_cluster_is_served_at_once() {
    in_both_modes(|mode| {
        let stage = Stage::new();
        let with_timeout = |connect_timeout_ms: u32| {
            let mut site = stage.site(route("web").to(&[backend("shop/a", 8080)]), &["shop/a"]);
            for service in site.bundle.services.values_mut() {
                Arc::make_mut(service).cluster =
                    Some(v1::ClusterPolicy { connect_timeout_ms, retry_budget: None });
            }
            site.lower("shop/client-1")
        };
        let first = with_timeout(1_000);
        let agent = Agent::start(&stage.socket, &first);
        let _envoy = stage.envoy(mode);
        agent.wait_for("sync", 0, |event| *event == Event::Synced(first.digest()));
        for timeout in 2_000..2_010 {
            let took = agent.bring(&with_timeout(timeout));
            assert!(took < SOON, "{mode:?} took {took:?}");
        }
        // The agent is away when a cluster changes.
        drop(agent);
        let changed = with_timeout(3_000);
        let agent = Agent::start(&stage.socket, &changed);
        let took = agent.wait_for("sync", 0, |event| *event == Event::Synced(changed.digest()));
        assert!(took < SOON, "{mode:?} took {took:?}");
        assert_eq!(get(stage.web(), "/").backend(), "a");
    });
}

/// A cluster that goes before Envoy has its endpoints must not hold up what follows.
#[test]
fn sets_that_follow_each_other_quickly_end_with_the_last() {
    in_both_modes(|mode| {
        let stage = Stage::new();
        let sets: Vec<ResourceSet> = [&["shop/a"][..], &[], &["shop/b"], &["shop/a", "shop/b"]]
            .iter()
            .map(|services| {
                stage.site(route("web").to(&[backend("shop/a", 8080)]), services).lower("shop/client-1")
            })
            .collect();
        let agent = Agent::start(&stage.socket, &sets[0]);
        let _envoy = stage.envoy(mode);
        agent.wait_for("sync", 0, |event| *event == Event::Synced(sets[0].digest()));
        for round in 0..60 {
            agent.set(&sets[round % sets.len()]);
            std::thread::sleep(Duration::from_millis(u64::try_from(round % 4).unwrap()));
        }
        let took = agent.bring(&sets[3]);
        assert!(took < SOON, "{mode:?} took {took:?}");
        assert_eq!(get(stage.web(), "/").backend(), "a");
    });
}

#[test]
fn what_envoy_refuses_hurts_nothing_else_and_is_named() {
    in_both_modes(|mode| {
        let stage = Stage::new();
        let good = stage.to("shop/a");
        let agent = Agent::start(&stage.socket, &good);
        let _envoy = stage.envoy(mode);
        agent.wait_for("sync", 0, |event| *event == Event::Synced(good.digest()));
        // An expression that only RE2 finds wrong, and a change elsewhere.
        let mut site =
            stage.site(route("web").regex("/(").to(&[backend("shop/a", 8080)]), &["shop/a", "shop/b"]);
        let moved =
            service("shop/b").http(8080, 1).routes(8080, "", vec![route("b").to(&[backend("shop/a", 8080)])]);
        site = site.service(v1::Service { index: 3, ..moved });
        let from = agent.events();
        agent.set(&site.lower("shop/client-1"));
        let web = "outbound/shop/web/8080".to_owned();
        agent.wait_for("refusal", from, |event| {
            matches!(event, Event::Nacked { kind: ResourceKind::Route, resources, detail }
                if *resources == [web.clone()] && detail.contains("missing )"))
        });
        assert_eq!(get(stage.web(), "/").backend(), "a", "the old routes are served");
        let b = site.address("shop/b", &stage.cidr, 8080);
        stage.envoy_serves(b, "a");
        let responses = agent.seen.lock().unwrap().responses;
        assert!(responses < 20, "{mode:?}: it is not sent again and again: {responses}");
        assert!(agent.bring(&stage.to("shop/b")) < SOON);
        assert_eq!(get(stage.web(), "/").backend(), "b");
    });
}

impl Stage {
    /// Polls until an address is answered by a backend.
    fn envoy_serves(&self, at: SocketAddr, expected: &str) {
        let start = std::time::Instant::now();
        while get(at, "/").backend() != expected {
            assert!(start.elapsed() < SOON, "{at} is not answered by {expected}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// One service goes and another gets its address, in one set.
#[test]
fn a_listener_takes_the_address_of_one_that_goes() {
    in_both_modes(|mode| {
        let stage = Stage::new();
        let named = |name: &str, target: &str| {
            let web =
                service(name).http(8080, 1).routes(8080, "", vec![route("x").to(&[backend(target, 8080)])]);
            let site = stage.site(route("web").to(&[backend("shop/a", 8080)]), &["shop/a", "shop/b"]);
            site.service(v1::Service { index: 77, ..web })
        };
        let (old, new) = (named("shop/old", "shop/a"), named("shop/another", "shop/b"));
        let at = old.address("shop/old", &stage.cidr, 8080);
        let agent = Agent::start(&stage.socket, &old.lower("shop/client-1"));
        let envoy = stage.envoy(mode);
        envoy.wait_until_ready();
        stage.envoy_serves(at, "a");
        assert!(agent.bring(&new.lower("shop/client-1")) < SOON, "{mode:?}");
        stage.envoy_serves(at, "b");
    });
}
