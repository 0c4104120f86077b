//! Objects with overrides applied, each combination made once and shared by the classes that have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::form::Form;
use crate::id::{NamespacedName, ObjectKey};
use crate::overrides::{Layer, fold};

use super::board::Owner;
use super::classes::{ClassKey, SelectorId};
use super::{Cell, Index};

/// One form of an object. `id` is unique to it.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) id: u64,
    pub(super) form: Form,
    /// The sites that the object is for.
    pub(super) sites: Option<SelectorId>,
    pub(super) stamps: Stamps,
}

/// Ids of the object as the source has it and of the overrides that are folded into it.
pub(super) type Stamps = Vec<u64>;

/// All overridden forms in use.
pub(super) type Variants = BTreeMap<Stamps, Arc<Variant>>;

impl Index {
    /// Makes the overridden forms of these objects for a class, used by a service or not, so that each override
    /// that does not fit says so. Returns the services that see another form than before.
    pub(super) fn refresh_forms(
        &mut self,
        cell: &mut Cell,
        class: &ClassKey,
        targets: &BTreeSet<ObjectKey>,
    ) -> BTreeSet<NamespacedName> {
        let mut work = BTreeSet::new();
        for target in targets {
            let next = self.overridden(class, target);
            let before = match &next {
                Some(next) => cell.forms.insert(target.clone(), Arc::clone(next)),
                None => cell.forms.remove(target),
            };
            if next.as_ref().map(|form| form.id) == before.as_ref().map(|form| form.id) {
                continue;
            }
            // Where one of the two is the plain form, its change, if any, is looked at by itself.
            let plain = self.objects.get(target).cloned();
            for variant in [next, before.clone(), plain].into_iter().flatten() {
                work.extend(self.reach(variant.form.object()));
            }
            self.retired.forms.extend(before.map(|before| before.stamps.clone()));
        }
        work
    }

    /// Returns an object as a class has it by overrides, made if need be; `None` when it has none.
    fn overridden(&mut self, class: &ClassKey, key: &ObjectKey) -> Option<Arc<Variant>> {
        let stamps = self.stamps_of(class, key)?;
        if let Some(known) = self.variants.get(&stamps) {
            return Some(Arc::clone(known));
        }
        self.stamps += 1;
        let (variant, diagnostics) = self.make(self.stamps, class, key, stamps)?;
        let variant = Arc::new(variant);
        self.links.add(variant.form.object());
        self.board.set(Owner::Fold(variant.id), diagnostics);
        self.recheck.insert(key.clone());
        self.variants.insert(variant.stamps.clone(), Arc::clone(&variant));
        Some(variant)
    }

    fn make(
        &self,
        id: u64,
        class: &ClassKey,
        key: &ObjectKey,
        stamps: Stamps,
    ) -> Option<(Variant, Vec<Diagnostic>)> {
        let sites = self.objects.get(key)?.sites;
        let (form, diagnostics) = self.fold(class, key)?;
        Some((Variant { id, form, sites, stamps }, diagnostics))
    }

    /// Folds the overrides of a class into an object.
    pub(super) fn fold(&self, class: &ClassKey, key: &ObjectKey) -> Option<(Form, Vec<Diagnostic>)> {
        let base = self.objects.get(key)?;
        let overrides = self.overrides_of(class, key);
        let layers =
            overrides.filter_map(|over| Layer::new(&over.form.aged.object, base.form.key())).collect();
        let folded = fold(&base.form.aged, layers, self.decode);
        Some((folded.form, folded.diagnostics))
    }

    fn stamps_of(&self, class: &ClassKey, key: &ObjectKey) -> Option<Stamps> {
        let mut stamps: Stamps = self.overrides_of(class, key).map(|over| over.id).collect();
        if stamps.is_empty() {
            return None;
        }
        stamps.sort_unstable();
        stamps.insert(0, self.objects.get(key)?.id);
        Some(stamps)
    }

    fn overrides_of(&self, class: &ClassKey, key: &ObjectKey) -> impl Iterator<Item = &Arc<Variant>> {
        let overrides = self.links.overrides(key).filter_map(|over| self.objects.get(over));
        overrides.filter(|over| class.has(over.sites))
    }

    /// Returns an object as a class of sites has it, whether or not it is for the class.
    pub(super) fn variant(&self, class: &ClassKey, key: &ObjectKey) -> Option<Arc<Variant>> {
        let Some(stamps) = self.stamps_of(class, key) else { return self.objects.get(key).cloned() };
        if let Some(known) = self.variants.get(&stamps) {
            return Some(Arc::clone(known));
        }
        // A class without sites is asked about by `explain` alone.
        self.make(0, class, key, stamps).map(|(variant, _)| Arc::new(variant))
    }

    /// Returns an object as a class of sites has it, if it is for that class.
    pub(super) fn selected(&self, class: &ClassKey, key: &ObjectKey) -> Option<Arc<Variant>> {
        let sites = self.objects.get(key)?.sites;
        if class.has(sites) { self.variant(class, key) } else { None }
    }

    /// Lists all forms of an object that are in use.
    pub(super) fn forms<'a>(&'a self, key: &ObjectKey) -> impl Iterator<Item = &'a Arc<Variant>> + use<'a> {
        let plain = self.objects.get(key);
        let overridden = plain.map(|plain| self.variants.range(vec![plain.id]..vec![plain.id + 1]));
        plain.into_iter().chain(overridden.into_iter().flatten().map(|(_, variant)| variant))
    }

    /// Forgets forms that no class has any more.
    pub(super) fn forget_forms(&mut self, retired: BTreeSet<Stamps>) {
        for stamps in retired {
            if self.variants.get(&stamps).is_some_and(|variant| Arc::strong_count(variant) == 1)
                && let Some(variant) = self.variants.remove(&stamps)
            {
                self.links.remove(variant.form.object());
                self.board.set(Owner::Fold(variant.id), Vec::new());
                self.board.set(Owner::References(variant.id), Vec::new());
                self.recheck.insert(variant.form.key().clone());
            }
        }
    }
}
