//! A model of Envoy on the other end, with messages delayed, streams cut and resources refused at
//! random: whatever happens, the proxy ends with the newest set, and never routes to a cluster that
//! it does not have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::route::v3::RouteConfiguration;
use proptest::prelude::*;
use skerry_core::id::Digest;
use skerry_xds::resource::{ResourceKind, ResourceSet};
use skerry_xds::session::{Delta, Event, Session, Sotw};

use super::pile::Pile;
use super::wire::{Payload, Wire};

/// The edition that the proxy refuses, whatever kind it is of.
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
    /// The stream breaks, and the proxy opens another to an agent that may have started anew.
    Reconnect,
}

/// A set: the edition of each cluster, and for each way its listener's and routes' editions and the
/// cluster that it leads to.
#[derive(Debug, Clone, Default)]
struct Plan {
    clusters: BTreeMap<u8, (u32, u32)>,
    ways: BTreeMap<u8, (u32, u32, u8)>,
}

impl Plan {
    /// Ways lead to clusters of the same set, as lowering sees to.
    fn to_set(&self) -> ResourceSet {
        let mut pile = Pile::default();
        for (name, (cluster, endpoints)) in &self.clusters {
            let name = format!("c{name}");
            pile = pile.with(ResourceKind::Cluster, &name, *cluster).with(ResourceKind::Endpoint, &name, *endpoints);
        }
        for (name, (listener, routes, target)) in &self.ways {
            let Some(target) = self.clusters.keys().nth(usize::from(*target) % self.clusters.len().max(1)) else { continue };
            let name = format!("w{name}");
            pile = pile.with(ResourceKind::Listener, &name, *listener);
            pile.0.add_route(&RouteConfiguration {
                internal_only_headers: vec![routes.to_string()],
                request_headers_to_remove: vec![format!("c{target}")],
                name,
                ..Default::default()
            });
        }
        pile.0
    }
}

/// The proxy: what it has, and how it behaves as far as it was observed of Envoy.
struct Proxy<V: Wire> {
    has: BTreeMap<ResourceKind, BTreeMap<String, prost_types::Any>>,
    /// Clusters that wait for endpoints. While there are any, answers about clusters are held back.
    warming: BTreeSet<String>,
    held_back: Vec<V::Request>,
    asked: BTreeMap<ResourceKind, BTreeSet<String>>,
    /// The version and nonce of the last response of each kind.
    version: BTreeMap<ResourceKind, String>,
    nonce: BTreeMap<ResourceKind, String>,
    outbox: VecDeque<V::Request>,
    refuses: bool,
}

/// Both ends and what is between them.
struct World<V: Wire> {
    set: Arc<ResourceSet>,
    session: Session<V>,
    proxy: Proxy<V>,
    to_proxy: VecDeque<V::Response>,
    synced: Option<Digest>,
}
