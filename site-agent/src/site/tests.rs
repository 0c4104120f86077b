//! The site as a whole, without link, proxies or Envoy: letters in, commands out, and its store.

use std::time::Duration;

use prost::Message as _;
use skerry_core::bundle::{Contents, EncodedFragment};
use skerry_core::id::Digest;
use skerry_identity::trust_root::PolicyDemand;
use skerry_proto::codec::encode_list;
use skerry_proto::codec::list::Step;
use skerry_proto::v1::{Offer, SiteEvent, report};

use super::*;
use crate::args::XdsVariant;
use crate::layout::Layout;
use crate::link::{Command, Event as LinkEvent, Identity};
use crate::machine::StreamId;
use crate::snapshot::Snapshots;

mod attacks;
mod fetching;
mod invariants;
mod snapshots;
mod trouble;

const CONFIRM: Duration = Duration::from_millis(30);

/// A bundle of one service; `cidr` is what its settings say.
struct Published {
    manifest: Vec<u8>,
    contents: Contents,
}

fn publish_with(generation: u64, cidr: &str) -> Published {
    publish_settings(generation, v1::Settings { outbound_cidr: cidr.to_owned(), ..Default::default() })
}

fn publish_settings(generation: u64, settings: v1::Settings) -> Published {
    let service = v1::Service {
        namespace: "shop".into(),
        name: "echo".into(),
        index: u32::try_from(generation).unwrap(),
        ..Default::default()
    };
    let fragments = [EncodedFragment::settings(settings), EncodedFragment::service(service)];
    let contents = Contents::new(fragments.map(Arc::new).to_vec());
    let manifest = v1::Manifest {
        site: "store-1".into(),
        epoch: 1,
        generation,
        list: contents.digest.as_bytes().to_vec(),
        schema: 1,
        issued_at_ms: 1_000 * generation,
        ..Default::default()
    };
    Published { manifest: manifest.encode_to_vec(), contents }
}

fn publish(generation: u64) -> Published {
    publish_with(generation, "127.70.0.0/16")
}

impl Published {
    fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    fn slot(&self) -> Slot {
        Slot { manifest: self.manifest.clone(), list: self.contents.list.to_vec() }
    }

    fn fragments(&self) -> Vec<crate::fetch::Fragment> {
        self.contents.fragments.iter().map(|fragment| (fragment.id, fragment.bytes.clone())).collect()
    }

    fn offer(&self) -> Mail {
        self.offer_with(usize::MAX)
    }

    /// An offer with so many bytes of fragments inside.
    fn offer_with(&self, room: usize) -> Mail {
        let Step { list, fragments } = encode_list(None, &[], &self.contents.fragments, room);
        let offer = Offer {
            manifest: self.manifest.clone(),
            list: Some(list),
            fragments,
            number: 1,
            ..Offer::default()
        };
        Mail::Link(LinkEvent::Offer(Box::new(offer)))
    }
}

/// Those of an enrolment; else all are believed but nobody.
fn vouchers(trusted: Option<Arc<Enrolment>>) -> Vouchers {
    if let Some(trusted) = trusted {
        return Vouchers::of(watch::channel(Some(trusted)).1, PolicyDemand::AsRoot);
    }
    Vouchers::new(
        Box::new(|offer, _| match offer.signatures.as_slice() {
            b"of nobody" => Err("it is signed by nobody".to_owned()),
            _ => Ok(()),
        }),
        Box::new(|_, _, _| Ok(None)),
    )
}

/// A data folder with a store, and the site on it while it runs.
struct Bench {
    folder: tempfile::TempDir,
    store: Arc<Store>,
    commands: Option<mpsc::Receiver<Command>>,
    identity: Option<watch::Receiver<Identity>>,
    feeds: Option<watch::Receiver<BTreeMap<NamespacedName, Feed>>>,
    desired: Option<watch::Receiver<Desired>>,
    /// How long proxies may take to come back after a start.
    returning: Duration,
    /// Whose signatures are checked; `None`: everything is believed that is not of nobody.
    trusted: Option<Arc<Enrolment>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let id = SiteId::new("store-1").unwrap();
        let store = Store::open(&Layout::new(folder.path()).store(), &id).unwrap().0;
        Self::on(folder, store)
    }

    /// One that believes what is signed as this enrolment says.
    fn trusting(enrolment: Enrolment) -> Self {
        Self { trusted: Some(Arc::new(enrolment)), ..Self::new() }
    }

    fn on(folder: tempfile::TempDir, store: Store) -> Self {
        Layout::new(folder.path()).prepare().unwrap();
        let (store, returning) = (Arc::new(store), Duration::ZERO);
        Self {
            folder,
            store,
            commands: None,
            identity: None,
            feeds: None,
            desired: None,
            returning,
            trusted: None,
        }
    }

    /// A store that was left with a candidate.
    fn left(current: &Published, candidate: &Published) -> Self {
        let mut bench = Self::new();
        bench.boot(&[]).handle(current.offer());
        bench.store.put_candidate(&candidate.slot(), &candidate.fragments()).unwrap();
        bench
    }

    /// Starts an agent; each workload has a proxy.
    fn boot(&mut self, workloads: &[&str]) -> Site {
        let layout = Layout::new(self.folder.path());
        let (link, commands) = mpsc::channel(16);
        let (identity, identity_seen) = watch::channel(Identity::default());
        let (feeds, feeds_seen) = watch::channel(BTreeMap::new());
        let desired = watch::Sender::default();
        self.desired = Some(desired.subscribe());
        (self.commands, self.identity, self.feeds) = (Some(commands), Some(identity_seen), Some(feeds_seen));
        let id = SiteId::new("store-1").unwrap();
        let snapshots = Snapshots::new(id.clone(), XdsVariant::Delta);
        let clock = Clock::start();
        let parts = Parts {
            id,
            store: self.store.clone(),
            clock,
            time: SharedTime::new(self.store.floors().unwrap().trusted_ms, clock),
            vouchers: vouchers(self.trusted.clone()),
            machine: Machine::new(CONFIRM),
            returning: self.returning,
            publisher: Publisher::new(layout.clone(), snapshots, feeds, desired),
            out: Outlets {
                link,
                identity,
                outbox: watch::Sender::default(),
                issued: watch::Sender::default(),
            },
            status_file: layout.status(),
            envoy: None,
            enrolment: None,
            identity_troubles: Vec::new(),
            damaged: None,
        };
        Site::boot(parts, loaded(workloads)).unwrap()
    }

    /// What was said to the core about offers.
    fn answers(&mut self) -> Vec<(Digest, String)> {
        let mut answers = Vec::new();
        while let Ok(command) = self.commands.as_mut().unwrap().try_recv() {
            if let Command::Answer { manifest, refused } = command {
                answers.push((manifest, refused));
            }
        }
        answers
    }

    fn events(&self) -> Vec<String> {
        self.reported().iter().map(|event| format!("{:?}: {}", event.kind(), event.detail)).collect()
    }

    fn reported(&self) -> Vec<SiteEvent> {
        let event = |report: Report| match report.body {
            Some(report::Body::Event(event)) => Some(event),
            _ => None,
        };
        self.store.oldest(99).unwrap().into_iter().filter_map(event).collect()
    }

    fn generation(&self) -> u64 {
        let current = self.store.saved().unwrap().current.unwrap();
        v1::Manifest::decode(current.manifest.as_slice()).unwrap().generation
    }
}

fn loaded(workloads: &[&str]) -> workloads::Loaded {
    let text = |name: &&str| {
        format!(
            "apiVersion: skerry.dev/v1alpha1\nkind: Workload\nmetadata: {{name: {name}, namespace: shop, labels: {{app: {name}}}}}\n\
             spec:\n  address: 127.0.0.1\n  ports: [{{name: http, port: 9080}}]\n  proxy: {{role: Sidecar}}\n"
        )
    };
    let files = workloads.iter().map(|name| (format!("{name}.yaml"), Ok(text(name).into_bytes()))).collect();
    workloads::fold(workloads::Scan { files, ..Default::default() }, &BTreeMap::new())
}

fn proxy(name: &str) -> NamespacedName {
    NamespacedName::new("shop", name)
}

/// News of a proxy's first stream; an acknowledgement or refusal is of what it is served now.
fn news(name: &str, news: ads::News) -> Mail {
    Mail::Proxy(ads::Event { proxy: proxy(name), stream: StreamId(1), news })
}

fn refused(served: Digest, detail: &str) -> ads::News {
    let kind = skerry_xds::resource::ResourceKind::Route;
    let refusal = ads::Refusal { kind, resources: vec!["r".into()], detail: detail.into() };
    ads::News::Refused(served, refusal)
}

impl Bench {
    fn served(&self, name: &str) -> Digest {
        self.feeds.as_ref().unwrap().borrow()[&proxy(name)].resources.borrow().digest()
    }
}

#[test]
fn an_offer_becomes_current_and_is_answered() {
    let (mut bench, first) = (Bench::new(), publish(1));
    let mut site = bench.boot(&["a"]);
    site.handle(first.offer());
    assert_eq!(bench.answers(), [(first.digest(), String::new())]);
    assert_eq!((bench.generation(), bench.events()), (1, vec!["Applied: ".to_owned()]));
    let identity = *bench.identity.as_ref().unwrap().borrow();
    let expected =
        Identity { manifest: Some(first.digest()), list: Some(first.contents.digest), ..Identity::default() };
    assert_eq!(identity, expected);
    let folder = Layout::new(bench.folder.path()).proxy(&proxy("a"));
    assert!(folder.static_bootstrap().is_file() && folder.ads_bootstrap().is_file());
    assert_eq!(bench.store.floors().unwrap().trusted_ms / 1_000, 1);
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

#[test]
fn with_no_bundle_nothing_is_served() {
    let mut bench = Bench::new();
    bench.boot(&["a"]);
    assert!(bench.feeds.unwrap().borrow().is_empty());
}

/// Invariant 5: the last good bundle is served before any link is there.
#[test]
fn a_restarted_agent_serves_what_ran() {
    let mut bench = Bench::new();
    bench.boot(&["a"]).handle(publish(1).offer());
    let before = bench.served("a");
    bench.boot(&["a"]);
    assert_eq!(bench.served("a"), before);
}

#[test]
fn while_one_bundle_is_tried_the_newest_other_waits() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    site.handle(news("a", ads::News::Connected));
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    for generation in [2, 3, 4] {
        site.handle(publish(generation).offer());
    }
    assert_eq!(bench.generation(), 1);
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    assert_eq!(bench.generation(), 2);
    site.handle(news("a", ads::News::Acked(bench.served("a"))));
    assert_eq!(bench.generation(), 4);
}

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

/// Killed in the middle of a trial: the candidate is published again at once, so that no proxy is
/// moved back and forth, and it is committed when all have had the time to refuse it.
#[test]
fn a_trial_goes_on_after_a_restart() {
    let mut bench = Bench::left(&publish(1), &publish(2));
    let mut site = bench.boot(&["a"]);
    assert_eq!(bench.generation(), 1);
    while bench.generation() == 1 {
        assert!(site.poll_timeout().is_some());
        site.handle_timeout();
    }
    assert_eq!(bench.generation(), 2);
}

#[test]
fn a_candidate_that_ends_the_agent_again_and_again_is_dropped() {
    let mut bench = Bench::left(&publish(1), &publish(2));
    for _ in 0..2 {
        bench.boot(&["a"]);
    }
    let mut site = bench.boot(&["a"]);
    assert!(site.candidate.is_none());
    site.handle(publish(2).offer());
    assert_eq!(
        bench.answers(),
        [(publish(2).digest(), "the agent ended 3 times while it tried it".to_owned())]
    );
    assert_eq!(bench.generation(), 1);
}

/// Invariant 4: never half a bundle, also when the disk lost a part of it.
#[test]
fn a_damaged_current_bundle_gives_way_to_the_one_before() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&["a"]);
    site.handle(publish(1).offer());
    let first = bench.served("a");
    let broken = Slot { list: publish(1).slot().list, ..publish(2).slot() };
    bench.store.put_candidate(&broken, &[]).unwrap();
    bench.store.commit(&crate::store::Floors::default(), Vec::new()).unwrap();
    drop(site);

    bench.boot(&["a"]);
    assert_eq!(bench.served("a"), first);
    assert!(
        bench.events()[1].starts_with("RolledBack: the bundle that ran is damaged"),
        "{:?}",
        bench.events()
    );
}

#[test]
fn a_list_that_is_not_here_is_asked_for_whole() {
    let mut bench = Bench::new();
    let mut site = bench.boot(&[]);
    site.handle(publish(1).offer());
    let Mail::Link(LinkEvent::Offer(mut offer)) = publish(2).offer() else { unreachable!("an offer") };
    offer.list.as_mut().unwrap().base = vec![7; 32];
    bench.answers();
    site.handle(Mail::Link(LinkEvent::Offer(offer)));
    let command = bench.commands.as_mut().unwrap().try_recv().unwrap();
    assert!(matches!(command, Command::Restart(Duration::ZERO)), "{command:?}");
    let identity = *bench.identity.as_ref().unwrap().borrow();
    let manifest = Some(publish(1).digest());
    assert_eq!(identity, Identity { manifest, ..Identity::default() });
    // A core that does not listen is asked again, later each time.
    let Mail::Link(LinkEvent::Offer(mut offer)) = publish(2).offer() else { unreachable!("an offer") };
    offer.list.as_mut().unwrap().base = vec![7; 8];
    site.handle(Mail::Link(LinkEvent::Offer(offer)));
    let (digest, reason) = bench.answers().pop().unwrap();
    assert_eq!(digest, publish(2).digest());
    assert!(
        reason.starts_with("it arrived damaged, and is asked for again: the offer builds on"),
        "{reason}"
    );
    assert!(site.again.poll_timeout() > Some(site.clock.now()));
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

impl Bench {
    /// Names of the listeners, and every endpoint, that a proxy is served.
    fn seen(&self, name: &str) -> (Vec<String>, String) {
        let set = self.feeds.as_ref().unwrap().borrow()[&proxy(name)].resources.borrow().clone();
        let names = set.listeners().map(|listener| listener.name).collect();
        (names, format!("{:?}", set.endpoints().collect::<Vec<_>>()))
    }
}

/// A bundle whose service `echo` is reached at a port, and has a workload `b` behind a proxy.
fn reached(generation: u64) -> Published {
    reached_with(generation, v1::Settings { outbound_cidr: "127.70.0.0/16".into(), ..Default::default() })
}

/// The same, closed to whom no policy allows.
fn guarded(generation: u64) -> Published {
    let outbound_cidr = "127.70.0.0/16".into();
    reached_with(generation, v1::Settings { outbound_cidr, deny_by_default: true, ..Default::default() })
}

fn reached_with(generation: u64, settings: v1::Settings) -> Published {
    let target = Some(v1::service_port::Target::TargetNumber(9080));
    let port = v1::ServicePort { port: 80, protocol: v1::Protocol::Tcp.into(), target, ..Default::default() };
    let service = |name: &str, index| v1::Service {
        namespace: "shop".into(),
        name: name.into(),
        index,
        selector: [("app".to_owned(), name.to_owned())].into(),
        ports: vec![port.clone()],
        ..Default::default()
    };
    let fragments = [
        EncodedFragment::settings(settings),
        EncodedFragment::service(service("echo", 1)),
        EncodedFragment::service(service("other", 2)),
    ];
    let contents = Contents::new(fragments.map(Arc::new).to_vec());
    let list = contents.digest.as_bytes().to_vec();
    let manifest =
        v1::Manifest { site: "store-1".into(), epoch: 1, generation, list, schema: 1, ..Default::default() };
    Published { manifest: manifest.encode_to_vec(), contents }
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

/// Every step of `step::STEPS` that the site takes itself is named, in the order of the table.
#[test]
fn an_apply_names_its_steps() {
    let mut bench = Bench::new();
    let steps = named_steps(|| {
        let mut site = bench.boot(&["a"]);
        site.handle(publish(1).offer());
        site.handle(news("a", ads::News::Connected));
        site.handle(publish(2).offer());
        site.handle(news("a", refused(bench.served("a"), "no")));
        drop(site);
        bench.store.put_candidate(&publish(3).slot(), &publish(3).fragments()).unwrap();
        bench.boot(&["a"]);
    });
    let first = steps.iter().position(|step| step == "agent.apply.snapshot-written").unwrap();
    let in_order: Vec<&str> = crate::step::STEPS[..13].iter().map(|(name, _)| *name).collect();
    let expected = in_order.iter().filter(|name| **name != "agent.apply.fragments-staged");
    assert!(steps[..=first].iter().filter(|step| !step.starts_with("agent.spool")).eq(expected), "{steps:?}");
    for name in
        ["agent.apply.condemned", "agent.apply.rolled-back", "agent.apply.resumed", "agent.spool.queued"]
    {
        assert!(steps.iter().any(|step| step == name), "{name}: {steps:?}");
    }
}

fn named_steps(run: impl FnOnce()) -> Vec<String> {
    use tracing_subscriber::prelude::*;
    let steps = Arc::new(parking_lot::Mutex::new(Vec::new()));
    // With a single dispatcher alive, tracing asks that of the thread that first comes by a place, which
    // may be another test's and have none, and keeps the answer.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Ear(steps.clone())), run);
    std::mem::take(&mut steps.lock())
}

/// Hears the steps.
struct Ear(Arc<parking_lot::Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Ear {
    fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        if event.metadata().target() == crate::step::TARGET {
            event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                assert_eq!(field.name(), "step");
                self.0.lock().push(format!("{value:?}").trim_matches('"').to_owned());
            });
        }
    }
}
