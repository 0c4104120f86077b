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
mod proxies;
mod refusals;
mod restarts;
mod snapshots;
mod steps;
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

    fn served(&self, name: &str) -> Digest {
        self.feeds.as_ref().unwrap().borrow()[&proxy(name)].resources.borrow().digest()
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

#[test]
fn with_no_bundle_nothing_is_served() {
    let mut bench = Bench::new();
    bench.boot(&["a"]);
    assert!(bench.feeds.unwrap().borrow().is_empty());
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
