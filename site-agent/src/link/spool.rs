//! The outbox on a stream: one batch is under way at a time, and forgotten once the core has it.
//!
//! Decides what is sent and when again; time and chance are arguments. Must not know of the stream.

use std::sync::Arc;
use std::time::Duration;

use skerry_proto::codec::reports::Context;
use skerry_proto::v1::Reports;
use tokio::time::Instant;
use tracing::warn;

use super::backoff::Backoff;
use super::batch::{Batch, Refused, is_about_reports};
use crate::clock::Stamp;
use crate::report::dated;
use crate::step::step;
use crate::store::{Store, StoreError};

/// How long the core may take to keep a batch; then it is sent again. Behind chunks of fragments on a thin link an
/// answer takes a while, and a batch that comes twice counts once.
const ANSWER: Duration = Duration::from_secs(30);

/// Reports on one stream.
pub(super) struct Spool {
    store: Arc<Store>,
    context: Context,
    backoff: Backoff,
    /// How many reports a batch may have.
    batch: Batch,
    /// How many the last one had.
    sent: usize,
    /// The last number of the batch that is under way.
    under_way: Option<u64>,
    /// When to send again: what is under way, or what the core did not keep.
    again: Option<Instant>,
}

impl Spool {
    /// Begins with a stream, with batches as long as those of the one before.
    pub(super) fn new(store: Arc<Store>, batch: Batch) -> Self {
        let (context, backoff) = (Context::default(), Backoff::default());
        Self { store, context, backoff, batch, sent: 0, under_way: None, again: None }
    }

    /// How long batches may be on the next stream.
    pub(super) fn batch(&self) -> Batch {
        self.batch
    }

    /// The core ended the stream. If it did so for the batch that is under way, finds the report in it that breaks a
    /// rule, stream by stream, and gives that one up: it would end every stream.
    pub(super) async fn handle_refusal(&mut self, status: &tonic::Status) {
        if self.under_way.is_none_or(|last| last == u64::MAX) {
            return;
        }
        if self.batch.handle_refusal(is_about_reports(status), self.sent) == Refused::Report {
            let (store, reason) = (Arc::clone(&self.store), status.message().to_owned());
            // It may wait for another writer, and for the disk.
            let given_up = tokio::task::spawn_blocking(move || store.give_up_oldest(&reason)).await;
            if let Ok(Err(error)) = given_up {
                warn!("a report that the core refuses is not given up: {error}");
            }
        }
    }

    /// Returns when `handle_timeout` is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }

    /// What was under way is due again.
    pub(super) fn handle_timeout(&mut self) {
        (self.under_way, self.again) = (None, None);
    }

    /// The core has kept reports.
    pub(super) async fn handle_acknowledged(&mut self, seq: u64) -> Result<(), StoreError> {
        step("agent.spool.acknowledged");
        if self.under_way.is_some_and(|last| last <= seq) {
            (self.under_way, self.again) = (None, None);
            self.backoff.handle_success();
            self.batch.handle_kept();
        }
        // It may wait for another writer, and for the disk.
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || store.forget(seq)).await.unwrap_or(Ok(()))?;
        step("agent.spool.trimmed");
        Ok(())
    }

    /// The core could not keep reports.
    pub(super) fn handle_not_kept(&mut self, seconds: u32, now: Instant, share: f64) {
        let pause = self.backoff.spread(Duration::from_secs(seconds.into()), share);
        warn!(pause_ms = pause.as_millis(), "the core cannot keep reports now; they wait");
        // Nothing is sent before that.
        (self.under_way, self.again) = (Some(u64::MAX), Some(now + pause));
    }

    /// Returns the next batch, packed, if there is one and none is under way; `manifest` is what the message that it
    /// rides on says to run.
    pub(super) async fn poll_packed(
        &mut self,
        manifest: Option<&[u8]>,
        now: Instant,
        at: Stamp,
        share: f64,
    ) -> Option<Vec<u8>> {
        if self.under_way.is_some() {
            return None;
        }
        // A store that cannot be read is said elsewhere. It may have to be opened anew, which reads all of it.
        let (store, size) = (Arc::clone(&self.store), self.batch.size());
        let reports = tokio::task::spawn_blocking(move || store.oldest(size)).await.ok()?.ok()?;
        self.sent = reports.len();
        let last = reports.last()?.seq;
        step("agent.spool.sending");
        let reports = reports.into_iter().map(|report| dated(report, at)).collect();
        let packed = self.context.pack(&Reports { sent_at_ms: at.wall_ms, reports }, manifest).ok()?;
        self.under_way = Some(last);
        self.again = Some(now + ANSWER + self.backoff.next_pause(share));
        Some(packed)
    }
}
