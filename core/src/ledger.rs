//! The ledger: gives contents a generation and a revision, and keeps them for each site while nothing changed.
//!
//! Compiling is a function of the world alone; numbering is the one thing that depends on history.
//! It is kept apart here so that it can be stored and restored. Silence never removes anything: a
//! site that leaves the world keeps its row (invariant 6).
//!
//! Sites of one class that were told the same at the same time share a row, so a publication costs the
//! classes that changed and the sites that moved between classes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::bundle::{Contents, EncodedFragment, MAX_FRAGMENTS, SCHEMA, v1};
use crate::delta;
use crate::id::{Digest, Epoch, Generation, Revision, SiteId, Timestamp};
use crate::index::{ClassId, Compiled};
use crate::provenance::Provenance;

mod origin;
mod rows;

pub use origin::Origin;
use rows::RowId;
pub use rows::Rows;

/// What a site was last told to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Digest of its fragment list.
    pub list: Digest,
    /// The publication that gave it this list.
    pub generation: Generation,
    /// The revision of that publication.
    pub revision: Revision,
    /// When that was.
    pub issued_at: Timestamp,
    /// How many services were taken from it on purpose since the epoch began (see [`Declared`]).
    pub removals: u32,
    /// Who vouches for the revision.
    #[serde(default)]
    pub provenance: Provenance,
}

/// Terms that are equal for all manifests of a fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// The life of the core's state.
    pub epoch: Epoch,
}

impl Row {
    /// Writes the manifest of a site: cheap, so it is made when it is asked for.
    pub fn manifest(&self, site: &SiteId, terms: Terms) -> v1::Manifest {
        v1::Manifest {
            site: site.to_string(),
            epoch: terms.epoch.0,
            generation: self.generation.0,
            revision: self.revision.to_string(),
            list: self.list.as_bytes().to_vec(),
            schema: SCHEMA,
            issued_at_ms: self.issued_at.0,
            accept_until_ms: 0,
            removals: self.removals,
            signature: self.provenance.check().into(),
            signer: self.provenance.signer().to_owned(),
        }
    }
}

/// Returns the canonical bytes of a manifest and their digest.
pub fn encode(manifest: &v1::Manifest) -> (Vec<u8>, Digest) {
    let bytes = manifest.encode_to_vec();
    let digest = Digest::of(&bytes);
    (bytes, digest)
}

/// Which removals are on purpose, so that sites follow them whatever their share. Others they may refuse.
#[derive(Debug, Clone, Copy)]
pub enum Declared<'a> {
    /// Those of these services, by fragment key: the source removed them by name.
    Named(&'a BTreeSet<String>),
    /// All of this publication: somebody confirmed it.
    Confirmed,
    /// As `Confirmed`, and all that a site has not followed yet: every site gets a new manifest.
    Everywhere,
}

impl Declared<'_> {
    /// Counts what is declared of the way from one list to the next; `None`: the list before is not known.
    fn count(self, before: Option<&Contents>, next: &[Arc<EncodedFragment>]) -> u32 {
        let gone = before.map(|before| delta::diff(&before.fragments, next).removals);
        let count = match (self, gone) {
            (Self::Named(names), Some(gone)) => {
                gone.iter().filter(|fragment| names.contains(&*fragment.name)).count()
            }
            (Self::Named(_), None) => 0,
            (Self::Confirmed, Some(gone)) => gone.len(),
            (Self::Confirmed, None) | (Self::Everywhere, _) => MAX_FRAGMENTS,
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Says whether a site that was told a list is to be told this one.
    fn is_news(self, list: &Digest, contents: &Contents) -> bool {
        *list != contents.digest || matches!(self, Self::Everywhere)
    }
}

/// What a publication changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// The number of the publication; the one before when nothing changed.
    pub generation: Generation,
    /// How many sites have another manifest: those whose row has this generation. 0 when nothing changed.
    pub changed: usize,
}

impl Publication {
    /// Says whether a row was given by this publication.
    pub fn is_new(&self, row: &Row) -> bool {
        self.changed > 0 && row.generation == self.generation
    }
}

/// Where the sites of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Home {
    /// Not known yet: they were restored, and nothing was compiled since.
    Unplaced,
    /// In this class.
    Class(ClassId),
}

/// What tells two rows of a ledger apart: revision, provenance and time are those of the generation.
type RowKey = (Generation, Digest, u32);

/// Sites that share a row.
#[derive(Debug, Clone)]
struct Group {
    row: Arc<Row>,
    home: Home,
    members: BTreeSet<SiteId>,
}

/// The rows of all sites.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    generation: Generation,
    /// Those of the sites in the world, as readers see them.
    rows: Rows,
    groups: BTreeMap<RowId, Group>,
    /// Sites of one class with equal rows are in one group.
    by_place: BTreeMap<(Home, RowKey), RowId>,
    /// Rows of sites that left the world.
    gone: BTreeMap<SiteId, Arc<Row>>,
    /// Sites of the world that were never told anything, since their class has no contents.
    waiting: BTreeSet<SiteId>,
    last: RowId,
    /// The compile that was published last; 0 is none since the ledger was restored.
    round: u64,
}

/// What a site was told last, as far as it counts for its next row: list and declared removals.
type Told = Option<(Digest, u32)>;

/// The numbers of one publication, and the rows that it made so far.
struct Issue<'a, F> {
    generation: Generation,
    origin: Origin<'a>,
    issued_at: Timestamp,
    previous: F,
    declared: Declared<'a>,
    made: BTreeMap<(Told, Digest), Arc<Row>>,
}

impl<F: Fn(&Digest) -> Option<Arc<Contents>>> Issue<'_, F> {
    /// Returns the next row of sites that have this one.
    fn row(&mut self, before: Option<&Row>, contents: &Contents) -> Arc<Row> {
        let key = (before.map(|before| (before.list, before.removals)), contents.digest);
        if let Some(row) = self.made.get(&key) {
            return Arc::clone(row);
        }
        let known = before.and_then(|before| (self.previous)(&before.list));
        let step = self.declared.count(known.as_deref(), &contents.fragments);
        let row = Arc::new(Row {
            list: contents.digest,
            generation: self.generation,
            revision: self.origin.revision.clone(),
            issued_at: self.issued_at,
            removals: before.map_or(0, |before| before.removals).saturating_add(step),
            provenance: self.origin.provenance.clone(),
        });
        self.made.insert(key, Arc::clone(&row));
        row
    }
}

fn key_of(row: &Row) -> RowKey {
    (row.generation, row.list, row.removals)
}

impl Ledger {
    /// Restores a ledger from its rows.
    pub fn restore(generation: Generation, rows: impl IntoIterator<Item = (SiteId, Row)>) -> Self {
        let mut ledger = Self { generation, ..Self::default() };
        for (site, row) in rows {
            ledger.join(site, Home::Unplaced, Arc::new(row));
        }
        ledger
    }

    /// Returns the row of a site, also of one that left the world.
    pub fn row(&self, site: &SiteId) -> Option<&Row> {
        self.rows.get(site).or_else(|| self.gone.get(site)).map(|row| &**row)
    }

    /// Returns the rows of the sites in the world. A copy costs nothing and stays as it is.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Returns the last publication's number.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Lists the sites whose manifest the last publication changed, with their rows.
    pub fn changed(&self, last: &Publication) -> impl Iterator<Item = (&SiteId, &Arc<Row>)> {
        let groups = self.groups.values().filter(|group| last.is_new(&group.row));
        groups.flat_map(|group| group.members.iter().map(|site| (site, &group.row)))
    }

    /// Numbers what changed. `previous` finds the contents that a list digest stood for, if they are
    /// still known: the removals are counted against them. All worlds must be of one index.
    pub fn publish<'a>(
        &mut self,
        compiled: &Compiled,
        previous: impl Fn(&Digest) -> Option<Arc<Contents>>,
        declared: Declared<'_>,
        origin: impl Into<Origin<'a>>,
        now: Timestamp,
    ) -> Publication {
        let generation = Generation(self.generation.0 + 1);
        let (origin, made) = (origin.into(), BTreeMap::new());
        let mut issue = Issue { generation, origin, issued_at: now, previous, declared, made };
        // Sites that move leave first: what becomes of the class that they were in is not for them.
        let moved = self.moved(compiled);
        let moved: Vec<_> = moved.into_iter().map(|site| (self.leave(&site), site)).collect();
        self.renew(compiled, &mut issue);
        for (before, site) in moved {
            self.place(site, before, compiled, &mut issue);
        }
        self.round = compiled.round();
        if !issue.made.is_empty() {
            self.generation = generation;
        }
        let groups = self.groups.values().filter(|group| group.row.generation == generation);
        Publication { generation: self.generation, changed: groups.map(|group| group.members.len()).sum() }
    }

    /// Finds the sites that are not where they were. The index tells those of one compile; after a restart, or when
    /// a compile was not published, all are looked at.
    fn moved(&mut self, compiled: &Compiled) -> BTreeSet<SiteId> {
        let mut moved = std::mem::take(&mut self.waiting);
        if self.round > 0 && compiled.round() == self.round + 1 {
            moved.extend(compiled.moved().cloned());
            return moved;
        }
        self.adopt(compiled);
        for group in self.groups.values() {
            let stays = |site: &&SiteId| compiled.class(site).map(Home::Class) == Some(group.home);
            moved.extend(group.members.iter().filter(|site| !stays(site)).cloned());
        }
        moved.extend(compiled.sites().filter(|site| self.rows.get(site).is_none()).cloned());
        moved
    }

    /// Gives each restored group the class of its first site, so that its sites need not move one by one.
    fn adopt(&mut self, compiled: &Compiled) {
        for (id, group) in &mut self.groups {
            let class = group.members.iter().find_map(|site| compiled.class(site));
            let (Home::Unplaced, Some(class)) = (group.home, class) else { continue };
            let (key, home) = (key_of(&group.row), Home::Class(class));
            if self.by_place.contains_key(&(home, key)) {
                continue;
            }
            self.by_place.remove(&(group.home, key));
            self.by_place.insert((home, key), *id);
            group.home = home;
        }
    }

    /// Gives the groups of each class whose contents are others their next row.
    fn renew(
        &mut self,
        compiled: &Compiled,
        issue: &mut Issue<'_, impl Fn(&Digest) -> Option<Arc<Contents>>>,
    ) {
        let places: Vec<_> = self.by_place.iter().map(|(place, id)| (*place, *id)).collect();
        for (place, id) in places {
            let (Home::Class(class), (_, list, _)) = place else { continue };
            let contents = compiled.contents_of(class);
            let contents = contents.filter(|contents| issue.declared.is_news(&list, contents));
            let (Some(contents), Some(group)) = (contents, self.groups.get_mut(&id)) else { continue };
            let row = issue.row(Some(&group.row), contents);
            self.by_place.remove(&place);
            group.row = Arc::clone(&row);
            self.rows.set_row(id, Arc::clone(&row));
            match self.by_place.get(&(place.0, key_of(&row))) {
                Some(&other) => self.merge(id, other),
                None => drop(self.by_place.insert((place.0, key_of(&row)), id)),
            }
        }
    }

    /// Makes one group of two in one class with equal rows: the sites of the smaller go over.
    fn merge(&mut self, one: RowId, other: RowId) {
        let members = |id: &RowId| self.groups.get(id).map_or(0, |group| group.members.len());
        let (small, large) = if members(&one) < members(&other) { (one, other) } else { (other, one) };
        let Some(group) = self.groups.remove(&small) else { return };
        self.rows.drop_row(small);
        self.by_place.insert((group.home, key_of(&group.row)), large);
        for site in &group.members {
            self.rows.set_site(site.clone(), large);
        }
        if let Some(row) = self.groups.get_mut(&large) {
            row.members.extend(group.members);
        }
    }

    /// Takes a site out of its group; returns the row that it had.
    fn leave(&mut self, site: &SiteId) -> Option<Arc<Row>> {
        let Some(id) = self.rows.remove_site(site) else { return self.gone.remove(site) };
        let group = self.groups.get_mut(&id)?;
        group.members.remove(site);
        let row = Arc::clone(&group.row);
        if group.members.is_empty()
            && let Some(group) = self.groups.remove(&id)
        {
            self.by_place.remove(&(group.home, key_of(&group.row)));
            self.rows.drop_row(id);
        }
        Some(row)
    }

    /// Puts a site where it is now. It keeps its row where its contents are the same.
    fn place(
        &mut self,
        site: SiteId,
        before: Option<Arc<Row>>,
        compiled: &Compiled,
        issue: &mut Issue<'_, impl Fn(&Digest) -> Option<Arc<Contents>>>,
    ) {
        let Some(class) = compiled.class(&site) else {
            self.gone.extend(before.map(|before| (site, before)));
            return;
        };
        let row = match (before, compiled.contents_of(class)) {
            (Some(before), Some(contents)) if issue.declared.is_news(&before.list, contents) => {
                issue.row(Some(&before), contents)
            }
            (Some(before), _) => before,
            (None, Some(contents)) => issue.row(None, contents),
            (None, None) => {
                self.waiting.insert(site);
                return;
            }
        };
        self.join(site, Home::Class(class), row);
    }

    fn join(&mut self, site: SiteId, home: Home, row: Arc<Row>) {
        let id = *self.by_place.entry((home, key_of(&row))).or_insert_with(|| {
            self.last = self.last.next();
            self.rows.set_row(self.last, Arc::clone(&row));
            self.groups.insert(self.last, Group { row, home, members: BTreeSet::new() });
            self.last
        });
        self.rows.set_site(site.clone(), id);
        if let Some(group) = self.groups.get_mut(&id) {
            group.members.insert(site);
        }
    }
}
