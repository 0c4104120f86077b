//! Which object attaches to which, by the object attached to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::id::{Kind, NamespacedName, ObjectKey};
use crate::overrides::{Layer, is_within};
use crate::policy::traffic_policy::Target;
use crate::policy::{Object, Spec};

type Keys = BTreeSet<ObjectKey>;

/// Attachments of the world, as the source has them (before overrides).
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Routes by the service that they attach to.
    routes_by_parent: BTreeMap<NamespacedName, Keys>,
    /// Policies by target; a target that is a rule is kept under its route.
    policies_by_target: BTreeMap<Target, Keys>,
    /// Overrides by the object that they patch.
    overrides_by_target: BTreeMap<ObjectKey, Keys>,
    /// Services by the address that they declare.
    services_by_address: BTreeMap<IpAddr, Keys>,
    /// Objects whose attachments some override changes, with those overrides: they may attach to anything.
    floating: BTreeMap<ObjectKey, Keys>,
}

impl Links {
    /// Records an object's attachments.
    pub(super) fn add(&mut self, object: &Object) {
        self.each(object, |keys, key| {
            keys.insert(key.clone());
        });
    }

    /// Takes an object's attachments out.
    pub(super) fn remove(&mut self, object: &Object) {
        self.each(object, |keys, key| {
            keys.remove(key);
        });
        self.routes_by_parent.retain(|_, keys| !keys.is_empty());
        self.policies_by_target.retain(|_, keys| !keys.is_empty());
        self.overrides_by_target.retain(|_, keys| !keys.is_empty());
        self.floating.retain(|_, keys| !keys.is_empty());
        self.services_by_address.retain(|_, keys| !keys.is_empty());
    }

    fn each(&mut self, object: &Object, change: impl Fn(&mut Keys, &ObjectKey)) {
        let key = &object.key;
        match &object.spec {
            Spec::HttpRoute(route) => {
                for parent in &route.parents {
                    change(self.routes_by_parent.entry(parent.service.clone()).or_default(), key);
                }
            }
            Spec::TrafficPolicy(policy) => {
                for target in &policy.targets {
                    change(self.policies_by_target.entry(coarse(target)).or_default(), key);
                }
            }
            Spec::SiteOverride(spec) => {
                for patch in &spec.patches {
                    change(self.overrides_by_target.entry(patch.target.clone()).or_default(), key);
                    if moves(object, &patch.target) {
                        change(self.floating.entry(patch.target.clone()).or_default(), key);
                    }
                }
            }
            Spec::Service(service) => {
                if let Some(address) = service.cluster_ip {
                    change(self.services_by_address.entry(address).or_default(), key);
                }
            }
            Spec::Mesh(_) | Spec::Site(_) => {}
        }
    }

    /// Lists the services that declare an address.
    pub(super) fn services_at(&self, address: &IpAddr) -> impl Iterator<Item = &ObjectKey> {
        self.services_by_address.get(address).into_iter().flatten()
    }

    /// Lists the services that an object has a say in by itself, whatever was compiled before.
    pub(super) fn reach(
        &self,
        object: &Object,
        services: impl Iterator<Item = NamespacedName>,
    ) -> Vec<NamespacedName> {
        if self.floating.contains_key(&object.key) {
            return services.collect();
        }
        match &object.spec {
            Spec::Service(service) => {
                let rivals = service.cluster_ip.iter().flat_map(|address| self.services_at(address));
                rivals.chain([&object.key]).map(ObjectKey::namespaced_name).collect()
            }
            Spec::HttpRoute(route) => route.parents.iter().map(|parent| parent.service.clone()).collect(),
            Spec::TrafficPolicy(policy) => self.reach_of_targets(&policy.targets, services),
            Spec::SiteOverride(spec) if spec.patches.iter().any(|patch| moves(object, &patch.target)) => {
                services.collect()
            }
            Spec::SiteOverride(_) | Spec::Mesh(_) | Spec::Site(_) => Vec::new(),
        }
    }

    fn reach_of_targets(
        &self,
        targets: &[Target],
        services: impl Iterator<Item = NamespacedName>,
    ) -> Vec<NamespacedName> {
        let routes: Keys = targets.iter().filter_map(route_of).collect();
        if routes.iter().any(|route| self.floating.contains_key(route)) {
            return services.collect();
        }
        let covers = |service: &NamespacedName| {
            targets.iter().any(|target| match target {
                Target::Mesh => true,
                Target::Namespace(namespace) => *namespace == service.namespace,
                Target::Service(name) => name == service,
                Target::Route(_) | Target::Rule(..) => {
                    self.routes_by_parent.get(service).is_some_and(|attached| !attached.is_disjoint(&routes))
                }
            })
        };
        services.filter(covers).collect()
    }

    /// Lists the routes that may attach to a service.
    pub(super) fn routes(&self, service: &NamespacedName) -> Keys {
        let attached = self.routes_by_parent.get(service).into_iter().flatten();
        attached.chain(self.floating_of(Kind::HttpRoute)).cloned().collect()
    }

    /// Lists the policies that may attach to a service or one of its routes.
    pub(super) fn policies<'a>(
        &self,
        service: &NamespacedName,
        routes: impl IntoIterator<Item = &'a ObjectKey>,
    ) -> Keys {
        let own =
            [Target::Mesh, Target::Namespace(service.namespace.clone()), Target::Service(service.clone())];
        let of_routes = routes.into_iter().map(|route| Target::Route(route.namespaced_name()));
        let targets: Vec<Target> = own.into_iter().chain(of_routes).collect();
        let attached = targets.iter().filter_map(|target| self.policies_by_target.get(target)).flatten();
        attached.chain(self.floating_of(Kind::TrafficPolicy)).cloned().collect()
    }

    /// Lists the objects that some override patches, there or not.
    pub(super) fn overridden(&self) -> impl Iterator<Item = &ObjectKey> {
        self.overrides_by_target.keys()
    }

    /// Lists the overrides that patch an object.
    pub(super) fn overrides(&self, target: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        self.overrides_by_target.get(target).into_iter().flatten()
    }

    fn floating_of(&self, kind: Kind) -> impl Iterator<Item = &ObjectKey> {
        self.floating.keys().filter(move |key| key.kind == kind)
    }
}

/// Says whether an override changes what its target attaches to.
fn moves(object: &Object, target: &ObjectKey) -> bool {
    let attaches = |pointer: &str| {
        ["/spec/parentRefs", "/spec/targetRefs"]
            .iter()
            .any(|list| is_within(pointer, list) || is_within(list, pointer))
    };
    Layer::new(object, target)
        .is_some_and(|layer| layer.touched().iter().any(|(pointer, _)| attaches(pointer)))
}

fn coarse(target: &Target) -> Target {
    match target {
        Target::Rule(route, _) => Target::Route(route.clone()),
        other => other.clone(),
    }
}

fn route_of(target: &Target) -> Option<ObjectKey> {
    match target {
        Target::Route(name) | Target::Rule(name, _) => {
            Some(ObjectKey::new(Kind::HttpRoute, name.namespace.clone(), name.name.clone()))
        }
        Target::Mesh | Target::Namespace(_) | Target::Service(_) => None,
    }
}
