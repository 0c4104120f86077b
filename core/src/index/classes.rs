//! Site classes: sites that match the same selectors and have the same settings run the same bundle,
//! so a class is compiled once, however many sites it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::bundle::v1::Supervision;
use crate::diagnostic::{Code, Diagnostic};
use crate::document::field_path;
use crate::id::SiteId;
use crate::policy::site::DataPlane;
use crate::policy::{Object, Spec};
use crate::selector::{Labels, Selector};

/// Identifies a class for as long as it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassId(u32);

type SelectorId = u32;

/// What the sites of a class have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassKey {
    /// The selectors that match.
    matched: BTreeSet<SelectorId>,
    supervision: i32,
    drain_seconds: u32,
}

impl ClassKey {
    fn new(matched: BTreeSet<SelectorId>, data_plane: &DataPlane) -> Self {
        Self { matched, supervision: data_plane.supervision.into(), drain_seconds: data_plane.drain_seconds }
    }

    /// Returns the settings that are part of the key.
    pub(super) fn data_plane(&self) -> DataPlane {
        let supervision = Supervision::try_from(self.supervision).unwrap_or_default();
        DataPlane { supervision, drain_seconds: self.drain_seconds }
    }
}

/// A site of the index.
#[derive(Debug, Clone)]
pub(super) struct SiteRow {
    pub(super) labels: Arc<Labels>,
    pub(super) class: ClassId,
}

#[derive(Debug)]
struct ClassRow {
    key: ClassKey,
    members: BTreeSet<SiteId>,
}

#[derive(Debug)]
struct SelectorRow {
    id: SelectorId,
    users: usize,
}

/// Sites, selectors, and the classes that follow from them.
#[derive(Debug)]
pub(super) struct Classes {
    sites: Arc<BTreeMap<SiteId, SiteRow>>,
    selectors: BTreeMap<Selector, SelectorRow>,
    rows: BTreeMap<ClassId, ClassRow>,
    by_key: BTreeMap<ClassKey, ClassId>,
    last_class: u32,
    last_selector: SelectorId,
}

/// The class of a site that matches no selector. Without any site it is compiled all the same, so that
/// a world that declares none can be checked.
const BASE: ClassId = ClassId(0);

impl Classes {
    /// Makes the base class.
    pub(super) fn new() -> Self {
        let key = ClassKey::new(BTreeSet::new(), &DataPlane::default());
        let base = ClassRow { key: key.clone(), members: BTreeSet::new() };
        Self {
            sites: Arc::default(),
            selectors: BTreeMap::new(),
            rows: BTreeMap::from([(BASE, base)]),
            by_key: BTreeMap::from([(key, BASE)]),
            last_class: 0,
            last_selector: 0,
        }
    }

    /// Lists the classes that have sites; without any site, the base class.
    pub(super) fn all(&self) -> impl Iterator<Item = (ClassId, &ClassKey)> {
        self.rows.iter().filter(|(id, _)| self.has(**id)).map(|(id, row)| (*id, &row.key))
    }

    /// Says whether a class is to be compiled.
    pub(super) fn has(&self, class: ClassId) -> bool {
        self.rows.get(&class).is_some_and(|row| !row.members.is_empty() || self.sites.is_empty())
    }

    /// Returns the base class.
    pub(super) fn base(&self) -> ClassId {
        BASE
    }

    /// Returns all sites.
    pub(super) fn sites(&self) -> Arc<BTreeMap<SiteId, SiteRow>> {
        Arc::clone(&self.sites)
    }

    /// Returns the class of a site.
    pub(super) fn class_of(&self, site: &SiteId) -> Option<&ClassKey> {
        self.rows.get(&self.sites.get(site)?.class).map(|row| &row.key)
    }

    /// Returns the key of the base class.
    pub(super) fn base_key(&self) -> ClassKey {
        ClassKey::new(BTreeSet::new(), &DataPlane::default())
    }

    /// Says whether an object is for the sites of a class.
    pub(super) fn selects(&self, class: &ClassKey, object: &Object) -> bool {
        object.sites.as_ref().is_none_or(|selector| {
            self.selectors.get(selector).is_some_and(|row| class.matched.contains(&row.id))
        })
    }

    /// Adds a site.
    pub(super) fn add_site(&mut self, object: &Object, data_plane: &DataPlane) {
        let Ok(site) = SiteId::new(object.key.name.clone()) else { return };
        let matches =
            |(selector, row): (&Selector, &SelectorRow)| selector.matches(&object.labels).then_some(row.id);
        let matched = self.selectors.iter().filter_map(matches).collect();
        let class = self.join(site.clone(), ClassKey::new(matched, data_plane));
        let row = SiteRow { labels: Arc::new(object.labels.clone()), class };
        Arc::make_mut(&mut self.sites).insert(site, row);
    }

    /// Removes a site.
    pub(super) fn remove_site(&mut self, object: &Object) {
        let Ok(site) = SiteId::new(object.key.name.clone()) else { return };
        if let Some(row) = Arc::make_mut(&mut self.sites).remove(&site) {
            self.leave(&site, row.class);
        }
    }

    /// Adds one use of a selector. A selector that is new splits the classes that it cuts through.
    pub(super) fn add_selector(&mut self, selector: &Selector) {
        if let Some(row) = self.selectors.get_mut(selector) {
            row.users += 1;
            return;
        }
        self.last_selector += 1;
        let id = self.last_selector;
        self.selectors.insert(selector.clone(), SelectorRow { id, users: 1 });
        let sites = self.sites.iter().filter(|(_, row)| selector.matches(&row.labels));
        let matched: Vec<SiteId> = sites.map(|(site, _)| site.clone()).collect();
        self.rekey(matched, |key| {
            key.matched.insert(id);
        });
    }

    /// Removes one use of a selector. The last use takes it out of all classes.
    pub(super) fn remove_selector(&mut self, selector: &Selector) {
        let Some(row) = self.selectors.get_mut(selector) else { return };
        row.users -= 1;
        if row.users > 0 {
            return;
        }
        let id = row.id;
        self.selectors.remove(selector);
        let rows = self.rows.values().filter(|row| row.key.matched.contains(&id));
        let members: Vec<SiteId> = rows.flat_map(|row| row.members.iter().cloned()).collect();
        self.rekey(members, |key| {
            key.matched.remove(&id);
        });
    }

    fn rekey(&mut self, sites: Vec<SiteId>, change: impl Fn(&mut ClassKey)) {
        for site in sites {
            let Some(class) = self.sites.get(&site).map(|row| row.class) else { continue };
            let Some(mut key) = self.rows.get(&class).map(|row| row.key.clone()) else { continue };
            change(&mut key);
            self.leave(&site, class);
            let class = self.join(site.clone(), key);
            if let Some(row) = Arc::make_mut(&mut self.sites).get_mut(&site) {
                row.class = class;
            }
        }
    }

    fn join(&mut self, site: SiteId, key: ClassKey) -> ClassId {
        let id = self.by_key.get(&key).copied().unwrap_or_else(|| {
            self.last_class += 1;
            let id = ClassId(self.last_class);
            self.by_key.insert(key.clone(), id);
            self.rows.insert(id, ClassRow { key, members: BTreeSet::new() });
            id
        });
        if let Some(row) = self.rows.get_mut(&id) {
            row.members.insert(site);
        }
        id
    }

    fn leave(&mut self, site: &SiteId, class: ClassId) {
        let Some(row) = self.rows.get_mut(&class) else { return };
        row.members.remove(site);
        if row.members.is_empty()
            && class != BASE
            && let Some(row) = self.rows.remove(&class)
        {
            self.by_key.remove(&row.key);
        }
    }

    /// Warns of selectors that match none of the sites; without sites there is nothing to warn of.
    pub(super) fn unmatched<'a>(&self, objects: impl Iterator<Item = &'a Object>) -> Vec<Diagnostic> {
        if self.sites.is_empty() {
            return Vec::new();
        }
        let used: BTreeSet<SelectorId> = self
            .rows
            .values()
            .filter(|row| !row.members.is_empty())
            .flat_map(|row| row.key.matched.clone())
            .collect();
        objects.filter_map(|object| self.unmatched_by(object, &used)).collect()
    }

    fn unmatched_by(&self, object: &Object, used: &BTreeSet<SelectorId>) -> Option<Diagnostic> {
        if matches!(object.spec, Spec::Site(_)) {
            return None;
        }
        let selector = object.sites.as_ref()?;
        if self.selectors.get(selector).is_some_and(|row| used.contains(&row.id)) {
            return None;
        }
        let pointer = match object.spec {
            Spec::Service(_) | Spec::HttpRoute(_) => "/metadata/annotations/skerry.dev~1sites",
            _ => "/spec/sites",
        };
        let place = object.document.locate(pointer);
        let message = format!("selects sites with `{selector}`, and no site has such labels");
        let diagnostic = Diagnostic::warning(Code::MatchesNothing, place, message);
        Some(
            diagnostic
                .object(object.key.clone())
                .field(field_path(pointer))
                .help("compare it with the labels of your sites"),
        )
    }
}
