//! Objects with overrides applied, each combination made once and shared by the classes that have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::id::ObjectKey;
use crate::overrides::{Layer, fold};
use crate::policy::{Decode, Spec};
use crate::world::Aged;

use super::Index;
use super::classes::ClassKey;

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
    /// Forgets forms of objects that are gone.
    pub(super) fn forget_all_but(&mut self, live: &BTreeSet<u64>) {
        self.by_stamps.retain(|stamps, _| stamps.iter().all(|stamp| live.contains(stamp)));
    }

    /// Lists what could not be folded.
    pub(super) fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        self.by_stamps.values().flat_map(|variant| &variant.diagnostics)
    }
}

impl Index {
    /// Returns an object as a class of sites has it, whether or not it selects the class.
    pub(super) fn variant(&mut self, class: &ClassKey, key: &ObjectKey) -> Option<Arc<Variant>> {
        let slot = self.objects.get(key)?;
        let selected = |key: &&ObjectKey| {
            self.objects.get(*key).is_some_and(|slot| self.classes.selects(class, &slot.aged.object))
        };
        let overrides: Vec<_> =
            self.links.overrides(key).filter(selected).filter_map(|key| self.objects.get(key)).collect();
        let mut stamps: Stamps = overrides.iter().map(|slot| slot.stamp).collect();
        stamps.sort_unstable();
        stamps.insert(0, slot.stamp);
        if let Some(known) = self.variants.by_stamps.get(&stamps) {
            return Some(Arc::clone(known));
        }
        let layers = overrides.iter().filter_map(|over| Layer::new(&over.aged.object, key)).collect();
        let mut variant = make(&slot.aged, layers, self.decode);
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
