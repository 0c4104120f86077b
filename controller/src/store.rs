//! What the core must remember over a restart, behind one trait.
//!
//! Sites, rows and reports live here and not in memory, so that what sites say does not grow the
//! core. Implementations must not decide anything but how to keep it: every write is all or
//! nothing, and is on disk when the call returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use skerry_core::id::{Epoch, Generation, ObjectKey, Revision, SiteId, Timestamp};
use skerry_core::ledger::Row;
use skerry_core::provenance::Provenance;
use skerry_core::world::ServiceIndexes;
use skerry_gitops::age::{Ages, FirstSeen};
use skerry_gitops::oid::CommitId;
use skerry_gitops::removal::Recent;
use skerry_gitops::snapshot::hold::Hold;
use skerry_gitops::snapshot::kept::KeptFiles;
use skerry_proto::v1::Report;

use crate::report::{Arrival, Event, ReportRow};

mod error;
mod record;
pub mod redb;

pub use error::StoreError;

/// Everything that is needed to go on where the core stopped.
#[derive(Debug, Clone, Default)]
pub struct Restored {
    /// Which life of the store this is.
    pub epoch: Epoch,
    /// The last publication.
    pub generation: Generation,
    /// What every site was told last.
    pub rows: Vec<(SiteId, Row)>,
    /// Address indexes that were given to services.
    pub indexes: ServiceIndexes,
    /// What of the source is in force; `None` before the first commit.
    pub accepted: Option<Accepted>,
    /// How old objects are; may be of a commit before the accepted one.
    pub ages: Option<Ages>,
    /// What waits for a confirmation.
    pub pending: Pending,
}

/// The state of the source that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The commit.
    pub commit: CommitId,
    /// The commit under the reference's name.
    pub revision: Revision,
    /// The folder that is read.
    pub path: String,
    /// Objects that are kept although the commit does not have them in good order.
    pub holds: Vec<(ObjectKey, Hold)>,
    /// The files that they are of. Kept one by one, since they may be large and seldom change.
    #[serde(skip)]
    pub kept: KeptFiles,
    /// What went unconfirmed a short time ago: it counts with what the next head removes.
    #[serde(default)]
    pub recent: Recent,
    /// Who vouches for the commit.
    #[serde(default)]
    pub signature: Signature,
}

/// What was found about the signature of a commit when it was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// What goes to sites.
    pub provenance: Provenance,
    /// Why it is not trusted, in one sentence; empty if it is, or if nobody looked.
    pub reason: String,
}

/// A head that is not carried out, and what was said about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The head that waits.
    pub held: Option<HeldHead>,
    /// The head that was confirmed last; a confirmation is for that commit only.
    pub confirmed: Option<CommitId>,
}

/// A head that waits, for a confirmation or for a signature that is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldHead {
    /// The commit.
    pub commit: CommitId,
    /// The commit under the reference's name.
    pub revision: Revision,
    /// Why it is held. If a confirmation ends that, also what would help: two sentences.
    pub reason: String,
    /// What ends the hold.
    #[serde(default)]
    pub until: Until,
}

/// What ends a hold, besides another head.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Until {
    /// Somebody confirms it.
    #[default]
    Confirmed,
    /// Its signature is trusted; nobody can confirm that.
    Trusted {
        /// What would help, in one sentence.
        help: String,
    },
}

/// What a publication changed: kept before anybody is told.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Its number.
    pub generation: Generation,
    /// New and changed rows.
    pub rows: &'a [(SiteId, Arc<Row>)],
    /// All address indexes; `None` when none was given.
    pub indexes: Option<&'a ServiceIndexes>,
    /// The state of the source that it comes from.
    pub accepted: &'a Accepted,
    /// What became known of ages; `None` when they were not looked at.
    pub ages: Option<&'a LearnedAges>,
}

/// What became known of the ages of objects, kept object by object: the fleet may have 100,000 sites, and each
/// is an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LearnedAges {
    /// The folder.
    pub path: String,
    /// The commit up to which the history was read.
    pub at: Option<CommitId>,
    /// Objects that are new; those that are known already may be among them.
    pub objects: BTreeMap<ObjectKey, FirstSeen>,
}

impl LearnedAges {
    /// Names all objects.
    pub fn all(ages: &Ages) -> Self {
        Self::some(ages, ages.objects().map(|(key, first)| (key.clone(), first)).collect())
    }

    /// Names these.
    pub fn some(ages: &Ages, objects: BTreeMap<ObjectKey, FirstSeen>) -> Self {
        Self { path: ages.path().to_owned(), at: ages.at(), objects }
    }
}

/// The reports of one request.
#[derive(Debug, Clone)]
pub struct ReportBatch {
    /// Who sent them.
    pub site: SiteId,
    /// Its run.
    pub boot: Vec<u8>,
    /// Oldest first.
    pub reports: Vec<Report>,
    /// When they came and were sent.
    pub arrival: Arrival,
}

/// Keeps the core's state. Blocking: call it where waiting for a disk hurts nobody.
pub trait StateStore: Send + Sync + 'static {
    /// Reads what the core needs to start.
    fn restore(&self) -> Result<Restored, StoreError>;

    /// Keeps the epoch that begins.
    fn keep_epoch(&self, epoch: Epoch) -> Result<(), StoreError>;

    /// Keeps a publication.
    fn keep_plan(&self, plan: &Plan<'_>) -> Result<(), StoreError>;

    /// Keeps what waits for a confirmation.
    fn keep_pending(&self, pending: &Pending) -> Result<(), StoreError>;

    /// Folds reports into their sites' rows, all batches in one write. Returns the highest number
    /// that is kept of each batch's site.
    fn keep_reports(&self, batches: Vec<ReportBatch>) -> Result<Vec<u64>, StoreError>;

    /// Keeps when sites were last heard from.
    fn keep_seen(&self, seen: &[(SiteId, Timestamp)]) -> Result<(), StoreError>;

    /// Reads what a site reported.
    fn report(&self, site: &SiteId) -> Result<Option<ReportRow>, StoreError>;

    /// Reads when a site was last heard from.
    fn seen(&self, site: &SiteId) -> Result<Option<Timestamp>, StoreError>;

    /// Reads a site's events that are kept, newest first.
    fn events(&self, site: &SiteId) -> Result<Vec<Event>, StoreError>;
}
