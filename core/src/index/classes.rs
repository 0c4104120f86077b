//! Site classes: sites that match the same selectors and have the same settings run the same bundle,
//! so a class is compiled once, however many sites it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

use crate::bundle::v1::Supervision;
use crate::id::{ObjectKey, SiteId};
use crate::pace::Pace;
use crate::policy::Site;
use crate::policy::site::DataPlane;
use crate::selector::{Labels, Selector};

/// Identifies a class for as long as it has members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassId(u32);

/// Identifies a selector for as long as an object has it.
pub(super) type SelectorId = u32;

/// What the sites of a class have in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassKey {
    /// The selectors that match.
    matched: BTreeSet<SelectorId>,
    supervision: i32,
    drain_seconds: u32,
    pace: Pace,
    offline_seconds: u32,
}

impl ClassKey {
    fn new(matched: BTreeSet<SelectorId>, site: &Site) -> Self {
        let DataPlane { supervision, drain_seconds } = site.data_plane;
        let (pace, offline_seconds) = (Pace::of(&site.uplink), site.offline_seconds);
        Self { matched, supervision: supervision.into(), drain_seconds, pace, offline_seconds }
    }

    /// Returns the settings that are part of the key.
    pub(super) fn data_plane(&self) -> DataPlane {
        let supervision = Supervision::try_from(self.supervision).unwrap_or_default();
        DataPlane { supervision, drain_seconds: self.drain_seconds }
    }

    /// Returns how long its sites shall go on with no link: seconds; 0 is the default.
    pub(super) fn offline_seconds(&self) -> u32 {
        self.offline_seconds
    }

    /// Returns how its sites treat their links.
    pub(super) fn pace(&self) -> Pace {
        self.pace
    }

    /// Says whether an object with this selector is for the class; without one it is for all.
    pub(super) fn has(&self, selector: Option<SelectorId>) -> bool {
        selector.is_none_or(|id| self.matched.contains(&id))
    }

    /// Lists the selectors that match one of two classes and not the other.
    pub(super) fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a SelectorId> {
        self.matched.symmetric_difference(&other.matched)
    }
}

/// A site of the index.
#[derive(Debug, Clone)]
pub(super) struct SiteRow {
    pub(super) labels: Arc<Labels>,
    pub(super) class: ClassId,
}

/// Sites in order. Copies share what they have in common, so that every compile can hand one out.
pub(super) type Sites = RedBlackTreeMapSync<SiteId, SiteRow>;

#[derive(Debug)]
struct ClassRow {
    key: ClassKey,
    members: BTreeSet<SiteId>,
    /// The class that its first member was in before.
    origin: Option<ClassId>,
}

#[derive(Debug, Default)]
struct SelectorRow {
    selector: Selector,
    /// The objects that have it.
    users: BTreeSet<ObjectKey>,
    /// How many classes match.
    classes: usize,
}

/// Sites, selectors, and the classes that follow from them.
#[derive(Debug)]
pub(super) struct Classes {
    sites: Sites,
    /// The names of sites by label and value: finds the matches of a selector that pins a label.
    by_label: BTreeMap<String, BTreeMap<String, BTreeSet<SiteId>>>,
    selectors: BTreeMap<SelectorId, SelectorRow>,
    by_selector: BTreeMap<Selector, SelectorId>,
    rows: BTreeMap<ClassId, ClassRow>,
    by_key: BTreeMap<ClassKey, ClassId>,
    last_class: u32,
    last_selector: SelectorId,
    changes: Changes,
}

/// What changed since it was taken last.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Sites that are new, gone or in another class.
    pub(super) moved: BTreeSet<SiteId>,
    /// Selectors whose users or matches are others.
    pub(super) selectors: BTreeSet<SelectorId>,
    /// For a class that is gone, the class that it came from: it may have been there for a moment only.
    gone: BTreeMap<ClassId, ClassId>,
}

/// The class of a site that matches no selector. Without any site it is compiled all the same, so that
/// a world that declares none can be checked.
const BASE: ClassId = ClassId(0);

impl Classes {
    /// Makes the base class.
    pub(super) fn new() -> Self {
        let key = ClassKey::new(BTreeSet::new(), &Site::default());
        let base = ClassRow { key: key.clone(), members: BTreeSet::new(), origin: None };
        Self {
            sites: Sites::new_sync(),
            by_label: BTreeMap::new(),
            selectors: BTreeMap::new(),
            by_selector: BTreeMap::new(),
            rows: BTreeMap::from([(BASE, base)]),
            by_key: BTreeMap::from([(key, BASE)]),
            last_class: 0,
            last_selector: 0,
            changes: Changes::default(),
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
    pub(super) fn sites(&self) -> &Sites {
        &self.sites
    }

    /// Returns the key of a site's class; of a site that there is not, that of the base class.
    pub(super) fn key_of(&self, site: &SiteId) -> ClassKey {
        let row = self.sites.get(site).and_then(|row| self.rows.get(&row.class));
        row.map_or_else(|| ClassKey::new(BTreeSet::new(), &Site::default()), |row| row.key.clone())
    }

    /// Lists the classes that a class came from, the nearest first.
    pub(super) fn origins(&self, class: ClassId) -> impl Iterator<Item = ClassId> {
        let before = |class: &ClassId| match self.rows.get(class) {
            Some(row) => row.origin,
            None => self.changes.gone.get(class).copied(),
        };
        std::iter::successors(before(&class), move |class| before(class))
    }

    /// Lists the objects that have a selector.
    pub(super) fn users(&self, selector: SelectorId) -> impl Iterator<Item = &ObjectKey> {
        self.selectors.get(&selector).into_iter().flat_map(|row| &row.users)
    }

    /// Returns a selector that matches no site; `None` when it matches one, or there are no sites at all.
    pub(super) fn unmatched(&self, selector: SelectorId) -> Option<&Selector> {
        let row = self.selectors.get(&selector)?;
        (row.classes == 0 && !self.sites.is_empty()).then_some(&row.selector)
    }

    /// Names the sites of a class by the selectors that match them.
    pub(super) fn describe(&self, class: &ClassKey) -> String {
        let rows = class.matched.iter().filter_map(|id| self.selectors.get(id));
        let selectors: BTreeSet<String> = rows.map(|row| format!("`{}`", row.selector)).collect();
        if selectors.is_empty() {
            return "sites that no selector names".to_owned();
        }
        format!("sites with {}", selectors.into_iter().collect::<Vec<_>>().join(" and "))
    }

    /// Takes what changed since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        self.rows.values_mut().for_each(|row| row.origin = None);
        std::mem::take(&mut self.changes)
    }

    /// Adds a site, or gives it other labels or settings.
    pub(super) fn set_site(&mut self, site: &SiteId, labels: &Arc<Labels>, spec: &Site) {
        let before = self.forget_labels(site);
        let matches = |(id, row): (&SelectorId, &SelectorRow)| row.selector.matches(labels).then_some(*id);
        let key = ClassKey::new(self.selectors.iter().filter_map(matches).collect(), spec);
        let class = self.join(site.clone(), key, before);
        before.into_iter().for_each(|before| self.leave_unless(site, before, class));
        for (label, value) in &**labels {
            let sites = self.by_label.entry(label.clone()).or_default().entry(value.clone()).or_default();
            sites.insert(site.clone());
        }
        self.sites.insert_mut(site.clone(), SiteRow { labels: Arc::clone(labels), class });
        self.changes.moved.insert(site.clone());
        self.note_emptiness(self.sites.size() == 1 && before.is_none());
    }

    /// Removes a site.
    pub(super) fn remove_site(&mut self, site: &SiteId) {
        let Some(class) = self.forget_labels(site) else { return };
        self.leave(site, class);
        self.sites.remove_mut(site);
        self.changes.moved.insert(site.clone());
        self.note_emptiness(self.sites.is_empty());
    }

    /// Without any site no selector is said to match nothing, so the first and the last site change them all.
    fn note_emptiness(&mut self, changed: bool) {
        if changed {
            self.changes.selectors.extend(self.selectors.keys());
        }
    }

    fn forget_labels(&mut self, site: &SiteId) -> Option<ClassId> {
        let row = self.sites.get(site)?;
        for (label, value) in &*row.labels {
            let Some(values) = self.by_label.get_mut(label) else { continue };
            if let Some(sites) = values.get_mut(value) {
                sites.remove(site);
                if sites.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.by_label.remove(label);
            }
        }
        Some(row.class)
    }

    /// Notes that an object has a selector. One that is new splits the classes that it cuts through.
    pub(super) fn add_user(&mut self, selector: &Selector, user: &ObjectKey) -> SelectorId {
        if let Some(&id) = self.by_selector.get(selector) {
            self.changes.selectors.insert(id);
            self.selectors.entry(id).or_default().users.insert(user.clone());
            return id;
        }
        self.last_selector += 1;
        let id = self.last_selector;
        self.by_selector.insert(selector.clone(), id);
        let users = BTreeSet::from([user.clone()]);
        self.selectors.insert(id, SelectorRow { selector: selector.clone(), users, classes: 0 });
        self.changes.selectors.insert(id);
        let matched = self.matches(selector);
        self.rekey(matched, |key| {
            key.matched.insert(id);
        });
        id
    }

    /// Notes that an object has a selector no more. The last one takes it out of all classes.
    pub(super) fn remove_user(&mut self, id: SelectorId, user: &ObjectKey) {
        self.changes.selectors.insert(id);
        let Some(row) = self.selectors.get_mut(&id) else { return };
        row.users.remove(user);
        if !row.users.is_empty() {
            return;
        }
        let rows = self.rows.values().filter(|row| row.key.matched.contains(&id));
        let members: Vec<SiteId> = rows.flat_map(|row| row.members.iter().cloned()).collect();
        self.rekey(members, |key| {
            key.matched.remove(&id);
        });
        if let Some(row) = self.selectors.remove(&id) {
            self.by_selector.remove(&row.selector);
        }
    }

    /// Finds the sites that match; looks only at those with a label value that the selector pins, if it does.
    fn matches(&self, selector: &Selector) -> Vec<SiteId> {
        let candidates = |(label, values): (&String, &BTreeSet<String>)| -> Vec<&SiteId> {
            let by_value = self.by_label.get(label);
            values.iter().filter_map(|value| by_value?.get(value)).flatten().collect()
        };
        let matches = |site: &&SiteId| self.sites.get(*site).is_some_and(|row| selector.matches(&row.labels));
        match selector.pinned().map(candidates).min_by_key(Vec::len) {
            Some(candidates) => candidates.into_iter().filter(matches).cloned().collect(),
            None => self.sites.keys().filter(matches).cloned().collect(),
        }
    }

    fn rekey(&mut self, sites: Vec<SiteId>, change: impl Fn(&mut ClassKey)) {
        for site in sites {
            let Some(row) = self.sites.get(&site).cloned() else { continue };
            let Some(mut key) = self.rows.get(&row.class).map(|row| row.key.clone()) else { continue };
            change(&mut key);
            let class = self.join(site.clone(), key, Some(row.class));
            self.leave_unless(&site, row.class, class);
            self.sites.insert_mut(site.clone(), SiteRow { class, ..row });
            self.changes.moved.insert(site);
        }
    }

    fn join(&mut self, site: SiteId, key: ClassKey, origin: Option<ClassId>) -> ClassId {
        let id = self.by_key.get(&key).copied().unwrap_or_else(|| {
            self.last_class += 1;
            let id = ClassId(self.last_class);
            for selector in &key.matched {
                if let Some(row) = self.selectors.get_mut(selector) {
                    row.classes += 1;
                    self.changes.selectors.insert(*selector);
                }
            }
            self.by_key.insert(key.clone(), id);
            self.rows.insert(id, ClassRow { key, members: BTreeSet::new(), origin });
            id
        });
        if let Some(row) = self.rows.get_mut(&id) {
            row.members.insert(site);
        }
        id
    }

    fn leave_unless(&mut self, site: &SiteId, class: ClassId, joined: ClassId) {
        if class != joined {
            self.leave(site, class);
        }
    }

    fn leave(&mut self, site: &SiteId, class: ClassId) {
        let Some(row) = self.rows.get_mut(&class) else { return };
        row.members.remove(site);
        if !row.members.is_empty() || class == BASE {
            return;
        }
        let Some(row) = self.rows.remove(&class) else { return };
        self.by_key.remove(&row.key);
        for selector in &row.key.matched {
            if let Some(selector_row) = self.selectors.get_mut(selector) {
                selector_row.classes -= 1;
                self.changes.selectors.insert(*selector);
            }
        }
        if let Some(origin) = row.origin {
            self.changes.gone.insert(class, origin);
        }
    }
}
