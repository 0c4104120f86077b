//! Which services an object has a say in: what is to be compiled again when it changes.

use std::collections::BTreeSet;

use crate::id::{Kind, NamespacedName, ObjectKey};
use crate::policy::target::Target;
use crate::policy::{AuthorizationPolicy, HttpRoute, Object, OfSpec as _, Spec, TrafficPolicy};

use super::Index;

impl Index {
    /// Lists the services that a form of an object has a say in.
    pub(super) fn reach(&self, object: &Object) -> BTreeSet<NamespacedName> {
        match &object.spec {
            Spec::Service(service) => {
                let name = object.key.namespaced_name();
                let rivals = service.cluster_ip.iter().flat_map(|address| self.links.services_at(address));
                let callers = self.callers(&name);
                rivals.map(ObjectKey::namespaced_name).chain(callers).chain([name.clone()]).collect()
            }
            Spec::HttpRoute(route) => route.parents.iter().map(|parent| parent.service.clone()).collect(),
            Spec::TrafficPolicy(TrafficPolicy { targets, .. })
            | Spec::AuthorizationPolicy(AuthorizationPolicy { targets, .. }) => {
                targets.iter().flat_map(|target| self.reach_of(target)).collect()
            }
            Spec::SiteOverride(_) | Spec::Mesh(_) | Spec::Site(_) => BTreeSet::new(),
        }
    }

    fn reach_of(&self, target: &Target) -> Vec<NamespacedName> {
        match target {
            Target::Mesh(_) => self.services().collect(),
            Target::Namespace(namespace) => {
                self.services().filter(|service| service.namespace == *namespace).collect()
            }
            Target::Service(name) => vec![name.clone()],
            Target::Route(name) | Target::Rule(name, _) => self.parents(&ObjectKey::route(name)).collect(),
        }
    }

    /// The services that have a route in some form which sends to this one.
    pub(super) fn callers(&self, service: &NamespacedName) -> BTreeSet<NamespacedName> {
        self.links.routes_to(service).flat_map(|route| self.parents(route)).collect()
    }

    /// The services that a route attaches to in some form.
    fn parents(&self, route: &ObjectKey) -> impl Iterator<Item = NamespacedName> {
        let routes = self.forms(route).filter_map(|form| HttpRoute::of(&form.form.object().spec));
        routes.flat_map(|route| route.parents.iter().map(|parent| parent.service.clone()))
    }

    /// Lists all services.
    pub(super) fn services(&self) -> impl Iterator<Item = NamespacedName> {
        self.of_kind(Kind::Service).map(|(key, _)| key.namespaced_name())
    }
}
