//! Gathers the inputs of one service for one class of sites, and compiles it unless equal inputs were
//! compiled before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::compile::{CompiledService, PolicyInput, RouteInput, ServiceInputs, compile_service};
use crate::id::{NamespacedName, ObjectKey};
use crate::policy::http_route::Action;
use crate::policy::{HttpRoute, Service, Spec};

use super::Index;
use super::classes::ClassKey;
use super::variants::Variant;

type Shared = Arc<Variant>;

/// Another service that has an address.
#[derive(Debug)]
struct Holder {
    key: ObjectKey,
    version: u64,
}

/// The inputs of one service, in the forms that a class has them.
#[derive(Debug)]
pub(super) struct Gathered {
    service: Shared,
    /// Another service that has the address which this one declares.
    address_holder: Option<Holder>,
    routes: Vec<Shared>,
    policies: Vec<Shared>,
    backends: BTreeMap<NamespacedName, Option<Shared>>,
}

impl Index {
    /// Compiles a service for a class; `None` when the service is not there for the class.
    pub(super) fn compile_service(
        &mut self,
        class: &ClassKey,
        name: &NamespacedName,
    ) -> Option<Arc<CompiledService>> {
        let gathered = self.gather(class, name)?;
        let versions = gathered.versions();
        if let Some(known) = self.memo.get(&versions) {
            return Some(Arc::clone(known));
        }
        let index = self.indexes.get(name)?;
        let compiled = Arc::new(gathered.with_inputs(index, compile_service)?);
        self.memo.insert(versions, Arc::clone(&compiled));
        Some(compiled)
    }

    /// Gathers the inputs and records what was looked at.
    pub(super) fn gather(&mut self, class: &ClassKey, name: &NamespacedName) -> Option<Gathered> {
        let key = ObjectKey::service(name);
        let mut looked_at = BTreeSet::from([key.clone()]);
        let gathered = self.gather_into(class, name, &key, &mut looked_at);
        for key in looked_at {
            self.dependents.entry(key.clone()).or_default().insert(name.clone());
            self.inputs.entry(name.clone()).or_default().insert(key);
        }
        gathered
    }

    fn gather_into(
        &mut self,
        class: &ClassKey,
        name: &NamespacedName,
        key: &ObjectKey,
        looked_at: &mut BTreeSet<ObjectKey>,
    ) -> Option<Gathered> {
        let service = self.selected(class, key)?;
        let declared = as_service(&service).and_then(|service| service.cluster_ip);
        let address_holder = declared.and_then(|address| self.address_holder(class, key, &address));
        let route_keys = self.links.routes(name);
        looked_at.extend(route_keys.iter().cloned());
        let routes: Vec<Shared> = route_keys
            .iter()
            .filter_map(|key| self.selected(class, key))
            .filter(|variant| as_route(variant).is_some_and(|route| attaches(route, name)))
            .collect();
        let policy_keys = self.links.policies(name, routes.iter().map(|route| &route.aged.object.key));
        looked_at.extend(policy_keys.iter().cloned());
        let policies = policy_keys.iter().filter_map(|key| self.selected(class, key)).collect();
        let named: BTreeSet<NamespacedName> =
            routes.iter().filter_map(as_route).flat_map(backends_of).collect();
        let mut backends = BTreeMap::new();
        for backend in named {
            let key = ObjectKey::service(&backend);
            backends.insert(backend, self.selected(class, &key));
            looked_at.insert(key);
        }
        Some(Gathered { service, address_holder, routes, policies, backends })
    }

    /// Of several services of a class that declare one address the oldest has it, then the first by name.
    fn address_holder(&self, class: &ClassKey, key: &ObjectKey, address: &IpAddr) -> Option<Holder> {
        let rivals = self.links.services_at(address).filter_map(|rival| self.objects.get(rival));
        let present = rivals.filter(|slot| self.classes.selects(class, &slot.aged.object));
        let holder = present.min_by_key(|slot| (slot.aged.age, &slot.aged.object.key))?;
        let name = &holder.aged.object.key;
        (name != key).then(|| Holder { key: name.clone(), version: holder.stamp })
    }
}

impl Gathered {
    /// The versions of everything gathered, in a fixed order; a missing backend counts as 0.
    fn versions(&self) -> Vec<u64> {
        let mut versions =
            vec![self.service.id, self.address_holder.as_ref().map_or(0, |holder| holder.version)];
        for group in [&self.routes, &self.policies] {
            versions.push(0);
            versions.extend(group.iter().map(|variant| variant.id));
        }
        versions.push(0);
        versions
            .extend(self.backends.values().map(|backend| backend.as_ref().map_or(0, |variant| variant.id)));
        versions
    }

    /// Calls a function with the typed inputs; `None` when the service's variant is no service.
    pub(super) fn with_inputs<T>(&self, index: u32, call: impl FnOnce(&ServiceInputs<'_>) -> T) -> Option<T> {
        let backends = self.backends.iter();
        let inputs = ServiceInputs {
            object: &self.service.aged.object,
            service: as_service(&self.service)?,
            address_holder: self.address_holder.as_ref().map(|holder| &holder.key),
            index,
            routes: self.routes.iter().filter_map(|variant| RouteInput::new(&variant.aged)).collect(),
            policies: self.policies.iter().filter_map(|variant| PolicyInput::new(&variant.aged)).collect(),
            backends: backends
                .filter_map(|(name, found)| Some((name.clone(), as_service(found.as_ref()?)?)))
                .collect(),
        };
        Some(call(&inputs))
    }
}

fn as_service(variant: &Shared) -> Option<&Service> {
    match &variant.aged.object.spec {
        Spec::Service(service) => Some(service),
        _ => None,
    }
}

fn as_route(variant: &Shared) -> Option<&HttpRoute> {
    match &variant.aged.object.spec {
        Spec::HttpRoute(route) => Some(route),
        _ => None,
    }
}

fn attaches(route: &HttpRoute, service: &NamespacedName) -> bool {
    route.parents.iter().any(|parent| parent.service == *service)
}

fn backends_of(route: &HttpRoute) -> impl Iterator<Item = NamespacedName> + '_ {
    let backends = route.rules.iter().filter_map(|rule| match &rule.action {
        Action::Forward { backends, .. } => Some(backends),
        Action::Redirect(_) | Action::Fail => None,
    });
    backends.flatten().filter_map(|backend| backend.target.as_ref().ok()).map(|target| target.service.clone())
}
