//! Acceptance: whether a site may run a manifest. One pure function; the order of its checks is the
//! order of the design (section 6). The signature check goes in front of it.

use std::collections::BTreeSet;

use prost::Message as _;
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, FragmentKey, MAX_MANIFEST_BYTES, SCHEMA, v1};
use crate::id::{Digest, NamespacedName, SiteId, Timestamp};
use crate::policy::mesh::DEFAULT_MAX_REMOVAL_PERCENT;
use crate::removal::Removal;

/// How many services a refusal names.
const NAMES: usize = 5;

/// How far ahead of the time an epoch may lie, in seconds: 20 years. Epochs are times at which stores began, by clocks that may
/// have been ten years off.
const EPOCH_LEAD: u64 = 20 * 366 * 86_400;

/// The beginning of 2026, in seconds: it is never earlier than that, whatever a clock shows that nobody has set yet.
const NOT_BEFORE: u64 = 1_767_225_600;

/// Returns the highest epoch that can be at a time. One manifest, or one site, must not be able to use up all numbers.
pub fn farthest_epoch(now: Timestamp) -> u64 {
    (now.0 / 1000).max(NOT_BEFORE).saturating_add(EPOCH_LEAD)
}

/// What a site has run at last: it never moves below. Kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The epoch of the manifest.
    pub epoch: u64,
    /// Its generation.
    pub generation: u64,
    /// Its digest.
    pub manifest: Digest,
}

/// What a manifest is held against.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The site that asks.
    pub site: &'a SiteId,
    /// What it has run at last.
    pub floor: Option<Floor>,
    /// Trusted time.
    pub now: Timestamp,
}

/// A manifest that a site may run, as far as the manifest itself tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The manifest.
    pub manifest: v1::Manifest,
    /// BLAKE3 of its bytes.
    pub digest: Digest,
}

/// What came of an offer.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The site runs it already.
    Same,
    /// It is newer than what the site runs.
    Newer(Accepted),
}

/// Why a manifest, or the bundle behind it, is refused. The text goes into the site's report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not a manifest.
    #[error("the manifest cannot be read: {0}")]
    Malformed(String),
    /// It is for another site.
    #[error("the manifest is for site `{named}`, and this is `{own}`")]
    OtherSite {
        /// The site that it names.
        named: String,
        /// The site that was asked.
        own: String,
    },
    /// It is older than what runs.
    #[error(
        "epoch {epoch} generation {generation} is below what this site has run ({floor_epoch}/{floor_generation})"
    )]
    Rollback {
        /// Its epoch.
        epoch: u64,
        /// Its generation.
        generation: u64,
        /// The floor's epoch.
        floor_epoch: u64,
        /// The floor's generation.
        floor_generation: u64,
    },
    /// Nothing could follow it: no core began then.
    #[error("epoch {0} lies more than 20 years ahead: no core of this fleet can have begun then")]
    FarEpoch(u64),
    /// It has the generation of what runs, and another content.
    #[error("generation {0} was issued twice with different content: two cores, or a restored store")]
    Equivocation(u64),
    /// It needs a newer agent.
    #[error("the bundle has schema {0}, and this agent knows {SCHEMA}: upgrade the agent")]
    UnknownSchema(u32),
    /// It came too late.
    #[error("the manifest was to be accepted before {}", Timestamp(*.0))]
    Expired(u64),
    /// It takes more from the site than may go undeclared.
    #[error(
        "{gone} of {of} services would go, {declared} of them on purpose, and this site lets {percent} % go undeclared; \
         if it is meant, run `skerry source confirm` with the revision ({names})"
    )]
    MassRemoval {
        /// How many services go.
        gone: usize,
        /// How many there are.
        of: usize,
        /// How many of them are declared.
        declared: usize,
        /// The limit that is in force here.
        percent: u8,
        /// The first of them.
        names: String,
    },
    /// The fragment list is not the one that the manifest names.
    #[error("the fragment list does not match the manifest")]
    WrongList,
    /// A fragment is missing, altered, or not what its key says.
    #[error("fragment `{key}`: {reason}")]
    BadFragment {
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The bundle contradicts itself.
    #[error("the bundle is not consistent: {0}")]
    Inconsistent(String),
}

/// Decides on a manifest.
pub fn accept(manifest: &[u8], terms: &Terms<'_>) -> Result<Verdict, Refusal> {
    if manifest.len() > MAX_MANIFEST_BYTES {
        return Err(Refusal::Malformed(format!(
            "{} bytes are over the limit of {MAX_MANIFEST_BYTES}",
            manifest.len()
        )));
    }
    let digest = Digest::of(manifest);
    let manifest = v1::Manifest::decode(manifest).map_err(|error| Refusal::Malformed(error.to_string()))?;
    if manifest.site != terms.site.as_str() {
        return Err(Refusal::OtherSite { named: manifest.site, own: terms.site.to_string() });
    }
    if let Some(floor) = terms.floor {
        if floor.manifest == digest {
            return Ok(Verdict::Same);
        }
        check_floor(&manifest, floor)?;
    }
    if manifest.epoch > farthest_epoch(terms.now) {
        return Err(Refusal::FarEpoch(manifest.epoch));
    }
    if manifest.schema == 0 || manifest.schema > SCHEMA {
        return Err(Refusal::UnknownSchema(manifest.schema));
    }
    if manifest.accept_until_ms > 0 && terms.now.0 > manifest.accept_until_ms {
        return Err(Refusal::Expired(manifest.accept_until_ms));
    }
    Ok(Verdict::Newer(Accepted { manifest, digest }))
}

/// Refuses a list that takes services from a site undeclared: all of them, or more than the share that is in force
/// there ([`Removal::is_mass`]). What a core has not removed by name or upon a confirmation it may have lost: its store,
/// its source, or the rule by which it read a document (invariant 6). Another epoch's count starts at nothing.
pub fn check_removals(
    current: &Bundle,
    manifest: &v1::Manifest,
    list: &v1::FragmentList,
) -> Result<(), Refusal> {
    let kept: BTreeSet<&str> = list.fragments.iter().map(|entry| entry.key.as_str()).collect();
    let key = |name: &&NamespacedName| FragmentKey::Service((*name).clone()).to_string();
    let gone: Vec<&NamespacedName> =
        current.services.keys().filter(|name| !kept.contains(key(name).as_str())).collect();
    let base = if current.manifest.epoch == manifest.epoch { current.manifest.removals } else { 0 };
    let declared = usize::try_from(manifest.removals.saturating_sub(base)).unwrap_or(usize::MAX);
    let removal = Removal { gone: gone.len(), of: current.services.len() };
    let percent = match u8::try_from(current.settings.max_removal_percent) {
        Ok(percent @ 1..=100) => percent,
        _ => DEFAULT_MAX_REMOVAL_PERCENT,
    };
    let is_too_much = removal.is_mass(percent) || removal.gone == removal.of;
    if removal.gone <= declared || !is_too_much {
        return Ok(());
    }
    let names: Vec<String> = gone.iter().take(NAMES).map(ToString::to_string).collect();
    let more = if gone.len() > NAMES { ", …" } else { "" };
    let Removal { gone, of } = removal;
    Err(Refusal::MassRemoval { gone, of, declared, percent, names: names.join(", ") + more })
}

fn check_floor(manifest: &v1::Manifest, floor: Floor) -> Result<(), Refusal> {
    let own = (manifest.epoch, manifest.generation);
    match own.cmp(&(floor.epoch, floor.generation)) {
        std::cmp::Ordering::Greater => Ok(()),
        std::cmp::Ordering::Equal => Err(Refusal::Equivocation(manifest.generation)),
        std::cmp::Ordering::Less => Err(Refusal::Rollback {
            epoch: manifest.epoch,
            generation: manifest.generation,
            floor_epoch: floor.epoch,
            floor_generation: floor.generation,
        }),
    }
}
