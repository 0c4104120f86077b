//! When a candidate becomes current and when the site goes back: scripts, then random histories.

use proptest::prelude::*;

use super::*;

const CONFIRM: Duration = Duration::from_secs(10);

fn name(proxy: u8) -> NamespacedName {
    NamespacedName::new("shop", format!("w{proxy}"))
}

/// The hash of what a proxy is given by a bundle.
fn hash(proxy: u8, bundle: u64) -> Digest {
    Digest::of(format!("{proxy} {bundle}").as_bytes())
}

/// Carries steps out as `site` does, in memory: what a store and three proxies would see.
struct Site {
    machine: Machine,
    now: Now,
    workloads: Vec<u8>,
    current: u64,
    candidate: Option<u64>,
    published: u64,
    refused: Vec<(u64, Cause)>,
    disk_full: bool,
}

impl Site {
    fn new(workloads: &[u8]) -> Self {
        let machine = Machine::new(CONFIRM);
        let (workloads, now) = (workloads.to_vec(), Now::ZERO);
        let mut site = Self {
            machine,
            now,
            workloads,
            current: 1,
            candidate: None,
            published: 1,
            refused: vec![],
            disk_full: false,
        };
        site.publish(1);
        site
    }

    fn publish(&mut self, bundle: u64) {
        self.published = bundle;
        let hashes = self.workloads.iter().map(|proxy| (name(*proxy), hash(*proxy, bundle))).collect();
        self.machine.handle_published(&hashes);
    }

    fn offer(&mut self, bundle: u64, origin: Origin) {
        if self.machine.is_steady() && bundle > self.current {
            self.candidate = Some(bundle);
            self.machine.handle_candidate(self.now, origin);
            self.execute();
        }
    }

    fn connect(&mut self, proxy: u8, stream: u64) {
        self.machine.handle_connected(&name(proxy), StreamId(stream));
        self.execute();
    }

    fn ack(&mut self, proxy: u8, stream: u64, bundle: u64) {
        self.machine.handle_acked(&name(proxy), StreamId(stream), hash(proxy, bundle));
        self.execute();
    }

    fn refuse(&mut self, proxy: u8, stream: u64, bundle: u64) {
        self.machine.handle_refused(&name(proxy), StreamId(stream), hash(proxy, bundle), "bad regex");
        self.execute();
    }

    fn gone(&mut self, proxy: u8, stream: u64) {
        self.machine.handle_gone(&name(proxy), StreamId(stream));
        self.execute();
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.machine.handle_timeout(self.now);
        self.execute();
    }

    fn execute(&mut self) {
        while let Some(command) = self.machine.poll_command() {
            match command {
                Command::Publish(Which::Candidate) => {
                    self.publish(self.candidate.expect("only while one is tried"));
                }
                Command::Publish(Which::Current) => self.publish(self.current),
                step if self.disk_full => self.machine.handle_not_kept(self.now, step),
                Command::Commit => {
                    self.current = self.candidate.take().expect("only while one is tried");
                    self.machine.handle_kept();
                }
                Command::Rollback(cause) => {
                    let candidate = self.candidate.take().expect("only while one is tried");
                    self.refused.push((candidate, cause));
                    self.machine.handle_kept();
                }
            }
        }
    }

    fn reason(&self) -> &str {
        self.refused.last().map_or("", |(_, cause)| cause.words())
    }

    fn phase(&self, proxy: u8) -> Phase {
        self.machine.proxies().phases().find(|(found, ..)| **found == name(proxy)).unwrap().1
    }
}

/// A site with one proxy that has acknowledged the current bundle.
fn settled() -> Site {
    let mut site = Site::new(&[1]);
    site.connect(1, 1);
    site.ack(1, 1, 1);
    site
}

#[test]
fn with_no_proxy_connected_it_commits_at_once() {
    let mut site = Site::new(&[1]);
    site.offer(2, Origin::Offered);
    assert_eq!((site.current, site.published), (2, 2));
}

#[test]
fn it_commits_when_every_live_proxy_has_acknowledged() {
    let mut site = Site::new(&[1, 2, 3]);
    site.connect(1, 1);
    site.connect(2, 2);
    site.offer(2, Origin::Offered);
    site.ack(1, 1, 2);
    assert_eq!((site.current, site.published), (1, 2));
    site.ack(2, 2, 2);
    assert_eq!(site.current, 2);
    assert!(site.machine.is_steady());
}

#[test]
fn during_a_hot_restart_both_envoys_have_to_acknowledge() {
    let mut site = settled();
    site.connect(1, 2);
    site.offer(2, Origin::Offered);
    site.ack(1, 2, 2);
    assert_eq!(site.current, 1);
    site.ack(1, 1, 2);
    assert_eq!(site.current, 2);
}

#[test]
fn a_refusal_takes_the_site_back_and_says_why() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.refuse(1, 1, 2);
    assert_eq!((site.current, site.published), (1, 1));
    assert_eq!(site.reason(), "proxy shop/w1 refused it: bad regex");
    assert_eq!(site.phase(1), Phase::Ready, "it still has what it acknowledged before");
}

/// What was taken back excuses nobody from the next one.
#[test]
fn after_a_refusal_the_next_bundle_is_judged_by_the_same_proxy() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.refuse(1, 1, 2);
    site.offer(3, Origin::Offered);
    assert_eq!((site.current, site.published), (1, 3));
    site.refuse(1, 1, 3);
    assert_eq!(site.refused.len(), 2);
    site.ack(1, 1, 1);
    site.offer(4, Origin::Offered);
    site.ack(1, 1, 4);
    assert_eq!(site.current, 4);
}

#[test]
fn a_refusal_of_what_was_published_before_changes_nothing() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.refuse(1, 1, 1);
    assert!(site.refused.is_empty());
    site.ack(1, 1, 2);
    assert_eq!(site.current, 2);
}

#[test]
fn a_refusal_after_the_commit_is_shown_and_nothing_else() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.ack(1, 1, 2);
    site.refuse(1, 1, 2);
    assert_eq!((site.current, site.published), (2, 2));
    assert_eq!(site.phase(1), Phase::Refused("bad regex".into()));
}

/// Invariant 7: a proxy that has refused something already holds up no other change.
#[test]
fn a_proxy_that_had_refused_before_holds_nothing_up() {
    let mut site = Site::new(&[1, 2]);
    site.connect(1, 1);
    site.connect(2, 2);
    site.refuse(1, 1, 1);
    site.ack(2, 2, 1);
    site.offer(2, Origin::Offered);
    site.refuse(1, 1, 2);
    assert_eq!(site.current, 1);
    site.ack(2, 2, 2);
    assert_eq!(site.current, 2);
    assert_eq!(site.phase(1), Phase::Refused("bad regex".into()));
}

#[test]
fn a_proxy_that_says_nothing_takes_the_site_back() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.pass(9);
    assert_eq!(site.published, 2);
    site.pass(1);
    assert_eq!((site.current, site.published), (1, 1));
    assert_eq!(site.reason(), "proxy shop/w1 did not acknowledge it within 10 s");
}

/// Invariant 7: one hung proxy costs the others one trial, and no more.
#[test]
fn a_proxy_that_hangs_decides_nothing_until_it_speaks_again() {
    let mut site = Site::new(&[1, 2]);
    for proxy in [1, 2] {
        site.connect(proxy, proxy.into());
        site.ack(proxy, proxy.into(), 1);
    }
    site.offer(2, Origin::Offered);
    site.ack(1, 1, 2);
    site.pass(10);
    assert!(matches!(site.refused.as_slice(), [(2, Cause::Silent(_))]), "{:?}", site.refused);

    site.ack(1, 1, 1);
    site.offer(2, Origin::Offered);
    site.ack(1, 1, 2);
    assert_eq!(site.current, 2, "the second proxy is not waited for any more");

    site.ack(2, 2, 2);
    site.offer(3, Origin::Offered);
    site.ack(1, 1, 3);
    assert_eq!(site.current, 2, "now that it has spoken it is");
    site.ack(2, 2, 3);
    assert_eq!(site.current, 3);
}

/// What was condemned is not what proxies are to have, although the disk does not take that yet.
#[test]
fn a_condemned_candidate_is_not_published_again() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    assert_eq!(site.machine.published(), Which::Candidate);
    site.disk_full = true;
    site.refuse(1, 1, 2);
    assert_eq!((site.machine.published(), site.candidate), (Which::Current, Some(2)));
    site.disk_full = false;
    site.pass(5);
    assert_eq!((site.machine.published(), site.published), (Which::Current, 1));
}

#[test]
fn a_proxy_that_dies_of_it_takes_the_site_back() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.gone(1, 1);
    assert_eq!(site.published, 2, "it may come back");
    site.pass(10);
    assert_eq!(site.published, 1);
    assert!(
        site.reason().starts_with("proxy shop/w1 ended after it was published and did not"),
        "{}",
        site.reason()
    );
}

#[test]
fn a_crash_loop_takes_the_site_back_before_the_deadline() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.gone(1, 1);
    site.connect(1, 2);
    site.gone(1, 2);
    assert_eq!(site.published, 1);
    assert_eq!(site.reason(), "proxy shop/w1 ended again and again after it was published");
}

#[test]
fn a_proxy_that_comes_back_and_acknowledges_is_well() {
    let mut site = settled();
    site.offer(2, Origin::Offered);
    site.gone(1, 1);
    site.connect(1, 2);
    site.ack(1, 2, 2);
    assert_eq!(site.current, 2);
}

#[test]
fn a_workload_that_leaves_is_not_waited_for() {
    let mut site = Site::new(&[1, 2]);
    site.connect(1, 1);
    site.connect(2, 2);
    site.offer(2, Origin::Offered);
    site.ack(1, 1, 2);
    site.workloads = vec![1];
    site.publish(2);
    site.execute();
    assert_eq!(site.current, 2);
}

#[test]
fn a_resumed_trial_waits_for_proxies_to_come_back() {
    let mut site = Site::new(&[1, 2]);
    site.offer(2, Origin::Resumed);
    assert_eq!((site.current, site.published), (1, 2));
    site.connect(1, 1);
    site.ack(1, 1, 2);
    assert_eq!(site.current, 1);
    site.pass(10);
    assert_eq!(site.current, 2, "the second one never came, and is not held against it");
}

#[test]
fn a_resumed_trial_hears_the_refusal_that_was_lost() {
    let mut site = Site::new(&[1]);
    site.offer(2, Origin::Resumed);
    site.connect(1, 1);
    site.refuse(1, 1, 2);
    assert_eq!((site.current, site.published), (1, 1));
}

#[test]
fn a_step_that_the_disk_refuses_is_tried_again() {
    let mut site = settled();
    site.disk_full = true;
    site.offer(2, Origin::Offered);
    site.ack(1, 1, 2);
    assert_eq!(site.current, 1);
    assert!(!site.machine.is_steady());
    site.disk_full = false;
    site.pass(5);
    assert_eq!(site.current, 2);
    assert!(site.machine.is_steady());
}

#[derive(Debug, Clone)]
enum Event {
    Offer(u64),
    Connect(u8, u64),
    Ack(u8, u64, u64),
    Refuse(u8, u64, u64),
    Gone(u8, u64),
    Pass(u64),
    Workloads(Vec<u8>),
    Disk(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let (proxy, stream, bundle) = (1..4_u8, 1..6_u64, 1..8_u64);
    prop_oneof![
        bundle.clone().prop_map(Event::Offer),
        (proxy.clone(), stream.clone()).prop_map(|(proxy, stream)| Event::Connect(proxy, stream)),
        (proxy.clone(), stream.clone(), bundle.clone()).prop_map(|(p, s, b)| Event::Ack(p, s, b)),
        (proxy.clone(), stream.clone(), bundle).prop_map(|(p, s, b)| Event::Refuse(p, s, b)),
        (proxy.clone(), stream).prop_map(|(proxy, stream)| Event::Gone(proxy, stream)),
        (0..12_u64).prop_map(Event::Pass),
        proptest::collection::vec(proxy, 0..3).prop_map(Event::Workloads),
        any::<bool>().prop_map(Event::Disk),
    ]
}

fn feed(site: &mut Site, event: Event) {
    match event {
        Event::Offer(bundle) => site.offer(bundle, Origin::Offered),
        Event::Connect(proxy, stream) => site.connect(proxy, stream),
        Event::Ack(proxy, stream, bundle) => site.ack(proxy, stream, bundle),
        Event::Refuse(proxy, stream, bundle) => site.refuse(proxy, stream, bundle),
        Event::Gone(proxy, stream) => site.gone(proxy, stream),
        Event::Pass(seconds) => site.pass(seconds),
        Event::Workloads(workloads) => {
            site.workloads = workloads;
            let published = site.published;
            site.publish(published);
            site.execute();
        }
        Event::Disk(full) => site.disk_full = full,
    }
}

proptest! {
    /// Invariant 4: whatever happens, the site never moves to a lower generation, what is published
    /// is the current bundle or the one candidate, and every trial ends by its deadline.
    #[test]
    fn any_history_keeps_the_site_whole(events in proptest::collection::vec(event(), 0..60)) {
        let mut site = Site::new(&[1, 2, 3]);
        for event in events {
            let before = site.current;
            feed(&mut site, event);
            prop_assert!(site.current >= before);
            prop_assert!(site.published == site.current || Some(site.published) == site.candidate);
            prop_assert!(site.machine.is_steady() || site.machine.poll_timeout().is_some());
            prop_assert!(site.candidate.is_some() != site.machine.is_steady());
        }
        site.disk_full = false;
        site.pass(10);
        site.pass(10);
        prop_assert!(site.machine.is_steady());
        prop_assert_eq!(site.published, site.current);
    }
}
