//! Gathers the inputs of one service for one class of sites, and compiles it unless equal inputs were
//! compiled before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::accept::Refusal;
use crate::compile::{Backend, CompiledService, ServiceInputs, compile_service};
use crate::form::Input;
use crate::id::{NamespacedName, ObjectKey};
use crate::policy::{HttpRoute, OfSpec as _, Service};

use super::Index;
use super::board::Owner;
use super::classes::ClassKey;
use super::links::backends_of;
use super::variants::Variant;
use super::verified::Facts;

type Shared = Arc<Variant>;

/// Versions of all inputs of a compiled service.
pub(super) type Versions = Vec<u64>;

/// A compiled service, shared by the classes that see the same inputs.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) id: u64,
    pub(super) versions: Versions,
    pub(super) compiled: CompiledService,
    /// What others may rely on, or why the fragment does not verify.
    pub(super) facts: Result<Facts, Refusal>,
}

/// A service that a route names, as a class sees it.
#[derive(Debug)]
enum Found {
    Here(Shared),
    Elsewhere(Shared),
    Nowhere,
}

/// The inputs of one service, in the forms that a class has them.
#[derive(Debug)]
pub(super) struct Gathered {
    service: Shared,
    /// Another service that has the address which this one declares.
    address_holder: Option<Shared>,
    /// The name of the fleet's `Mesh`, and the id of that name.
    mesh: (String, u64),
    routes: Vec<Shared>,
    /// Of every kind.
    policies: Vec<Shared>,
    backends: BTreeMap<NamespacedName, Found>,
}

impl Index {
    /// Compiles a service for a class; `None` when the service is not there for the class.
    pub(super) fn compile_service(&mut self, class: &ClassKey, name: &NamespacedName) -> Option<Arc<Made>> {
        let gathered = self.gather(class, name)?;
        let versions = gathered.versions();
        if let Some(known) = self.memo.get(&versions) {
            return Some(Arc::clone(known));
        }
        let index = self.indexes.get(name)?;
        let compiled = gathered.with_inputs(index, compile_service)?;
        self.stamps += 1;
        let id = self.stamps;
        self.board.set(Owner::Service(id), compiled.diagnostics.clone());
        let facts = Facts::of(&compiled.fragment);
        let made = Arc::new(Made { id, versions: versions.clone(), compiled, facts });
        self.memo.insert(versions, Arc::clone(&made));
        Some(made)
    }

    /// Gathers the inputs.
    pub(super) fn gather(&self, class: &ClassKey, name: &NamespacedName) -> Option<Gathered> {
        let key = ObjectKey::service(name);
        let service = self.selected(class, &key)?;
        let declared = Service::of(&service.form.object().spec).and_then(|service| service.cluster_ip);
        let address_holder = declared.and_then(|address| self.address_holder(class, &key, address));
        let routes: Vec<Shared> = self
            .links
            .routes(name)
            .filter_map(|key| self.selected(class, key))
            .filter(|variant| route_of(variant).is_some_and(|route| attaches(route, name)))
            .collect();
        let policy_keys = self.links.policies(name, routes.iter().map(|route| route.form.key()));
        let policies = policy_keys.into_iter().filter_map(|key| self.selected(class, key)).collect();
        let named: BTreeSet<NamespacedName> =
            routes.iter().filter_map(|route| route_of(route)).flat_map(backends_of).collect();
        let backends = named.into_iter().map(|name| (name.clone(), self.find(class, &name))).collect();
        let mesh = (self.mesh_name().to_owned(), self.mesh_stamp);
        Some(Gathered { service, address_holder, mesh, routes, policies, backends })
    }

    fn find(&self, class: &ClassKey, backend: &NamespacedName) -> Found {
        let key = ObjectKey::service(backend);
        match (self.selected(class, &key), self.objects.get(&key)) {
            (Some(here), _) => Found::Here(here),
            (None, Some(elsewhere)) => Found::Elsewhere(Arc::clone(elsewhere)),
            (None, None) => Found::Nowhere,
        }
    }

    /// Of several services of a class that declare one address the oldest has it, then the first by name.
    fn address_holder(&self, class: &ClassKey, key: &ObjectKey, address: IpAddr) -> Option<Shared> {
        let rivals = self.links.services_at(&address).filter_map(|rival| self.selected(class, rival));
        let declares = |rival: &Shared| {
            Service::of(&rival.form.object().spec).is_some_and(|service| service.cluster_ip == Some(address))
        };
        let holder = rivals
            .filter(declares)
            .min_by(|a, b| (a.form.aged.age, a.form.key()).cmp(&(b.form.aged.age, b.form.key())))?;
        (holder.form.key() != key).then_some(holder)
    }
}

impl Gathered {
    /// The versions of everything gathered, in a fixed order; what is nowhere counts as 0, and what is
    /// elsewhere as the complement of its version.
    fn versions(&self) -> Versions {
        let holder = self.address_holder.as_ref().map_or(0, |holder| holder.id);
        let mut versions = vec![self.service.id, holder, self.mesh.1];
        for group in [&self.routes, &self.policies] {
            versions.push(0);
            versions.extend(group.iter().map(|variant| variant.id));
        }
        versions.push(0);
        versions.extend(self.backends.values().map(|backend| match backend {
            Found::Here(variant) => variant.id,
            Found::Elsewhere(variant) => !variant.id,
            Found::Nowhere => 0,
        }));
        versions
    }

    /// Calls a function with the typed inputs; `None` when the service's variant is no service.
    pub(super) fn with_inputs<T>(&self, index: u32, call: impl FnOnce(&ServiceInputs<'_>) -> T) -> Option<T> {
        let backends = self.backends.iter();
        let inputs = ServiceInputs {
            service: Input::new(&self.service.form)?,
            address_holder: self.address_holder.as_ref().map(|holder| holder.form.key()),
            index,
            mesh: &self.mesh.0,
            routes: self.routes.iter().filter_map(|variant| Input::new(&variant.form)).collect(),
            policies: self.policies.iter().filter_map(|variant| Input::new(&variant.form)).collect(),
            authorizations: self.policies.iter().filter_map(|variant| Input::new(&variant.form)).collect(),
            backends: backends.filter_map(|(name, found)| Some((name.clone(), found.to_input()?))).collect(),
        };
        Some(call(&inputs))
    }
}

impl Found {
    fn to_input(&self) -> Option<Backend<'_>> {
        match self {
            Self::Here(variant) => Input::new(&variant.form).map(Backend::Here),
            Self::Elsewhere(variant) => variant.form.object().sites.as_ref().map(Backend::Elsewhere),
            Self::Nowhere => None,
        }
    }
}

fn route_of(variant: &Shared) -> Option<&HttpRoute> {
    HttpRoute::of(&variant.form.object().spec)
}

fn attaches(route: &HttpRoute, service: &NamespacedName) -> bool {
    route.parents.iter().any(|parent| parent.service == *service)
}
