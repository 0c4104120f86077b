//! What is on the disk for proxies that start without the agent, and who is told to run them.

use super::*;

/// Somebody writes the file anew: its proxy keeps what it has.
#[test]
fn a_workload_that_comes_back_at_once_keeps_its_folder() {
    let mut bench = Bench::new();
    let folder = Layout::new(bench.folder.path()).proxy(&proxy("a"));
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    site.handle(Mail::Workloads(loaded(&[])));
    site.handle(Mail::Vacant([folder.clone()].into()));
    assert!(site.poll_timeout().is_some());
    site.handle(Mail::Workloads(loaded(&["a"])));
    site.delete_departed(Now::from_secs(3600));
    assert!(folder.static_bootstrap().is_file());
    site.handle(Mail::Workloads(loaded(&[])));
    site.delete_departed(site.clock.now() + Duration::from_secs(14));
    assert!(folder.path().exists(), "its time begins when it goes");
    site.delete_departed(Now::from_secs(3600));
    assert!(!folder.path().exists());
}

/// A bundle that no Envoy has taken is none to start from. A proxy without any snapshot gets one all the same.
#[test]
fn a_snapshot_is_of_a_bundle_that_a_proxy_has_taken() {
    let mut bench = Bench::new();
    let folder = Layout::new(bench.folder.path()).proxy(&proxy("a"));
    let snapshot = || fs_err::read(folder.static_bootstrap()).unwrap_or_default();
    let mut site = bench.boot(&["a"]);
    site.handle(reached(1).offer());
    let first = snapshot();
    assert!(!first.is_empty(), "there was none");
    drop(site);

    // Its Envoy is connected and has not taken anything yet; meanwhile something else is published.
    let mut site = bench.boot(&["a"]);
    site.handle(news("a", ads::News::Connected));
    site.handle(Mail::Workloads(loaded(&["a", "echo"])));
    site.write_snapshots();
    assert!(snapshot() == first);
    // With the first word of it, it listens, which is news to it too.
    for _ in 0..2 {
        site.handle(news("a", ads::News::Acked(bench.served("a"))));
    }
    site.write_snapshots();
    assert!(snapshot() != first);
}

/// Who runs the proxies is said by the bundle that runs.
#[test]
fn what_is_tried_does_not_say_who_runs_the_proxies() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    let desired = bench.desired.clone().unwrap();
    let supervision = || desired.borrow().supervision;
    let outbound_cidr = "127.70.0.0/16".to_owned();
    let settings = |who: v1::Supervision| v1::Settings {
        supervision: who.into(),
        outbound_cidr: outbound_cidr.clone(),
        ..Default::default()
    };
    site.handle(publish_settings(1, settings(v1::Supervision::External)).offer());
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    assert_eq!(supervision(), Some(v1::Supervision::External));
    site.handle(publish_settings(2, settings(v1::Supervision::Agent)).offer());
    assert_eq!(supervision(), Some(v1::Supervision::External));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    assert_eq!((bench.generation(), supervision()), (2, Some(v1::Supervision::Agent)));
}

/// The first snapshot is there at once; later ones follow when bundles no longer do, or at the end.
#[test]
fn snapshots_follow_what_runs_some_time_later() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    let file = Layout::new(bench.folder.path()).proxy(&proxy("a")).static_bootstrap();
    let snapshot = || fs_err::read(&file).unwrap();
    site.handle(publish(1).offer());
    let first = snapshot();
    site.handle(publish(2).offer());
    assert_eq!((snapshot() == first, bench.generation()), (true, 2), "the one before, whole");
    while snapshot() == first {
        assert!(site.poll_timeout().is_some());
        site.handle_timeout();
    }

    let second = snapshot();
    site.handle(publish(3).offer());
    assert!(snapshot() == second);
    site.handle_end();
    assert!(snapshot() != second, "an agent that is asked to end leaves the newest");
}

/// A workload that goes takes its proxy's folder with it, once no launcher runs there; one that is
/// there keeps its own, whatever is published to it.
#[test]
fn the_folder_of_a_departed_workload_is_deleted() {
    let mut bench = Bench::new();
    let layout = Layout::new(bench.folder.path());
    let (gone, there) = (layout.proxy(&proxy("gone")), layout.proxy(&proxy("there")));
    let vacant = || Mail::Vacant([gone.clone(), there.clone()].into());
    let mut site = bench.boot(&["gone", "there"]);
    site.handle(vacant());
    site.handle(publish(1).offer());
    let state = |restarts| LauncherState { restarts, ..Default::default() };
    site.handle(Mail::Launchers([(proxy("gone"), state(1)), (proxy("there"), state(1))].into()));
    site.handle(vacant());
    assert!(gone.path().exists() && there.path().exists(), "both are there");

    site.handle(Mail::Workloads(workloads::Loaded { is_partial: true, ..loaded(&["there"]) }));
    site.handle(vacant());
    assert!(gone.path().exists(), "it may be there: the workload folder could not be read");

    site.handle(Mail::Workloads(loaded(&["there"])));
    let lock = crate::launcher::take(&gone.lock()).unwrap();
    site.handle(vacant());
    let later = |minutes: u64| Now::from_secs(60 * minutes);
    site.delete_departed(later(1));
    assert!(gone.path().exists(), "its launcher runs");

    drop(lock);
    site.delete_departed(later(1));
    assert!(gone.path().exists(), "it is looked at again after a while");
    site.delete_departed(later(2));
    assert!(!gone.path().exists() && there.static_bootstrap().is_file());
    let ends = |name| bench.store.reported_ends(name).unwrap();
    assert_eq!((ends("shop/gone"), ends("shop/there")), (0, 1));

    site.handle(Mail::Workloads(loaded(&["gone", "there"])));
    assert!(gone.static_bootstrap().is_file(), "it came back");
}
