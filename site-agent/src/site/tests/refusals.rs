//! What the site does not run: it goes back, says why, and remembers it.

use super::*;

/// What is refused before it is tried is said once, whatever becomes of the agent, with what it claims to be.
#[test]
fn an_offer_that_is_refused_is_reported_once_over_restarts() {
    let mut bench = Bench::new();
    bench.boot(&["a"]).handle(publish(2).offer());
    for _ in 0..3 {
        bench.boot(&["a"]).handle(publish(1).offer());
    }
    let refusals: Vec<SiteEvent> =
        bench.reported().into_iter().filter(|event| event.kind() == Kind::BundleRefused).collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert_eq!(refusals[0].generation, 1);
    assert!(refusals[0].detail.starts_with("epoch 1 generation 1 is below"), "{refusals:?}");
    assert_eq!(bench.boot(&["a"]).refused.map(|refused| refused.digest), Some(publish(1).digest()));
}

#[test]
fn a_refusal_goes_back_and_is_remembered_across_restarts() {
    let (mut bench, second) = (Bench::new(), publish(2));
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    let first = bench.served("a");
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(first)));
    site.handle(second.offer());
    assert_ne!(bench.served("a"), first);
    site.handle(news("a", refused(bench.served("a"), "bad regex")));
    assert_eq!(bench.served("a"), first);
    drop(site);

    bench.returning = Duration::from_secs(3600);
    let mut site = bench.boot(&["a"]);
    site.handle(second.offer());
    assert_eq!(
        bench.answers(),
        [(second.digest(), "proxy shop/a refused it: route r: bad regex".to_owned())]
    );
    assert_eq!(bench.events()[1..], ["RolledBack: proxy shop/a refused it: route r: bad regex"]);
    // The agent has just started: a proxy that runs is on its way back, and is heard before the commit.
    site.handle(publish(3).offer());
    assert_eq!(bench.generation(), 1);
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    assert_eq!(bench.generation(), 3);
}

/// Invariant 7: a proxy that says nothing may hang by itself. The bundle is not held against it, nor it against the site.
#[test]
fn what_a_proxy_said_nothing_about_is_not_remembered_as_refused() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    site.handle(publish(2).offer());
    let due = site.machine.poll_timeout().unwrap();
    site.machine.handle_timeout(due);
    site.settle();

    let answers = bench.answers();
    assert!(
        answers[1].1.contains("did not acknowledge it within 0.03 s; it is tried once more in 60 s"),
        "{answers:?}"
    );
    assert!(site.refused.is_none() && bench.store.saved().unwrap().refused.is_none());
    assert!(site.again.poll_timeout().is_some());
    // The core offers it again then, and the proxy that hangs is left aside.
    site.handle(publish(2).offer());
    assert_eq!(bench.generation(), 2);
}

/// A bundle that no proxy can be given is refused; one that merely leaves a broken workload as it is
/// is not.
#[test]
fn a_bundle_that_cannot_be_lowered_is_refused() {
    let (mut bench, bad) = (Bench::new(), publish_with(2, "nonsense"));
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    site.handle(bad.offer());
    let (digest, reason) = bench.answers().pop().unwrap();
    assert_eq!(digest, bad.digest());
    assert!(reason.starts_with("it cannot be lowered for proxy shop/a: `nonsense`"), "{reason}");
    assert_eq!(bench.generation(), 1);

    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(bad.offer());
    assert_eq!(bench.generation(), 2);
}
