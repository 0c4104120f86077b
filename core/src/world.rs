//! The world: the typed content of one revision, with what history adds to it (ages, address indexes).
//!
//! A world is a value. Two equal worlds compile to byte-equal bundles (invariant 1).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::id::{NamespacedName, ObjectKey};
use crate::policy::Object;

/// The age of an object: decides between equals. The order is the precedence: older first, unknown last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Age {
    /// Created, or first committed, at this time: seconds since 1970.
    Known(i64),
    /// The source has no history: names decide.
    Unknown,
}

/// An object with its age.
#[derive(Debug, Clone, PartialEq)]
pub struct Aged {
    /// Its age.
    pub age: Age,
    /// The object.
    pub object: Arc<Object>,
}

/// The content of one revision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct World {
    /// Every object, by key.
    pub objects: BTreeMap<ObjectKey, Aged>,
    /// Address indexes of services.
    pub indexes: ServiceIndexes,
}

impl World {
    /// Makes a world of objects without history: indexes are given in the order of names.
    pub fn new(objects: impl IntoIterator<Item = (Object, Age)>) -> Self {
        let objects: BTreeMap<_, _> = objects
            .into_iter()
            .map(|(object, age)| (object.key.clone(), Aged { age, object: Arc::new(object) }))
            .collect();
        Self { objects, indexes: ServiceIndexes::default() }
    }
}

/// Address indexes of services: given once, in the order of names among those that are new at the
/// same time, never moved and never given to another service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceIndexes {
    by_service: BTreeMap<NamespacedName, u32>,
    highest: u32,
}

impl ServiceIndexes {
    /// Gives an index, from 1, to each service that has none. Call it with names in order.
    pub fn assign<'a>(&mut self, services: impl IntoIterator<Item = &'a NamespacedName>) {
        for service in services {
            if !self.by_service.contains_key(service) {
                self.highest += 1;
                self.by_service.insert(service.clone(), self.highest);
            }
        }
    }

    /// Looks up a service's index.
    pub fn get(&self, service: &NamespacedName) -> Option<u32> {
        self.by_service.get(service).copied()
    }
}
