//! The session against a model of Envoy, with messages delayed, streams cut and resources refused at
//! random: whatever happens, the proxy ends with the newest set, and on the way it never routes to a
//! cluster that it does not have.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use envoy_types::pb::google::protobuf::Any;
use proptest::prelude::*;
use skerry_core::id::Digest;
use skerry_xds::bootstrap::AdsMode;
use skerry_xds::resource::{ResourceKind, ResourceSet};
use skerry_xds::session::{Delta, Event, Session, Sotw};

use super::pile::{Pile, edition_of};
use super::proxy::{Proxy, never};
use super::transcript::version;
use super::wire::Wire;

/// The edition that a proxy may refuse, of clusters and listeners.
const BAD: u32 = 9;

/// What may happen next.
#[derive(Debug, Clone)]
enum Step {
    /// The agent has a new set.
    Set(Plan),
    /// A response reaches the proxy.
    Deliver,
    /// A request reaches the session.
    Send,
    /// The stream breaks, and the proxy opens another to an agent that started anew.
    Reconnect,
}

/// A set: by cluster its edition and that of its endpoints; by way the editions of listener and
/// routes, and the cluster that it leads to.
#[derive(Debug, Clone, Default)]
struct Plan {
    clusters: BTreeMap<u8, (u32, u32)>,
    ways: BTreeMap<u8, (u32, u32, usize)>,
}

impl Plan {
    /// Ways lead to clusters of the same set, as lowering sees to.
    fn to_set(&self) -> Arc<ResourceSet> {
        let mut pile = Pile::default();
        for (name, (cluster, endpoints)) in &self.clusters {
            let name = format!("c{name}");
            pile = pile.with(ResourceKind::Secret, &name, *endpoints).with(
                ResourceKind::Cluster,
                &name,
                *cluster,
            );
            pile = pile.with(ResourceKind::Endpoint, &name, *endpoints);
        }
        let targets: Vec<&u8> = self.clusters.keys().collect();
        for (name, (listener, routes, target)) in self.ways.iter().filter(|_| !targets.is_empty()) {
            pile = pile.with(ResourceKind::Listener, &format!("w{name}"), *listener);
            pile.0.add_route(&RouteConfiguration {
                name: format!("w{name}"),
                internal_only_headers: vec![routes.to_string()],
                request_headers_to_remove: vec![format!("c{}", targets[target % targets.len()])],
                ..Default::default()
            });
        }
        Arc::new(pile.0)
    }
}

fn editions() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..3_u32, 1 => Just(BAD)]
}

fn plans() -> impl Strategy<Value = Plan> {
    let clusters = prop::collection::btree_map(0..4_u8, (editions(), 0..3_u32), 0..4);
    let ways = prop::collection::btree_map(0..3_u8, (editions(), 0..3_u32, 0..4_usize), 0..3);
    (clusters, ways).prop_map(|(clusters, ways)| Plan { clusters, ways })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => plans().prop_map(Step::Set),
        8 => Just(Step::Deliver),
        8 => Just(Step::Send),
        1 => Just(Step::Reconnect),
    ];
    prop::collection::vec(step, 0..120)
}

/// Both ends and what is between them.
struct World<V: Wire> {
    set: Arc<ResourceSet>,
    session: Session<V>,
    proxy: Proxy<V>,
    to_proxy: VecDeque<V::Response>,
    /// The nonces of each kind that are neither taken nor refused.
    open: BTreeMap<ResourceKind, usize>,
    synced: Option<Digest>,
}

impl<V: Wire> World<V>
where
    V::Response: Clone,
{
    fn new(refuses: fn(&Any) -> bool) -> Self {
        let set = Plan::default().to_set();
        let session = Session::new(Arc::clone(&set));
        let (to_proxy, open) = (VecDeque::new(), BTreeMap::new());
        Self { set, session, proxy: Proxy::new(refuses), to_proxy, open, synced: None }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Set(plan) => {
                self.set = plan.to_set();
                self.synced = None;
                self.session.set_resources(Arc::clone(&self.set));
            }
            Step::Deliver => {
                if let Some(response) = self.to_proxy.pop_front() {
                    self.proxy.take(response);
                }
            }
            Step::Send => self.send(),
            Step::Reconnect => {
                self.session = Session::new(Arc::clone(&self.set));
                self.to_proxy.clear();
                self.open.clear();
                self.synced = None;
                self.proxy.connect();
            }
        }
        self.poll();
    }

    fn send(&mut self) {
        if let Some(request) = self.proxy.outbox.pop_front() {
            self.session.handle_request(request);
        }
    }

    fn poll(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Acked { kind, .. } | Event::Nacked { kind, .. } => {
                    *self.open.entry(kind).or_default() -= 1;
                }
                Event::Synced(digest) => self.synced = Some(digest),
                Event::NodeKnown(_) => {}
            }
        }
        while let Some(response) = self.session.poll_response() {
            let kind = V::read(response.clone()).kind;
            let open = self.open.entry(kind).or_default();
            *open += 1;
            assert_eq!(*open, 1, "two responses of {kind} are under way");
            self.to_proxy.push_back(response);
        }
    }

    /// Lets both ends talk until neither has anything to say.
    fn rest(&mut self) {
        for _ in 0..2_000 {
            if self.to_proxy.is_empty() && self.proxy.outbox.is_empty() {
                return;
            }
            self.step(&Step::Send);
            self.step(&Step::Deliver);
        }
        panic!("they never come to rest");
    }

    /// The versions of what should be there and of what is.
    fn compare(&self, kind: ResourceKind) -> (BTreeMap<&str, String>, BTreeMap<&str, String>) {
        let wanted =
            self.set.of(kind).iter().map(|(name, resource)| (&**name, resource.version().to_owned()));
        let has = self.proxy.has[&kind].iter().map(|(name, any)| (name.as_str(), version(any)));
        (wanted.collect(), has.collect())
    }
}

/// Without refusals everything arrives, and the session knows it.
fn converges<V: Wire>(steps: &[Step])
where
    V::Response: Clone,
{
    let mut world = World::<V>::new(never);
    steps.iter().for_each(|step| world.step(step));
    world.rest();
    for kind in ResourceKind::ALL {
        let (wanted, has) = world.compare(kind);
        assert_eq!(wanted, has, "{kind}");
    }
    assert_eq!(world.synced, Some(world.set.digest()));
}

fn is_bad(any: &Any) -> bool {
    edition_of(any) == Some(BAD)
}

/// What is refused hurts only itself, and nobody repeats it for ever.
fn good_ones_arrive<V: Wire>(steps: &[Step])
where
    V::Response: Clone,
{
    let mut world = World::<V>::new(is_bad);
    steps.iter().for_each(|step| world.step(step));
    world.rest();
    let mut bad = 0;
    for kind in [ResourceKind::Cluster, ResourceKind::Listener] {
        let (wanted, has) = world.compare(kind);
        for (name, version) in &wanted {
            if is_bad(world.set.of(kind)[*name].any()) {
                bad += 1;
            } else {
                assert_eq!(has.get(name), Some(version), "{kind} {name}");
            }
        }
        // A SotW session does not know what it would take away by leaving out what was refused, so after
        // a broken stream it leaves the whole alone.
        let may_linger = V::MODE == AdsMode::Sotw && steps.iter().any(|step| matches!(step, Step::Reconnect));
        assert!(
            may_linger || has.keys().all(|name| wanted.contains_key(name)),
            "{kind}: {has:?} of {wanted:?}"
        );
    }
    assert_eq!(world.synced.is_some(), bad == 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn delta_converges_in_order(steps in steps()) {
        converges::<Delta>(&steps);
    }

    #[test]
    fn sotw_converges_in_order(steps in steps()) {
        converges::<Sotw>(&steps);
    }

    #[test]
    fn delta_brings_the_good_ones(steps in steps()) {
        good_ones_arrive::<Delta>(&steps);
    }

    #[test]
    fn sotw_brings_the_good_ones(steps in steps()) {
        good_ones_arrive::<Sotw>(&steps);
    }
}
