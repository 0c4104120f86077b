//! Objects with overrides applied, each combination made once and shared by the classes that have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::id::ObjectKey;
use crate::overrides::{Layer, fold};
use crate::policy::{Decode, Spec};
use crate::world::Aged;

use super::classes::{ClassId, ClassKey};
use super::{Index, Slot};

/// One form of an object. `id` is unique to it.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) id: u64,
    pub(super) aged: Aged,
    diagnostics: Vec<Diagnostic>,
}

/// Stamps of the object and of the overrides that are folded into it.
type Stamps = Vec<u64>;

/// All forms in use.
#[derive(Debug, Default)]
pub(super) struct Variants {
    by_stamps: BTreeMap<Stamps, Arc<Variant>>,
}

impl Variants {
    /// Forgets forms that no class has any more: those with overrides unless in `used`, and the plain
    /// forms of objects that are gone.
    fn forget_unused(&mut self, used: &BTreeSet<Stamps>, live: &BTreeSet<u64>) {
        self.by_stamps.retain(|stamps, _| match stamps.as_slice() {
            [plain] => live.contains(plain),
            _ => used.contains(stamps),
        });
    }

    /// Lists what could not be folded.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.by_stamps.values().flat_map(|variant| &variant.diagnostics)
    }
}

impl Index {
    /// Makes every overridden form that some class has, used by a service or not, so that each override
    /// that does not fit says so; and forgets the others.
    pub(super) fn refresh_variants(&mut self, classes: &[(ClassId, ClassKey)]) {
        let targets: Vec<ObjectKey> = self.links.overridden().cloned().collect();
        let mut used = BTreeSet::new();
        for (_, class) in classes {
            for target in &targets {
                if self.variant(class, target).is_some() {
                    used.extend(self.stamps_of(class, target));
                }
            }
        }
        let live = self.objects.values().map(|slot| slot.stamp).collect();
        self.variants.forget_unused(&used, &live);
    }

    fn stamps_of(&self, class: &ClassKey, key: &ObjectKey) -> Option<Stamps> {
        let mut stamps: Stamps = self.selected_overrides(class, key).map(|slot| slot.stamp).collect();
        stamps.sort_unstable();
        stamps.insert(0, self.objects.get(key)?.stamp);
        Some(stamps)
    }

    fn selected_overrides(&self, class: &ClassKey, key: &ObjectKey) -> impl Iterator<Item = &Slot> {
        let overrides = self.links.overrides(key).filter_map(|over| self.objects.get(over));
        overrides.filter(|slot| self.classes.selects(class, &slot.aged.object))
    }

    /// Returns an object as a class of sites has it, whether or not it selects the class.
    pub(super) fn variant(&mut self, class: &ClassKey, key: &ObjectKey) -> Option<Arc<Variant>> {
        let stamps = self.stamps_of(class, key)?;
        if let Some(known) = self.variants.by_stamps.get(&stamps) {
            return Some(Arc::clone(known));
        }
        let layers = self
            .selected_overrides(class, key)
            .filter_map(|over| Layer::new(&over.aged.object, key))
            .collect();
        let mut variant = make(&self.objects.get(key)?.aged, layers, self.decode);
        self.stamps += 1;
        variant.id = self.stamps;
        let variant = Arc::new(variant);
        self.variants.by_stamps.insert(stamps, Arc::clone(&variant));
        Some(variant)
    }

    /// Returns an object as a class of sites has it, if it is there for that class.
    pub(super) fn selected(&mut self, class: &ClassKey, key: &ObjectKey) -> Option<Arc<Variant>> {
        let variant = self.variant(class, key)?;
        let by_class = match variant.aged.object.spec {
            Spec::SiteOverride(_) | Spec::Site(_) => false,
            _ => self.classes.selects(class, &self.objects.get(key)?.aged.object),
        };
        by_class.then_some(variant)
    }
}

fn make(base: &Aged, layers: Vec<Layer<'_>>, decode: Decode) -> Variant {
    if layers.is_empty() {
        return Variant { id: 0, aged: base.clone(), diagnostics: Vec::new() };
    }
    let folded = fold(&base.object, layers, decode);
    Variant {
        id: 0,
        aged: Aged { age: base.age, object: Arc::new(folded.object) },
        diagnostics: folded.diagnostics,
    }
}
