//! The index: takes changes of the world one by one, knows what each one touches, and compiles that.
//!
//! Whatever the order of changes, the result equals a compile of the final world (invariant 3): a
//! compiled service is a function of its inputs alone, and the index only decides which to look at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::bundle::{Contents, EncodedFragment};
use crate::check;
use crate::diagnostic::Diagnostics;
use crate::form::Form;
use crate::id::{DEFAULT_MESH, Kind, NamespacedName, ObjectKey, SiteId};
use crate::policy::{Decode, Object, OfSpec as _, SiteOverride, Spec};
use crate::selector::Labels;
use crate::world::{Age, Aged, ServiceIndexes, World};

mod apart;
mod board;
mod classes;
mod compile;
mod explain;
mod links;
mod reach;
mod service;
mod variants;
mod verified;

pub use classes::ClassId;
pub use explain::{Explanation, FieldOrigin, SettingOrigin};

use board::{Board, Owner};
use classes::{ClassKey, Classes, SelectorId, Sites};
use links::Links;
use service::{Made, Versions};
use variants::{Stamps, Variant, Variants};

/// A change of the world.
#[derive(Debug, Clone)]
pub enum Change {
    /// An object is new or different.
    Upsert(Arc<Object>, Age),
    /// An object is gone.
    Delete(ObjectKey),
}

/// What a class of sites runs.
#[derive(Debug, Default, Clone)]
struct Cell {
    key: ClassKey,
    /// The objects that overrides patch for the class.
    forms: BTreeMap<ObjectKey, Arc<Variant>>,
    services: BTreeMap<Arc<NamespacedName>, Arc<Made>>,
    settings: Option<Arc<EncodedFragment>>,
    /// The last that passed verification.
    contents: Option<Arc<Contents>>,
    /// Whether they are of what is compiled now.
    is_verified: bool,
}

/// What was touched since the last compile, by the selector of the object that touched it: `None` is all sites.
#[derive(Debug, Default)]
struct Dirty {
    /// Services to look at again.
    services: BTreeMap<Option<SelectorId>, BTreeSet<NamespacedName>>,
    /// Patched objects to look at again.
    targets: BTreeMap<Option<SelectorId>, BTreeSet<ObjectKey>>,
    /// Whether a `Mesh` changed.
    mesh: bool,
    /// Whether a service is new.
    indexes: bool,
}

/// What some class has no more, and is forgotten when none has it.
#[derive(Debug, Default)]
struct Retired {
    forms: BTreeSet<Stamps>,
    services: BTreeSet<Versions>,
}

/// The synchronous index of the world.
#[derive(Debug)]
pub struct Index {
    decode: Decode,
    /// Every object of the world, as the source has it.
    objects: BTreeMap<ObjectKey, Arc<Variant>>,
    /// Objects with overrides applied, shared among classes.
    variants: Variants,
    /// Which object attaches to which.
    links: Links,
    /// Sites, grouped by what they match.
    classes: Classes,
    /// Compiled services and contents, by class.
    cells: BTreeMap<ClassId, Cell>,
    /// Compiled services by their inputs' versions, shared among classes.
    memo: BTreeMap<Versions, Arc<Made>>,
    dirty: Dirty,
    retired: Retired,
    /// Objects whose references, and references to which, are to be checked again.
    recheck: BTreeSet<ObjectKey>,
    board: Board,
    indexes: ServiceIndexes,
    /// The last id given to a form or a compiled service.
    stamps: u64,
    /// The id of the name of the fleet's `Mesh`.
    mesh_stamp: u64,
    /// Counts the compiles.
    round: u64,
}

/// What every site shall run. Cheap to clone and to keep: classes and sites are shared.
#[derive(Debug, Clone)]
pub struct Compiled {
    sites: Sites,
    contents: BTreeMap<ClassId, Arc<Contents>>,
    base: ClassId,
    /// Everything that a user should know about this world.
    pub diagnostics: Arc<Diagnostics>,
    round: u64,
    moved: Arc<BTreeSet<SiteId>>,
}

impl Compiled {
    /// Lists the sites in order.
    pub fn sites(&self) -> impl Iterator<Item = &SiteId> {
        self.sites.keys()
    }

    /// Returns what a site shall run.
    pub fn contents(&self, site: &SiteId) -> Option<&Arc<Contents>> {
        self.contents_of(self.class(site)?)
    }

    /// Returns the class of a site.
    pub fn class(&self, site: &SiteId) -> Option<ClassId> {
        self.sites.get(site).map(|row| row.class)
    }

    /// Returns what the sites of a class shall run.
    pub fn contents_of(&self, class: ClassId) -> Option<&Arc<Contents>> {
        self.contents.get(&class)
    }

    /// Lists what is run, by class.
    pub fn all_contents(&self) -> impl Iterator<Item = &Arc<Contents>> {
        self.contents.values()
    }

    /// Returns the labels of a site.
    pub fn labels(&self, site: &SiteId) -> Option<&Labels> {
        self.sites.get(site).map(|row| &*row.labels)
    }

    /// Returns what a site without labels would run: for worlds that declare no site.
    pub fn base(&self) -> Option<&Arc<Contents>> {
        self.contents_of(self.base)
    }

    /// Counts the compiles of the index, from 1.
    pub fn round(&self) -> u64 {
        self.round
    }

    /// Lists the sites that were new, gone or in another class than in the round before.
    pub fn moved(&self) -> impl Iterator<Item = &SiteId> {
        self.moved.iter()
    }
}

/// Compiles a world from scratch.
pub fn compile(world: &World, decode: Decode) -> Compiled {
    let mut index = Index::new(decode, world.indexes.clone());
    for aged in world.objects.values() {
        index.apply(Change::Upsert(Arc::clone(&aged.object), aged.age));
    }
    Compiled::clone(&index.compile())
}

impl Index {
    /// Makes an empty index. `indexes` are those given earlier in the life of this fleet.
    pub fn new(decode: Decode, indexes: ServiceIndexes) -> Self {
        Self {
            decode,
            objects: BTreeMap::new(),
            variants: Variants::new(),
            links: Links::default(),
            classes: Classes::new(),
            cells: BTreeMap::new(),
            memo: BTreeMap::new(),
            dirty: Dirty::default(),
            retired: Retired::default(),
            recheck: BTreeSet::new(),
            board: Board::default(),
            indexes,
            stamps: 0,
            mesh_stamp: 0,
            round: 0,
        }
    }

    /// Returns the address indexes given so far; they are to be kept.
    pub fn indexes(&self) -> &ServiceIndexes {
        &self.indexes
    }

    /// Looks up an object as it stands in the source.
    pub fn object(&self, key: &ObjectKey) -> Option<&Aged> {
        self.objects.get(key).map(|object| &object.form.aged)
    }

    /// Lists the keys of all objects.
    pub fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys()
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&ObjectKey, &Arc<Variant>)> {
        // Keys are ordered by kind first, and no name is empty.
        let first = ObjectKey::new(kind, "", "");
        self.objects.range(first..).take_while(move |(key, _)| key.kind == kind)
    }

    fn chosen_mesh(&self) -> Option<&Aged> {
        check::chosen_mesh(self.of_kind(Kind::Mesh).map(|(_, mesh)| &mesh.form.aged))
    }

    /// The name by which policies target the mesh.
    fn mesh_name(&self) -> &str {
        self.chosen_mesh().map_or(DEFAULT_MESH, |mesh| &mesh.object.key.name)
    }

    /// Takes a change. Nothing is compiled yet.
    pub fn apply(&mut self, change: Change) {
        let (key, next) = match change {
            Change::Delete(key) => (key, None),
            Change::Upsert(object, age) => {
                let key = object.key.clone();
                (key, Some(Aged { age, object }))
            }
        };
        let before = self.objects.get(&key).cloned();
        if before.as_ref().map(|before| &before.form.aged) == next.as_ref() {
            return;
        }
        match (key.kind, SiteId::new(key.name.as_str())) {
            (Kind::Site, Ok(site)) => self.apply_site(key, &site, next),
            (Kind::Site, Err(_)) => {}
            (Kind::Mesh, _) => {
                let name = self.mesh_name().to_owned();
                self.replace(key, before.as_ref(), next);
                self.touch_mesh(&name);
            }
            _ => self.replace(key, before.as_ref(), next),
        }
    }

    fn apply_site(&mut self, key: ObjectKey, site: &SiteId, next: Option<Aged>) {
        match next.as_ref().map(|next| (&*next.object, &next.object.spec)) {
            Some((object, Spec::Site(spec))) => {
                self.classes.set_site(site, &object.labels, spec);
            }
            _ => self.classes.remove_site(site),
        }
        if next.is_none() || !self.objects.contains_key(&key) {
            self.recheck.extend(self.links.referrers(&key));
        }
        match next {
            Some(next) => drop(self.insert(key, next, None)),
            None => drop(self.objects.remove(&key)),
        }
    }

    fn insert(&mut self, key: ObjectKey, aged: Aged, sites: Option<SelectorId>) -> Arc<Variant> {
        self.stamps += 1;
        let id = self.stamps;
        let variant = Arc::new(Variant { id, form: Form::plain(aged), sites, stamps: vec![id] });
        self.objects.insert(key, Arc::clone(&variant));
        variant
    }

    /// Replaces an object that is no site. Old and new attachments are both there while what they touch is noted.
    fn replace(&mut self, key: ObjectKey, before: Option<&Arc<Variant>>, next: Option<Aged>) {
        if let Some(before) = before {
            self.touch(before);
            self.board.set(Owner::References(before.id), Vec::new());
        }
        let next = match next {
            Some(aged) => {
                let selector = aged.object.sites.as_ref();
                let sites = selector.map(|selector| self.classes.add_user(selector, &key));
                self.links.add(&aged.object);
                self.dirty.indexes |= key.kind == Kind::Service && before.is_none();
                Some(self.insert(key.clone(), aged, sites))
            }
            None => {
                self.objects.remove(&key);
                None
            }
        };
        if let Some(next) = &next {
            self.touch(next);
        }
        if key.kind == Kind::Service && where_at(before) != where_at(next.as_ref()) {
            let callers = self.callers(&key.namespaced_name());
            self.dirty.services.entry(None).or_default().extend(callers);
        }
        if let Some(before) = before {
            self.links.remove(before.form.object());
            let kept = next.as_ref().and_then(|next| next.sites);
            let left = before.sites.filter(|sites| kept != Some(*sites));
            left.into_iter().for_each(|sites| self.classes.remove_user(sites, &key));
            if kept.is_none() {
                self.board.set(Owner::Selector(key.clone()), Vec::new());
            }
        }
        self.recheck.insert(key);
    }

    /// Notes what an object has a say in, at its own sites.
    fn touch(&mut self, variant: &Variant) {
        let object = variant.form.object();
        let reached = self.reach(object);
        self.dirty.services.entry(variant.sites).or_default().extend(reached);
        if let Some(over) = SiteOverride::of(&object.spec) {
            let targets = over.patches.iter().map(|patch| patch.target.clone());
            self.dirty.targets.entry(variant.sites).or_default().extend(targets);
        }
        if self.links.overrides(&object.key).next().is_some() {
            self.dirty.targets.entry(None).or_default().insert(object.key.clone());
        }
    }

    /// Policies name the mesh; when it has another name, others of them hold.
    fn touch_mesh(&mut self, name: &str) {
        self.dirty.mesh = true;
        if self.mesh_name() != name {
            self.stamps += 1;
            self.mesh_stamp = self.stamps;
            let services: Vec<NamespacedName> = self.services().collect();
            self.dirty.services.entry(None).or_default().extend(services);
        }
    }
}

/// Where an object is: nowhere, at some sites, or at all of them. To others it counts too whether it is elsewhere.
fn where_at(variant: Option<&Arc<Variant>>) -> Option<Option<SelectorId>> {
    variant.map(|variant| variant.sites)
}
