//! Which object attaches to which, by the object attached to: those of every form, as the source has it
//! and as overrides make it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::id::{Kind, NamespacedName, ObjectKey};
use crate::policy::http_route::Action;
use crate::policy::target::Target;
use crate::policy::{AuthorizationPolicy, HttpRoute, Object, Spec, TrafficPolicy};

/// Objects, each with the number of its forms that attach.
type Keys = BTreeMap<ObjectKey, usize>;

/// Attachments of the world.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Routes by the service that they attach to.
    routes_by_parent: BTreeMap<NamespacedName, Keys>,
    /// Routes by a service that they send to, there or not.
    routes_by_backend: BTreeMap<NamespacedName, Keys>,
    /// Policies of every kind by target; a target that is a rule is kept under its route, one that is a mesh without its name.
    policies_by_target: BTreeMap<Target, Keys>,
    /// Authorization policies by a site that they name as a caller's, there or not.
    policies_by_site: BTreeMap<String, Keys>,
    /// Overrides by the object that they patch.
    overrides_by_target: BTreeMap<ObjectKey, Keys>,
    /// Services by the address that they declare.
    services_by_address: BTreeMap<IpAddr, Keys>,
}

impl Links {
    /// Records a form's attachments.
    pub(super) fn add(&mut self, object: &Object) {
        self.each(object, |keys, key| *keys.entry(key.clone()).or_default() += 1);
    }

    /// Takes a form's attachments out.
    pub(super) fn remove(&mut self, object: &Object) {
        self.each(object, |keys, key| {
            if let Some(forms) = keys.get_mut(key) {
                *forms -= 1;
                if *forms == 0 {
                    keys.remove(key);
                }
            }
        });
    }

    fn each(&mut self, object: &Object, change: impl Fn(&mut Keys, &ObjectKey)) {
        let change = |keys: &mut Keys| change(keys, &object.key);
        match &object.spec {
            Spec::HttpRoute(route) => {
                let parents: BTreeSet<_> =
                    route.parents.iter().map(|parent| parent.service.clone()).collect();
                parents.iter().for_each(|parent| at(&mut self.routes_by_parent, parent, change));
                backends_of(route).iter().for_each(|name| at(&mut self.routes_by_backend, name, change));
            }
            Spec::TrafficPolicy(TrafficPolicy { targets, .. }) => self.each_target(targets, change),
            Spec::AuthorizationPolicy(policy) => {
                self.each_target(&policy.targets, change);
                sites_of(policy).iter().for_each(|site| at(&mut self.policies_by_site, site, change));
            }
            Spec::SiteOverride(spec) => {
                let targets: BTreeSet<_> = spec.patches.iter().map(|patch| patch.target.clone()).collect();
                targets.iter().for_each(|target| at(&mut self.overrides_by_target, target, change));
            }
            Spec::Service(service) => {
                let address = service.cluster_ip.iter();
                address.for_each(|address| at(&mut self.services_by_address, address, change));
            }
            Spec::Mesh(_) | Spec::Site(_) => {}
        }
    }

    fn each_target(&mut self, targets: &[Target], change: impl Fn(&mut Keys)) {
        let targets: BTreeSet<_> = targets.iter().map(coarse).collect();
        targets.iter().for_each(|target| at(&mut self.policies_by_target, target, &change));
    }

    /// Lists the services that declare an address in some form.
    pub(super) fn services_at(&self, address: &IpAddr) -> impl Iterator<Item = &ObjectKey> {
        keys(&self.services_by_address, address)
    }

    /// Lists the routes that attach to a service in some form.
    pub(super) fn routes(&self, service: &NamespacedName) -> impl Iterator<Item = &ObjectKey> {
        keys(&self.routes_by_parent, service)
    }

    /// Lists the routes that send to a service in some form.
    pub(super) fn routes_to(&self, service: &NamespacedName) -> impl Iterator<Item = &ObjectKey> {
        keys(&self.routes_by_backend, service)
    }

    /// Lists the policies that attach to a service or one of its routes in some form.
    pub(super) fn policies<'a>(
        &self,
        service: &NamespacedName,
        routes: impl Iterator<Item = &'a ObjectKey>,
    ) -> BTreeSet<&ObjectKey> {
        let own = [mesh(), Target::Namespace(service.namespace.clone()), Target::Service(service.clone())];
        let of_routes = routes.map(|route| Target::Route(route.namespaced_name()));
        own.into_iter().chain(of_routes).flat_map(|target| self.policies_on(&target)).collect()
    }

    fn policies_on(&self, target: &Target) -> impl Iterator<Item = &ObjectKey> + use<'_> {
        keys(&self.policies_by_target, target)
    }

    /// Lists the objects that some override patches, there or not.
    pub(super) fn overridden(&self) -> impl Iterator<Item = &ObjectKey> {
        self.overrides_by_target.keys()
    }

    /// Lists the overrides that patch an object.
    pub(super) fn overrides(&self, target: &ObjectKey) -> impl Iterator<Item = &ObjectKey> {
        keys(&self.overrides_by_target, target)
    }

    /// Lists the objects that name this one as parent, backend, target, caller's site or patched object.
    pub(super) fn referrers(&self, key: &ObjectKey) -> BTreeSet<ObjectKey> {
        let mut found: BTreeSet<&ObjectKey> = self.overrides(key).collect();
        match key.kind {
            Kind::Mesh => found.extend(self.policies_on(&mesh())),
            Kind::Service => {
                let name = key.namespaced_name();
                found.extend(self.routes(&name).chain(self.routes_to(&name)));
                found.extend(self.policies_on(&Target::Service(name.clone())));
            }
            Kind::HttpRoute => found.extend(self.policies_on(&Target::Route(key.namespaced_name()))),
            Kind::Site => found.extend(keys(&self.policies_by_site, &key.name)),
            Kind::TrafficPolicy | Kind::AuthorizationPolicy | Kind::SiteOverride => {}
        }
        found.into_iter().cloned().collect()
    }
}

fn at<K: Ord + Clone>(map: &mut BTreeMap<K, Keys>, key: &K, change: impl Fn(&mut Keys)) {
    let keys = map.entry(key.clone()).or_default();
    change(keys);
    if keys.is_empty() {
        map.remove(key);
    }
}

fn keys<'m, K: Ord>(map: &'m BTreeMap<K, Keys>, key: &K) -> impl Iterator<Item = &'m ObjectKey> + use<'m, K> {
    map.get(key).into_iter().flat_map(BTreeMap::keys)
}

/// The services that a route sends to.
pub(super) fn backends_of(route: &HttpRoute) -> BTreeSet<NamespacedName> {
    let backends = route.rules.iter().filter_map(|rule| match &rule.action {
        Action::Forward { backends, .. } => Some(backends),
        Action::Redirect(_) | Action::Fail => None,
    });
    let targets = backends.flatten().filter_map(|backend| backend.target.as_ref().ok());
    targets.map(|target| target.service.clone()).collect()
}

/// The sites that a policy names as those of callers.
fn sites_of(policy: &AuthorizationPolicy) -> BTreeSet<String> {
    policy.named_sites().map(|(_, site)| site.to_owned()).collect()
}

/// The key of all policies on the mesh, by whatever name.
fn mesh() -> Target {
    Target::Mesh(String::new())
}

fn coarse(target: &Target) -> Target {
    match target {
        Target::Mesh(_) => mesh(),
        Target::Rule(route, _) => Target::Route(route.clone()),
        Target::Namespace(_) | Target::Service(_) | Target::Route(_) => target.clone(),
    }
}
