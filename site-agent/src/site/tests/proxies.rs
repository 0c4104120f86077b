//! Proxies of the site: the addresses that they need, how peers reach them, and their ends.

use super::*;

impl Bench {
    /// Names of the listeners, and every endpoint, that a proxy is served.
    fn seen(&self, name: &str) -> (Vec<String>, String) {
        let set = self.feeds.as_ref().unwrap().borrow()[&proxy(name)].resources.borrow().clone();
        let names = set.listeners().map(|listener| listener.name).collect();
        (names, format!("{:?}", set.endpoints().collect::<Vec<_>>()))
    }
}

/// Invariant 7: an address that Envoy cannot bind costs its own listener; the bundle is no worse for
/// it, and the listener comes back.
#[test]
fn invariant_7_an_address_that_is_taken_costs_one_listener() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    site.handle(reached(2).offer());
    let whole = bench.served("a");
    let words = "Error adding/updating listener(s) outbound/shop/echo/80: cannot bind '127.70.0.2:80': Address already in use\n";
    site.handle(news("a", refused(whole, words)));
    assert_eq!(bench.seen("a").0, ["dns", "inbound/9080", "outbound/shop/other/80"]);
    let problems: Vec<String> = site.publisher.problems().cloned().collect();
    assert_eq!(
        problems,
        ["proxy shop/a: service shop/echo: port 80 has no listener: 127.70.0.2:80 cannot be bound: \
          Address already in use; it is tried again now and then"]
    );
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    assert_eq!((bench.generation(), bench.events().len()), (2, 2), "{:?}", bench.events());

    assert!(site.unbound.handle_timeout(Duration::MAX / 2, |_, _| true));
    site.publish_again();
    assert_eq!((bench.served("a"), site.publisher.problems().count()), (whole, 0));
}

/// A workload that gets a proxy is reached directly until that has acknowledged its listeners; a
/// restarted agent knows that it has.
#[test]
fn peers_use_a_proxy_from_when_it_listens() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a", "echo"]);
    site.handle(reached(1).offer());
    let (behind, plain) = ("PortValue(15006)", "PortValue(9080)");
    let is_behind = |bench: &Bench| {
        let endpoints = bench.seen("a").1;
        assert_ne!(endpoints.contains(behind), endpoints.contains(plain), "{endpoints}");
        endpoints.contains(behind)
    };
    assert!(!is_behind(&bench));
    site.handle(news("echo", ads::News::Connected));
    assert!(!is_behind(&bench));
    site.handle(news("echo", ads::News::Acked(bench.served("echo"))));
    assert!(is_behind(&bench));
    site.handle(news("echo", ads::News::Gone));
    assert!(is_behind(&bench), "it is restarted, perhaps");
    let before = bench.served("a");
    drop(site);

    let mut site = bench.boot(&["a", "echo"]);
    assert_eq!(bench.served("a"), before);
    site.handle(Mail::Workloads(loaded(&["a"])));
    site.handle(Mail::Workloads(loaded(&["a", "echo"])));
    assert!(!is_behind(&bench), "it is a new one");
}

#[test]
fn ends_of_a_proxy_are_reported_once() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    let state = |restarts| {
        let state = LauncherState { restarts, last_exit: "signal: 11".into(), ..Default::default() };
        Mail::Launchers([(proxy("a"), state)].into())
    };
    site.handle(state(0));
    site.handle(state(2));
    drop(site);
    bench.boot(&["a"]).handle(state(2));
    assert_eq!(bench.events(), ["ProxyExited: proxy shop/a ended: signal: 11 (end 2)"]);
}
