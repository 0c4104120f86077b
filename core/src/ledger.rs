//! The ledger: gives each site's contents a generation and a revision, and keeps them when nothing changed.
//!
//! Compiling is a function of the world alone; numbering is the one thing that depends on history.
//! It is kept apart here so that it can be stored and restored. Silence never removes anything: a
//! site that leaves the world keeps its row (invariant 6).

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::bundle::{MAX_FRAGMENTS, SCHEMA, v1};
use crate::delta;
use crate::id::{Digest, Epoch, Generation, Revision, SiteId, Timestamp};
use crate::index::Compiled;

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
    fn count(self, lists: Option<(v1::FragmentList, v1::FragmentList)>) -> u32 {
        let count = match (self, lists) {
            (Self::Named(names), Some((old, new))) => {
                delta::diff(&old, &new).removals.iter().filter(|key| names.contains(*key)).count()
            }
            (Self::Named(_), None) => 0,
            (Self::Confirmed, Some((old, new))) => delta::diff(&old, &new).removals.len(),
            (Self::Confirmed, None) | (Self::Everywhere, _) => MAX_FRAGMENTS,
        };
        u32::try_from(count).unwrap_or(u32::MAX)
    }
}

/// What a publication changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// The number of the publication; the one before when nothing changed.
    pub generation: Generation,
    /// New and changed rows: to be stored before anyone is told.
    pub rows: BTreeMap<SiteId, Row>,
}

/// The rows of all sites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    generation: Generation,
    rows: BTreeMap<SiteId, Row>,
}

impl Ledger {
    /// Restores a ledger from its rows.
    pub fn restore(generation: Generation, rows: impl IntoIterator<Item = (SiteId, Row)>) -> Self {
        Self { generation, rows: rows.into_iter().collect() }
    }

    /// Returns the row of a site.
    pub fn row(&self, site: &SiteId) -> Option<&Row> {
        self.rows.get(site)
    }

    /// Returns the last publication's number.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// Numbers what changed. `previous` finds the contents that a list digest stood for, if they are
    /// still known: the removals are counted against them.
    pub fn publish(
        &mut self,
        compiled: &Compiled,
        previous: impl Fn(&Digest) -> Option<v1::FragmentList>,
        declared: Declared<'_>,
        revision: &Revision,
        now: Timestamp,
    ) -> Publication {
        let next = Generation(self.generation.0 + 1);
        let mut removals: BTreeMap<(Option<Digest>, Digest), u32> = BTreeMap::new();
        let mut rows = BTreeMap::new();
        for site in compiled.sites() {
            let Some(contents) = compiled.contents(site) else { continue };
            let before = self.rows.get(site);
            let is_same = before.is_some_and(|row| row.list == contents.digest);
            if is_same && !matches!(declared, Declared::Everywhere) {
                continue;
            }
            let known = before.map(|row| row.list);
            let step = *removals.entry((known, contents.digest)).or_insert_with(|| {
                let old = known.and_then(|list| previous(&list));
                declared.count(old.zip(v1::FragmentList::decode(&*contents.list).ok()))
            });
            let removals = before.map_or(0, |row| row.removals).saturating_add(step);
            let row = Row {
                list: contents.digest,
                generation: next,
                revision: revision.clone(),
                issued_at: now,
                removals,
            };
            rows.insert(site.clone(), row);
        }
        if !rows.is_empty() {
            self.generation = next;
            self.rows.extend(rows.clone());
        }
        Publication { generation: self.generation, rows }
    }
}
