//! The index: takes changes of the world one by one, knows what each one touches, and compiles that.
//!
//! Whatever the order of changes, the result equals a compile of the final world (invariant 3): a
//! compiled service is a function of its inputs alone, and the index only decides which to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::bundle::{Contents, EncodedFragment};
use crate::check;
use crate::compile::{CompiledService, compile_settings};
use crate::diagnostic::Diagnostics;
use crate::id::{Kind, NamespacedName, ObjectKey, SiteId};
use crate::policy::{Decode, Mesh, Object, Spec};
use crate::selector::Labels;
use crate::world::{Age, Aged, ServiceIndexes, World};

mod classes;
mod explain;
mod links;
mod service;
mod variants;

pub use explain::{Explanation, FieldOrigin, SettingOrigin};

use classes::{ClassId, ClassKey, Classes, SiteRow};
use links::Links;
use variants::Variants;

/// A change of the world.
#[derive(Debug, Clone)]
pub enum Change {
    /// An object is new or different.
    Upsert(Box<Object>, Age),
    /// An object is gone.
    Delete(ObjectKey),
}

/// An object of the index. `stamp` is unique to this version of it.
#[derive(Debug)]
struct Slot {
    aged: Aged,
    stamp: u64,
}

/// What a class of sites runs.
#[derive(Debug, Default)]
struct Cell {
    services: BTreeMap<NamespacedName, Arc<CompiledService>>,
    settings: Option<Arc<EncodedFragment>>,
    contents: Option<Arc<Contents>>,
}

/// The synchronous index of the world.
#[derive(Debug)]
pub struct Index {
    decode: Decode,
    /// Every object of the world.
    objects: BTreeMap<ObjectKey, Slot>,
    /// Which object attaches to which.
    links: Links,
    /// Sites, grouped by what they match.
    classes: Classes,
    /// Compiled services and contents, by class.
    cells: BTreeMap<ClassId, Cell>,
    /// Objects with overrides applied, shared among classes.
    variants: Variants,
    /// Compiled services by their inputs' versions, shared among classes.
    memo: BTreeMap<Vec<u64>, Arc<CompiledService>>,
    /// For each service, the objects that its last compile looked at, existing or not.
    inputs: BTreeMap<NamespacedName, BTreeSet<ObjectKey>>,
    /// The reverse of `inputs`.
    dependents: BTreeMap<ObjectKey, BTreeSet<NamespacedName>>,
    /// Services to look at again.
    dirty: BTreeSet<NamespacedName>,
    indexes: ServiceIndexes,
    stamps: u64,
}

/// What every site shall run. Cheap to clone and to keep: classes and sites are shared.
#[derive(Debug, Clone)]
pub struct Compiled {
    sites: Arc<BTreeMap<SiteId, SiteRow>>,
    contents: BTreeMap<ClassId, Arc<Contents>>,
    base: Option<Arc<Contents>>,
    /// Everything that a user should know about this world.
    pub diagnostics: Diagnostics,
}

impl Compiled {
    /// Lists the sites in order.
    pub fn sites(&self) -> impl Iterator<Item = &SiteId> {
        self.sites.keys()
    }

    /// Returns what a site shall run.
    pub fn contents(&self, site: &SiteId) -> Option<&Arc<Contents>> {
        self.contents.get(&self.sites.get(site)?.class)
    }

    /// Returns the labels of a site.
    pub fn labels(&self, site: &SiteId) -> Option<&Labels> {
        self.sites.get(site).map(|row| &*row.labels)
    }

    /// Returns what a site without labels would run: for worlds that declare no site.
    pub fn base(&self) -> Option<&Arc<Contents>> {
        self.base.as_ref()
    }
}

/// Compiles a world from scratch.
pub fn compile(world: &World, decode: Decode) -> Compiled {
    let mut index = Index::new(decode, world.indexes.clone());
    for aged in world.objects.values() {
        index.apply(Change::Upsert(Box::new(Object::clone(&aged.object)), aged.age));
    }
    Compiled::clone(&index.compile())
}

impl Index {
    /// Makes an empty index. `indexes` are those given earlier in the life of this fleet.
    pub fn new(decode: Decode, indexes: ServiceIndexes) -> Self {
        Self {
            decode,
            objects: BTreeMap::new(),
            links: Links::default(),
            classes: Classes::new(),
            cells: BTreeMap::new(),
            variants: Variants::default(),
            memo: BTreeMap::new(),
            inputs: BTreeMap::new(),
            dependents: BTreeMap::new(),
            dirty: BTreeSet::new(),
            indexes,
            stamps: 0,
        }
    }

    /// Returns the address indexes given so far; they are to be kept.
    pub fn indexes(&self) -> &ServiceIndexes {
        &self.indexes
    }

    /// Looks up an object as it stands in the source.
    pub fn object(&self, key: &ObjectKey) -> Option<&Aged> {
        self.objects.get(key).map(|slot| &slot.aged)
    }

    /// Lists the keys of all objects.
    pub fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys()
    }

    /// Takes a change. Nothing is compiled yet.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Delete(key) => self.remove(&key),
            Change::Upsert(object, age) => {
                let same = |slot: &Slot| slot.aged.age == age && *slot.aged.object == *object;
                if self.objects.get(&object.key).is_some_and(same) {
                    return;
                }
                self.remove(&object.key);
                self.insert(Aged { age, object: Arc::new(*object) });
            }
        }
    }

    fn insert(&mut self, aged: Aged) {
        let object = Arc::clone(&aged.object);
        self.links.add(&object);
        self.stamps += 1;
        self.objects.insert(object.key.clone(), Slot { aged, stamp: self.stamps });
        self.touch(&object);
        match &object.spec {
            Spec::Site(site) => self.classes.add_site(&object, &site.data_plane),
            _ => object.sites.iter().for_each(|selector| self.classes.add_selector(selector)),
        }
    }

    fn remove(&mut self, key: &ObjectKey) {
        let Some(slot) = self.objects.remove(key) else { return };
        let object = slot.aged.object;
        self.touch(&object);
        self.links.remove(&object);
        match &object.spec {
            Spec::Site(_) => self.classes.remove_site(&object),
            _ => object.sites.iter().for_each(|selector| self.classes.remove_selector(selector)),
        }
    }

    /// Marks the services that an object has a say in.
    fn touch(&mut self, object: &Object) {
        let mut keys = vec![object.key.clone()];
        if let Spec::SiteOverride(spec) = &object.spec {
            keys.extend(spec.patches.iter().map(|patch| patch.target.clone()));
        }
        for key in keys {
            self.dirty.extend(self.dependents.get(&key).into_iter().flatten().cloned());
            if let Some(slot) = self.objects.get(&key) {
                let reached = self.links.reach(&slot.aged.object, self.services());
                self.dirty.extend(reached);
            }
        }
        self.dirty.extend(self.links.reach(object, self.services()));
    }

    fn services(&self) -> impl Iterator<Item = NamespacedName> + '_ {
        let is_service = |key: &&ObjectKey| key.kind == Kind::Service;
        self.objects.keys().filter(is_service).map(ObjectKey::namespaced_name)
    }

    /// Compiles what was touched since the last call.
    pub fn compile(&mut self) -> Arc<Compiled> {
        let services: Vec<NamespacedName> = self.services().collect();
        self.indexes.assign(&services);
        let dirty = std::mem::take(&mut self.dirty);
        for service in &dirty {
            self.forget_inputs(service);
        }
        let classes: Vec<(ClassId, ClassKey)> =
            self.classes.all().map(|(id, key)| (id, key.clone())).collect();
        self.cells.retain(|id, _| self.classes.has(*id));
        self.refresh_variants(&classes);
        let mesh = check::chosen_mesh(self.objects.values().map(|slot| &slot.aged))
            .map(|aged| aged.object.key.clone());
        for (id, key) in &classes {
            let mesh = self.mesh(key, mesh.as_ref());
            self.compile_class((*id, key), &mesh, &services, &dirty);
        }
        self.memo.retain(|_, compiled| Arc::strong_count(compiled) > 1);
        Arc::new(self.result())
    }

    fn compile_class(
        &mut self,
        (id, class): (ClassId, &ClassKey),
        mesh: &Mesh,
        services: &[NamespacedName],
        dirty: &BTreeSet<NamespacedName>,
    ) {
        let is_new = !self.cells.contains_key(&id);
        let mut cell = self.cells.remove(&id).unwrap_or_default();
        let mut changed = is_new;
        let work: Vec<&NamespacedName> =
            if is_new { services.iter().collect() } else { dirty.iter().collect() };
        for service in work {
            changed |= match self.compile_service(class, service) {
                Some(compiled) => {
                    let before = cell.services.insert(service.clone(), Arc::clone(&compiled));
                    before.is_none_or(|before| before.fragment.id != compiled.fragment.id)
                }
                None => cell.services.remove(service).is_some(),
            };
        }
        let settings = compile_settings(mesh, &class.data_plane());
        if cell.settings.as_ref().is_none_or(|before| before.id != settings.id) {
            cell.settings = Some(Arc::new(settings));
            changed = true;
        }
        if changed {
            let fragments = cell.services.values().map(|compiled| Arc::clone(&compiled.fragment));
            let contents = Contents::new(fragments.chain(cell.settings.clone()).collect());
            cell.contents = Some(Arc::new(contents));
        }
        self.cells.insert(id, cell);
    }

    /// The `Mesh` as a class has it.
    fn mesh(&mut self, class: &ClassKey, chosen: Option<&ObjectKey>) -> Mesh {
        let variant = chosen.and_then(|key| self.variant(class, key));
        match variant.as_ref().map(|variant| &variant.aged.object.spec) {
            Some(Spec::Mesh(mesh)) => mesh.clone(),
            _ => Mesh::default(),
        }
    }

    fn forget_inputs(&mut self, service: &NamespacedName) {
        for key in self.inputs.remove(service).unwrap_or_default() {
            if let Some(dependents) = self.dependents.get_mut(&key) {
                dependents.remove(service);
                if dependents.is_empty() {
                    self.dependents.remove(&key);
                }
            }
        }
    }

    fn result(&self) -> Compiled {
        let contents: BTreeMap<_, _> =
            self.cells.iter().filter_map(|(id, cell)| Some((*id, cell.contents.clone()?))).collect();
        let base = contents.get(&self.classes.base()).cloned();
        Compiled { sites: self.classes.sites(), contents, base, diagnostics: self.diagnostics() }
    }

    fn diagnostics(&self) -> Diagnostics {
        let compiled = self.cells.values().flat_map(|cell| cell.services.values());
        let mut all: Diagnostics = compiled.flat_map(|service| service.diagnostics.iter().cloned()).collect();
        all.extend(self.variants.diagnostics().cloned());
        all.extend(check::references(&self.objects.values().map(|slot| &slot.aged).collect::<Vec<_>>()));
        all.extend(self.classes.unmatched(self.objects.values().map(|slot| &*slot.aged.object)));
        all
    }
}
