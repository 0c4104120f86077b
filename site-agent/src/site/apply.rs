//! Carrying out what the apply machine decides.

use std::sync::Arc;
use std::time::Duration;

use skerry_core::accept::Floor;
use skerry_core::bundle::Bundle;
use skerry_proto::v1::site_event::Kind;
use tracing::{debug, error, info, warn};

use super::Site;
use super::publish::Rewrite;
use crate::clock::{Stamp, share};
use crate::launcher::{LauncherState, Process};
use crate::machine::{Cause, Command, Which};
use crate::report;
use crate::step::step;
use crate::store::{Floors, Refused, StoreError};

/// How long a snapshot may be behind what runs. One costs as much as the rest of an apply, and bundles
/// often come several in a row.
const SNAPSHOT_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait before a snapshot is tried again that the disk did not take.
const DISK_PAUSE: Duration = Duration::from_secs(10);

/// When a bundle is tried once more that a proxy said nothing about: by then a hung proxy was found, or is left aside.
const SILENCE_PAUSE: Duration = Duration::from_secs(60);

impl Site {
    /// Executes every command that waits.
    pub(super) fn execute(&mut self) {
        while let Some(command) = self.machine.poll_command() {
            let outcome = match &command {
                Command::Publish(which) => {
                    let held = match which {
                        Which::Candidate => &self.candidate,
                        Which::Current => &self.current,
                    };
                    let bundle = held.as_ref().map(|held| Arc::clone(&held.bundle));
                    self.publish(bundle.as_deref());
                    if *which == Which::Candidate {
                        step("agent.apply.pushed");
                    }
                    continue;
                }
                Command::Commit => self.commit(),
                Command::Rollback(cause) => self.roll_back(cause),
            };
            match outcome {
                Ok(()) => self.machine.handle_kept(),
                Err(error) => {
                    error!("the store does not keep what was decided, tries again: {error}");
                    self.report_not_kept(&error);
                    self.machine.handle_not_kept(self.clock.now(), command);
                }
            }
        }
    }

    /// The proxies have been told, and the disk does not keep that: says so, once for each bundle.
    fn report_not_kept(&mut self, error: &StoreError) {
        let Some(bundle) = self.candidate.as_ref().map(|held| Arc::clone(&held.bundle)) else { return };
        if self.not_kept.replace(bundle.digest) != Some(bundle.digest) {
            let words =
                format!("what became of it cannot be kept: {error}; that is tried again until it can");
            self.report_event(Kind::BundleRefused, &bundle.manifest, &words);
        }
    }

    /// Hands a bundle's resources to all proxies.
    pub(super) fn publish(&mut self, bundle: Option<&Bundle>) {
        let lowered = self.lowered.take().or_else(|| bundle.map(|bundle| self.lower(bundle)));
        // Who runs the proxies is said by what runs, not by what is tried.
        let settings = self.current.as_ref().map(|held| &held.bundle.settings);
        let hashes = self.publisher.publish(lowered.unwrap_or_default(), settings);
        self.machine.handle_published(&hashes);
        debug!(proxies = hashes.len(), "published");
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let Some(held) = &self.candidate else { return Ok(()) };
        step("agent.apply.acked");
        let manifest = &held.bundle.manifest;
        let floor =
            Floor { epoch: manifest.epoch, generation: manifest.generation, manifest: held.bundle.digest };
        let floors = Floors { floor: Some(floor), trusted_ms: self.trusted.now_ms() };
        // Kept and sent together: what came of the offer, and how the site is now.
        let event = report::of_event(Kind::Applied, manifest, "", Stamp::now());
        let state = report::bound(self.state(Some(held)));
        self.store.commit(&floors, vec![event, report::of_state(state.clone(), Stamp::now())])?;
        step("agent.apply.committed");
        info!(generation = manifest.generation, revision = manifest.revision, "runs the new bundle");
        self.current = self.candidate.take();
        self.publisher.announce(self.current.as_ref().map(|held| &held.bundle.settings));
        self.note_reported(state);
        self.again.handle_current();
        self.answer(floor.manifest, "");
        step("agent.apply.answered");
        self.publish_identity();
        self.snapshots_change();
        self.wake_reports();
        Ok(())
    }

    /// What is published runs: the snapshots follow, some time later if there are older ones. A proxy that
    /// starts without the agent meanwhile starts with the bundle before.
    pub(super) fn snapshots_change(&mut self) {
        self.snapshots_due.get_or_insert(self.clock.now() + SNAPSHOT_PAUSE);
        if !self.publisher.has_snapshots() {
            self.write_snapshots();
        }
    }

    /// Writes what is due, unless a bundle is published that is only tried: then its commit or rollback
    /// sees to it. Where Envoys run, one of them has to have taken it: what none of them takes must not become what
    /// they start from. A proxy that has no snapshot at all gets one whatever.
    pub(super) fn write_snapshots(&mut self) {
        if self.snapshots_due.is_some() && self.candidate.is_none() {
            self.snapshots_due = None;
            if self.publisher.has_unserved() {
                self.lower_again();
            }
            let rewrite = if self.is_taken() { Rewrite::All } else { Rewrite::Missing };
            if self.publisher.write_snapshots(rewrite) && !self.publisher.has_unserved() {
                self.snapshots_due = None;
            } else {
                // The disk: what could not be written is tried again, however long that takes.
                let pause = DISK_PAUSE.mul_f64(1.0 + share() / 5.0);
                self.snapshots_due = Some(self.clock.now() + pause);
            }
            step("agent.apply.snapshot-written");
        }
    }

    /// Says whether a proxy has taken all that is published, or there is none that could.
    fn is_taken(&self) -> bool {
        let runs = |state: &LauncherState| state.processes.iter().any(Process::is_alive);
        let proxies = self.machine.proxies();
        proxies.any_is_ready() || !(proxies.any_is_connected() || self.launchers.values().any(runs))
    }

    /// A proxy has said that it has taken something: snapshots that wait for that are due.
    pub(super) fn note_taken(&mut self) {
        if self.publisher.has_untaken() && self.is_taken() {
            self.snapshots_change();
        }
    }

    fn roll_back(&mut self, cause: &Cause) -> Result<(), StoreError> {
        let again = format!("; it is tried once more in {} s", SILENCE_PAUSE.as_secs());
        let (reason, is_final) = match cause {
            Cause::Refused(words) => (words.clone(), true),
            Cause::Silent(words) => (words.clone() + &again, false),
        };
        let reason = reason.as_str();
        let Some(held) = &self.candidate else { return Ok(()) };
        step("agent.apply.condemned");
        let refused = Refused { digest: held.bundle.digest, reason: reason.to_owned() };
        let event = report::of_event(Kind::RolledBack, &held.bundle.manifest, reason, Stamp::now());
        let state = report::bound(self.state(self.current.as_ref()));
        let state_report = report::of_state(state.clone(), Stamp::now());
        self.store.drop_candidate(is_final.then_some(&refused), vec![event, state_report])?;
        step("agent.apply.rolled-back");
        warn!(generation = held.bundle.manifest.generation, "goes back to the bundle before: {reason}");
        self.candidate = None;
        self.note_reported(state);
        self.answer(refused.digest, reason);
        if is_final {
            self.refused = Some(refused);
        } else {
            self.again.ask_at(self.clock.now() + SILENCE_PAUSE.mul_f64(1.0 + share() / 5.0));
        }
        self.publish_identity();
        self.wake_reports();
        Ok(())
    }
}
