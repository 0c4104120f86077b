//! Compiles what was touched: for each class the services that it sees otherwise than before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::check;
use crate::compile::compile_settings;
use crate::diagnostic::{Code, Diagnostic};
use crate::id::{Kind, NamespacedName, ObjectKey};
use crate::policy::{Mesh, OfSpec as _};
use crate::world::Aged;

use super::board::Owner;
use super::classes::{ClassId, ClassKey, SelectorId};
use super::service::Made;
use super::verified::{Changed, Facts};
use super::{Cell, Compiled, Dirty, Index};

impl Index {
    /// Compiles what was touched since the last call.
    pub fn compile(&mut self) -> Arc<Compiled> {
        let mut dirty = std::mem::take(&mut self.dirty);
        if dirty.indexes {
            let services: Vec<NamespacedName> = self.services().collect();
            self.indexes.assign(&services);
        }
        dirty.mesh |= dirty.targets.values().flatten().any(|target| target.kind == Kind::Mesh);
        let mesh = self.chosen_mesh().map(|aged| aged.object.key.clone());
        let classes: Vec<(ClassId, ClassKey)> =
            self.classes.all().map(|(id, key)| (id, key.clone())).collect();
        for (id, key) in classes {
            self.compile_class(id, key, mesh.as_ref(), &dirty);
        }
        self.forget();
        let changes = self.classes.take_changes();
        self.check_selectors(&changes.selectors);
        let changed = self.check_references();
        self.check_apart(changed, &changes.selectors);
        self.round += 1;
        let contents = self.cells.iter().filter_map(|(id, cell)| Some((*id, cell.contents.clone()?)));
        Arc::new(Compiled {
            sites: self.classes.sites().clone(),
            contents: contents.collect(),
            base: self.classes.base(),
            diagnostics: self.board.gather(),
            round: self.round,
            moved: Arc::new(changes.moved),
        })
    }

    fn compile_class(&mut self, id: ClassId, key: ClassKey, mesh: Option<&ObjectKey>, dirty: &Dirty) {
        let known = self.cells.get_mut(&id).map(std::mem::take);
        let is_new = known.is_none();
        let (mut cell, mut work, targets) = match known {
            Some(cell) => (cell, in_scope(&dirty.services, &key), in_scope(&dirty.targets, &key)),
            None => self.start(id, &key, dirty),
        };
        work.extend(self.refresh_forms(&mut cell, &key, &targets));
        cell.key = key;
        let mut changed = Changed { otherwise: is_new || !cell.is_verified, ..Changed::default() };
        for service in work {
            self.update_service(&mut cell, service, &mut changed);
        }
        if is_new || dirty.mesh {
            let settings = {
                let mesh = self.mesh(&cell.key, mesh);
                let (pace, offline) = (cell.key.pace(), cell.key.offline_seconds());
                compile_settings(&mesh, &cell.key.data_plane(), pace, offline)
            };
            changed.otherwise |= cell.settings.as_ref().is_none_or(|before| before.id != settings.id);
            cell.settings = Some(Arc::new(settings));
        }
        if changed.any() {
            self.settle(id, &mut cell, &changed);
        }
        self.cells.insert(id, cell);
    }

    /// Begins a new class with what the class had that it came from, and says what to look at: all that was
    /// touched at any site, and all that one of the two classes sees and the other does not.
    fn start(
        &self,
        id: ClassId,
        key: &ClassKey,
        dirty: &Dirty,
    ) -> (Cell, BTreeSet<NamespacedName>, BTreeSet<ObjectKey>) {
        let mut targets: BTreeSet<ObjectKey> = self.links.overridden().cloned().collect();
        let Some(cell) = self.classes.origins(id).find_map(|origin| self.cells.get(&origin)) else {
            return (Cell::default(), self.services().collect(), targets);
        };
        targets.extend(cell.forms.keys().cloned());
        let users = cell.key.difference(key).flat_map(|selector| self.classes.users(*selector));
        let objects = users.flat_map(|user| self.forms(user));
        let services = objects.flat_map(|variant| self.reach(variant.form.object()));
        let work = services.chain(dirty.services.values().flatten().cloned()).collect();
        (cell.clone(), work, targets)
    }

    /// Compiles a service of a class, and notes whether its fragment is another one than before.
    fn update_service(&mut self, cell: &mut Cell, service: NamespacedName, changed: &mut Changed) {
        let made = self.compile_service(&cell.key, &service);
        let before = match &made {
            Some(made) => match cell.services.get_mut(&service) {
                Some(slot) => Some(std::mem::replace(slot, Arc::clone(made))),
                None => cell.services.insert(Arc::new(service.clone()), Arc::clone(made)),
            },
            None => cell.services.remove(&service),
        };
        let fragment = |made: &Option<Arc<Made>>| made.as_ref().map(|made| made.compiled.fragment.id);
        if fragment(&made) != fragment(&before) {
            changed.note(service, facts(before.as_ref()), facts(made.as_ref()));
        }
        self.retired.services.extend(before.map(|before| before.versions.clone()));
    }

    /// The `Mesh` as a class has it.
    fn mesh(&self, class: &ClassKey, chosen: Option<&ObjectKey>) -> Mesh {
        let variant = chosen.and_then(|key| self.variant(class, key));
        variant.and_then(|variant| Mesh::of(&variant.form.object().spec).cloned()).unwrap_or_default()
    }

    /// Forgets classes without sites, and then forms and compiled services that no class has.
    fn forget(&mut self) {
        let gone: Vec<ClassId> = self.cells.keys().copied().filter(|id| !self.classes.has(*id)).collect();
        for id in gone {
            let Some(cell) = self.cells.remove(&id) else { continue };
            self.board.set(Owner::Class(id), Vec::new());
            self.retired.forms.extend(cell.forms.into_values().map(|form| form.stamps.clone()));
            self.retired.services.extend(cell.services.into_values().map(|made| made.versions.clone()));
        }
        let retired = std::mem::take(&mut self.retired);
        for versions in retired.services {
            if self.memo.get(&versions).is_some_and(|made| Arc::strong_count(made) == 1)
                && let Some(made) = self.memo.remove(&versions)
            {
                self.board.set(Owner::Service(made.id), Vec::new());
            }
        }
        self.forget_forms(retired.forms);
    }

    /// Warns of selectors that match none of the sites.
    fn check_selectors(&mut self, selectors: &BTreeSet<SelectorId>) {
        for &selector in selectors {
            for user in self.classes.users(selector) {
                let warning = self.classes.unmatched(selector).and_then(|unmatched| {
                    let form = &self.objects.get(user)?.form;
                    let pointer = form.object().sites_pointer();
                    let message = format!("selects sites with `{unmatched}`, and no site has such labels");
                    let warning = form.warning(Code::MatchesNothing, pointer, message);
                    Some(warning.help("compare it with the labels of your sites"))
                });
                self.board.set(Owner::Selector(user.clone()), warning.into_iter().collect());
            }
        }
    }

    /// Checks the references of objects that changed, and of those that refer to them. Returns those that changed.
    fn check_references(&mut self) -> BTreeSet<ObjectKey> {
        let changed = std::mem::take(&mut self.recheck);
        let referrers = changed.iter().flat_map(|key| self.links.referrers(key));
        let objects: BTreeSet<ObjectKey> = referrers.chain(changed.iter().cloned()).collect();
        let find = |key: &ObjectKey| self.forms(key).map(|variant| variant.form.object());
        let mut found: Vec<(Owner, Vec<Diagnostic>)> = Vec::new();
        for variant in objects.iter().flat_map(|key| self.forms(key)) {
            let dangling = check::references(&variant.form, self.mesh_name(), find);
            found.push((Owner::References(variant.id), dangling));
        }
        if changed.iter().any(|key| key.kind == Kind::Mesh) {
            let meshes: Vec<&Aged> = self.of_kind(Kind::Mesh).map(|(_, mesh)| &mesh.form.aged).collect();
            found.push((Owner::Meshes, check::several_meshes(&meshes)));
        }
        found.into_iter().for_each(|(owner, found)| self.board.set(owner, found));
        changed
    }
}

fn facts(made: Option<&Arc<Made>>) -> Option<&Facts> {
    made.and_then(|made| made.facts.as_ref().ok())
}

/// What was touched at the sites of a class.
fn in_scope<T: Ord + Clone>(
    touched: &BTreeMap<Option<SelectorId>, BTreeSet<T>>,
    class: &ClassKey,
) -> BTreeSet<T> {
    let scopes = touched.iter().filter(|(selector, _)| class.has(**selector));
    scopes.flat_map(|(_, touched)| touched).cloned().collect()
}
