//! Starting: from what the store holds to the bundle that ran before, with no link.

use std::path::Path;
use std::sync::Arc;

use skerry_core::accept::Refusal;
use skerry_core::bundle::Bundle;
use skerry_core::bundle::v1::Manifest;
use skerry_core::id::Digest;
use skerry_core::verify::verify_after;
use skerry_proto::v1::site_event::Kind;
use tracing::{error, info, warn};

use super::identities::Identities;
use super::publish::Lowerings;
use super::{Held, Parts, Site};
use crate::fetch::{Fetch, Stock};
use crate::machine::Origin;
use crate::report::Reporter;
use crate::step::step;
use crate::store::{Refused, Saved, Slot, Store, StoreError};
use crate::workloads::Loaded;

/// How often an agent may end while it tries one candidate. The third time it is not by chance.
const MAX_ATTEMPTS: u32 = 3;

impl Site {
    /// Starts with what the store holds and the folder says, and publishes it.
    pub(crate) fn boot(parts: Parts, loaded: Loaded) -> Result<Self, StoreError> {
        let (saved, floors) = (parts.store.saved()?, parts.store.floors()?);
        let mut site = Self {
            id: parts.id,
            trusted: parts.time,
            vouchers: parts.vouchers,
            store: parts.store,
            clock: parts.clock,
            machine: parts.machine,
            returning: parts.returning,
            publisher: parts.publisher,
            out: parts.out,
            status_file: parts.status_file,
            envoy: parts.envoy,
            current: None,
            candidate: None,
            lowered: None,
            lowerings: Lowerings::new(),
            snapshots_due: None,
            fetch: None,
            next_offer: None,
            again: super::Again::default(),
            not_kept: None,
            refused: saved.refused.clone(),
            workloads: Vec::new(),
            workloads_are_partial: false,
            workload_problems: Vec::new(),
            unbound: crate::bind::Unbound::default(),
            identities: Identities::new(floors.trusted_ms, parts.identity_troubles),
            launchers: std::collections::BTreeMap::new(),
            vacant: std::collections::BTreeMap::new(),
            counts: skerry_xds::audit::Counts::default(),
            reporter: Reporter::new(crate::clock::share()),
            flush_due: None,
        };
        if let Some(aside) = parts.damaged {
            site.report_event(Kind::RolledBack, &Manifest::default(), &store_is_new(&aside));
        }
        site.enrol(parts.enrolment);
        site.go_on(saved, loaded)?;
        Ok(site)
    }

    /// Goes on where the agent before ended.
    fn go_on(&mut self, saved: Saved, loaded: Loaded) -> Result<(), StoreError> {
        self.current = self.load_current(&saved)?;
        self.fetch = self.load_fetch(&saved)?;
        self.publish_identity();
        self.handle_workloads(loaded);
        self.resume(saved)?;
        self.publish_identity();
        self.reporter.handle_change(self.clock.now());
        self.settle();
        Ok(())
    }

    /// Verifies the current slot; where it is damaged, the previous one.
    fn load_current(&mut self, saved: &Saved) -> Result<Option<Held>, StoreError> {
        let Some(slot) = &saved.current else { return Ok(None) };
        let reason = match hold(&self.store, slot, None)? {
            Ok(held) => {
                info!(generation = held.bundle.manifest.generation, "runs the last good bundle");
                return Ok(Some(held));
            }
            Err(refusal) => refusal,
        };
        error!("the last good bundle is damaged: {reason}");
        if let Err(error) = self.store.drop_current() {
            warn!("it stays in the store: {error}");
        }
        let previous = saved
            .previous
            .as_ref()
            .map(|slot| hold(&self.store, slot, None))
            .transpose()?
            .and_then(Result::ok);
        let manifest = previous.as_ref().map(|held| held.bundle.manifest.clone()).unwrap_or_default();
        self.report_event(
            Kind::RolledBack,
            &manifest,
            &format!("the bundle that ran is damaged in the store: {reason}"),
        );
        Ok(previous)
    }

    /// Goes on with what was being fetched; what it lacks is asked for when the core offers it again.
    fn load_fetch(&self, saved: &Saved) -> Result<Option<Fetch>, StoreError> {
        let Some(slot) = saved.fetching.clone() else { return Ok(None) };
        let part = self.store.part()?;
        let fetch = self.store.with_fragments(|known| Fetch::resume(slot, &Stock { known, part }))?;
        Ok(fetch.inspect_err(|error| warn!("what was being fetched is dropped: {error}")).ok())
    }

    /// Goes on with the candidate that was being tried when the agent ended.
    fn resume(&mut self, saved: Saved) -> Result<(), StoreError> {
        let Some(slot) = saved.candidate else { return Ok(()) };
        let attempts = match self.store.count_attempt() {
            Ok(attempts) => attempts,
            // An attempt that is not counted might be the last one of this agent, again and again.
            Err(error) => {
                warn!("the bundle that was being tried is left alone: {error}");
                return Ok(());
            }
        };
        let digest = slot.digest();
        let before = self.current.as_ref().map(|held| &*held.bundle);
        let reason = match hold(&self.store, &slot, before)? {
            Ok(held) if attempts < MAX_ATTEMPTS => {
                info!(
                    generation = held.bundle.manifest.generation,
                    attempts, "goes on with the bundle that was being tried"
                );
                step("agent.apply.resumed");
                self.candidate = Some(held);
                self.machine.handle_candidate(self.clock.now(), Origin::Resumed);
                return Ok(());
            }
            Ok(_) => format!("the agent ended {attempts} times while it tried it"),
            Err(refusal) => refusal.to_string(),
        };
        warn!("the bundle that was being tried is dropped: {reason}");
        self.forget_candidate(digest, reason);
        Ok(())
    }

    fn forget_candidate(&mut self, digest: Digest, reason: String) {
        let refused = Refused { digest, reason };
        if let Err(error) = self.store.drop_candidate(Some(&refused), Vec::new()) {
            warn!("it stays in the store: {error}");
        }
        self.report_event(Kind::RolledBack, &self.manifest(), &refused.reason);
        self.refused = Some(refused);
    }
}

/// What the core is told of a store that was damaged: above all, that the floor went with it.
fn store_is_new(damaged: &Path) -> String {
    format!(
        "the store was damaged and is kept as {}: the floor of generations is lost and begins anew with the next \
         bundle, reports that waited are lost; proxies go on with what they have",
        damaged.display()
    )
}

/// Verifies a slot, given what runs. A disk that cannot be read says nothing about the slot.
pub(super) fn hold(
    store: &Store,
    slot: &Slot,
    before: Option<&Bundle>,
) -> Result<Result<Held, Refusal>, StoreError> {
    let verified = store.with_fragments(|find| verify_after(before, &slot.manifest, &slot.list, find))?;
    Ok(verified.map(|bundle| Held { slot: slot.clone(), bundle: Arc::new(bundle) }))
}
