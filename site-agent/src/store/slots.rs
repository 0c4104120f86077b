//! The three slots (current, previous, candidate) and the fragments that they name.

use std::collections::BTreeSet;
use std::sync::Arc;

use prost::Message as _;
use redb::{ReadableTable as _, WriteTransaction};
use skerry_core::bundle::SCHEMA;
use skerry_core::bundle::v1;
use skerry_core::id::Digest;
use skerry_proto::v1::Report;

use super::counters::{Floors, raise_floors};
use super::outbox::Step;
use super::tables::{FRAGMENTS, PARTS, SLOTS, TEXTS};
use super::{Store, StoreError};
use crate::step::step;

/// The bytes of a manifest and its fragment list, as they came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The manifest.
    pub(crate) manifest: Vec<u8>,
    /// The fragment list.
    pub(crate) list: Vec<u8>,
}

impl Slot {
    /// BLAKE3 of the manifest.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// BLAKE3 of the list.
    pub(crate) fn list_digest(&self) -> Digest {
        Digest::of(&self.list)
    }

    /// The ids of its fragments; none where the list cannot be read.
    pub(crate) fn fragment_ids(&self) -> BTreeSet<Digest> {
        let list = v1::FragmentList::decode(self.list.as_slice()).unwrap_or_default();
        list.fragments.iter().filter_map(|fragment| Digest::from_slice(&fragment.id).ok()).collect()
    }
}

/// A manifest that did not work here; it is not tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Its digest.
    pub(crate) digest: Digest,
    /// Why.
    pub(crate) reason: String,
}

/// The slots as they were left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Saved {
    /// What runs.
    pub(crate) current: Option<Slot>,
    /// What ran before.
    pub(crate) previous: Option<Slot>,
    /// What was being tried when the agent ended.
    pub(crate) candidate: Option<Slot>,
    /// What was being fetched; its list is empty if that was not here yet.
    pub(crate) fetching: Option<Slot>,
    /// How often the agent ended while it tried the candidate.
    pub(crate) attempts: u32,
    /// The last manifest that did not work.
    pub(crate) refused: Option<Refused>,
}

impl Store {
    /// Returns the slots.
    pub(crate) fn saved(&self) -> Result<Saved, StoreError> {
        self.read(|txn| {
            let slots = txn.open_table(SLOTS)?;
            let slot = |name| -> Result<Option<Slot>, redb::Error> {
                let row = slots.get(name)?;
                Ok(row.map(|row| Slot { manifest: row.value().0.to_vec(), list: row.value().1.to_vec() }))
            };
            let texts = txn.open_table(TEXTS)?;
            let digest = texts.get("refused_digest")?.and_then(|row| row.value().parse().ok());
            let reason = texts.get("refused_reason")?.map(|row| row.value().to_owned()).unwrap_or_default();
            let is_ours = texts.get("refused_by")?.is_some_and(|row| row.value() == judge());
            Ok(Saved {
                current: slot("current")?,
                previous: slot("previous")?,
                candidate: slot("candidate")?,
                fetching: slot("fetching")?,
                attempts: slots.get("candidate")?.map_or(0, |row| row.value().2),
                refused: digest.filter(|_| is_ours).map(|digest| Refused { digest, reason }),
            })
        })
    }

    /// Keeps what is being fetched, so that an agent that is restarted goes on with it; `None`: nothing is.
    pub(crate) fn keep_fetching(&self, slot: Option<&Slot>) -> Result<(), StoreError> {
        self.write(|txn| match slot {
            Some(slot) => {
                let row = (slot.manifest.as_slice(), slot.list.as_slice(), 0);
                txn.open_table(SLOTS)?.insert("fetching", row)?;
                Ok(())
            }
            None => forget_fetching(txn),
        })
    }

    /// Keeps fragments of an offer that is not complete yet, and the part that is coming in, so that an agent that is
    /// restarted does not ask for them again. They go at the next commit if nothing names them then.
    pub(crate) fn stage(
        &self,
        fragments: &[(Digest, Arc<[u8]>)],
        part: Option<&(Digest, Vec<u8>)>,
    ) -> Result<(), StoreError> {
        self.write(|txn| {
            insert_fragments(txn, fragments)?;
            if let Some((id, bytes)) = part {
                let mut parts = txn.open_table(PARTS)?;
                parts.retain(|_, _| false)?;
                parts.insert(id.as_bytes(), bytes.as_slice())?;
            }
            Ok(())
        })
    }

    /// Returns the part that was coming in.
    pub(crate) fn part(&self) -> Result<Option<(Digest, Vec<u8>)>, StoreError> {
        self.read(|txn| {
            let parts = txn.open_table(PARTS)?;
            let Some(row) = parts.first()? else { return Ok(None) };
            let id = Digest::from_slice(row.0.value());
            Ok(id.ok().map(|id| (id, row.1.value().to_vec())))
        })
    }

    /// Keeps a complete candidate, with those of its fragments that were not staged; drops fragments that no slot names,
    /// so that what is refused again and again fills no disk.
    pub(crate) fn put_candidate(
        &self,
        slot: &Slot,
        fragments: &[(Digest, Arc<[u8]>)],
    ) -> Result<(), StoreError> {
        self.write(|txn| {
            insert_fragments(txn, fragments)?;
            forget_fetching(txn)?;
            txn.open_table(SLOTS)?
                .insert("candidate", (slot.manifest.as_slice(), slot.list.as_slice(), 0))?;
            drop_unnamed_fragments(txn)
        })
    }

    /// Counts one more try of the candidate and returns the number.
    pub(crate) fn count_attempt(&self) -> Result<u32, StoreError> {
        self.write(|txn| {
            let mut slots = txn.open_table(SLOTS)?;
            let Some((slot, attempts)) = slots.get("candidate")?.map(|row| owned(row.value())) else {
                return Ok(0);
            };
            let attempts = attempts.saturating_add(1);
            slots.insert("candidate", (slot.manifest.as_slice(), slot.list.as_slice(), attempts))?;
            Ok(attempts)
        })
    }

    /// Makes the candidate current, and what was current previous; raises the floors, keeps the
    /// reports, drops fragments that no slot names. Asked again after an error it says nothing twice:
    /// the disk may have kept a step and failed all the same.
    pub(crate) fn commit(&self, floors: &Floors, reports: Vec<Report>) -> Result<(), StoreError> {
        self.write_with(reports, |txn| {
            let outcome = promote_candidate(txn)?;
            step("agent.apply.promoted");
            raise_floors(txn, floors)?;
            step("agent.apply.floor-raised");
            drop_unnamed_fragments(txn)?;
            step("agent.apply.previous-dropped");
            Ok(outcome)
        })
    }

    /// Drops the candidate and keeps the reports. `refused` is remembered in place of the one before.
    pub(crate) fn drop_candidate(
        &self,
        refused: Option<&Refused>,
        reports: Vec<Report>,
    ) -> Result<(), StoreError> {
        self.write_with(reports, |txn| {
            let was_there = txn.open_table(SLOTS)?.remove("candidate")?.is_some();
            if let Some(refused) = refused {
                note_refused(txn, refused)?;
            }
            Ok(if was_there { Step::News } else { Step::Repetition })
        })
    }

    /// Remembers that an offer is refused, candidate or not, and keeps the reports.
    pub(crate) fn refuse(&self, refused: &Refused, reports: Vec<Report>) -> Result<(), StoreError> {
        self.write_with(reports, |txn| {
            txn.open_table(SLOTS)?.remove("candidate")?;
            note_refused(txn, refused)?;
            Ok(Step::News)
        })
    }

    /// Goes back to the previous slot for good: the current one turned out to be damaged.
    pub(crate) fn drop_current(&self) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut slots = txn.open_table(SLOTS)?;
            let previous = slots.remove("previous")?.map(|row| owned(row.value()));
            match previous {
                Some((slot, _)) => {
                    slots.insert("current", (slot.manifest.as_slice(), slot.list.as_slice(), 0))?
                }
                None => slots.remove("current")?,
            };
            Ok(())
        })
    }
}

fn note_refused(txn: &WriteTransaction, refused: &Refused) -> Result<(), redb::Error> {
    let mut texts = txn.open_table(TEXTS)?;
    texts.insert("refused_digest", refused.digest.to_string().as_str())?;
    texts.insert("refused_reason", refused.reason.as_str())?;
    texts.insert("refused_by", judge().as_str())?;
    Ok(())
}

/// Who refuses: another release of the agent may know what this one does not, and is asked anew.
fn judge() -> String {
    format!("{} schema {SCHEMA}", env!("CARGO_PKG_VERSION"))
}

fn owned((manifest, list, attempts): (&[u8], &[u8], u32)) -> (Slot, u32) {
    (Slot { manifest: manifest.to_vec(), list: list.to_vec() }, attempts)
}

fn insert_fragments(txn: &WriteTransaction, fragments: &[(Digest, Arc<[u8]>)]) -> Result<(), redb::Error> {
    let mut table = txn.open_table(FRAGMENTS)?;
    for (id, bytes) in fragments {
        table.insert(id.as_bytes(), &**bytes)?;
    }
    Ok(())
}

fn forget_fetching(txn: &WriteTransaction) -> Result<(), redb::Error> {
    txn.open_table(SLOTS)?.remove("fetching")?;
    txn.open_table(PARTS)?.retain(|_, _| false)?;
    Ok(())
}

/// News if there was a candidate.
fn promote_candidate(txn: &WriteTransaction) -> Result<Step, redb::Error> {
    let mut slots = txn.open_table(SLOTS)?;
    let Some((candidate, _)) = slots.remove("candidate")?.map(|row| owned(row.value())) else {
        return Ok(Step::Repetition);
    };
    let current = slots.get("current")?.map(|row| owned(row.value()));
    if let Some((current, _)) = current {
        slots.insert("previous", (current.manifest.as_slice(), current.list.as_slice(), 0))?;
    }
    slots.insert("current", (candidate.manifest.as_slice(), candidate.list.as_slice(), 0))?;
    Ok(Step::News)
}

fn drop_unnamed_fragments(txn: &WriteTransaction) -> Result<(), redb::Error> {
    let mut named = BTreeSet::new();
    for row in txn.open_table(SLOTS)?.iter()? {
        named.append(&mut owned(row?.1.value()).0.fragment_ids());
    }
    txn.open_table(FRAGMENTS)?.retain(|id, _| Digest::from_slice(id).is_ok_and(|id| named.contains(&id)))?;
    Ok(())
}
