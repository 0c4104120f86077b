//! The one writer of reports: many requests become one write to the disk.
//!
//! A site's reports are acknowledged when they are on disk and not before. Must not look into them.

use std::sync::Arc;
use std::time::Instant;

use prost::Message;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::source::status::{Keeper, SourceBoard};
use crate::step::step;
use crate::store::{ReportBatch, StateStore, StoreError};
use pacing::Pacing;

/// How many requests may wait: one of each of 10,000 sites that all come back at once.
const QUEUE: usize = 10_240;

/// How many bytes of reports may wait, as they are on the wire: 32 MiB, some 64 MiB in memory. 10,000 sites with a
/// report of 500 B each are 5 MB; a request may have 3.75 MiB. One that finds no room is sent away: its site
/// keeps it and comes again.
const QUEUE_BYTES: usize = 32 << 20;

/// How many requests are one write at most: so many rows are written in some 10 ms, and the next ones wait no
/// longer than that.
const BATCH: usize = 1_024;

#[derive(Debug)]
struct Request {
    batch: ReportBatch,
    reply: oneshot::Sender<Result<u64, StoreError>>,
    /// Gives the room back when the request is written.
    #[expect(dead_code, reason = "held for its drop")]
    room: OwnedSemaphorePermit,
}

/// Why reports were not kept. Their site has them still.
#[derive(Debug)]
pub enum NotKept {
    /// Too many wait already.
    Full,
    /// The core stops.
    Stopping,
    /// The store cannot be written: nothing of it is kept.
    Store(StoreError),
}

/// How requests reach the writer.
#[derive(Debug, Clone)]
pub struct ReportSender {
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
}

/// The writer's end.
#[derive(Debug)]
pub struct ReportQueue(mpsc::Receiver<Request>);

/// Makes both ends.
pub fn channel() -> (ReportSender, ReportQueue) {
    let (requests, receive) = mpsc::channel(QUEUE);
    (ReportSender { requests, room: Arc::new(Semaphore::new(QUEUE_BYTES)) }, ReportQueue(receive))
}

impl ReportSender {
    /// Keeps reports; returns the highest number that is kept of the site.
    ///
    /// # Errors
    /// See [`NotKept`].
    pub async fn keep(&self, batch: ReportBatch) -> Result<u64, NotKept> {
        self.enqueue(batch)?.await.map_err(|_| NotKept::Stopping)?.map_err(NotKept::Store)
    }

    /// Puts reports into the queue if there is room; the answer comes when they are on disk.
    fn enqueue(&self, batch: ReportBatch) -> Result<oneshot::Receiver<Result<u64, StoreError>>, NotKept> {
        let bytes: usize = batch.reports.iter().map(Message::encoded_len).sum();
        let bytes = u32::try_from(bytes.min(QUEUE_BYTES)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| NotKept::Full)?;
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(Request { batch, reply, room }).map_err(|error| match error {
            TrySendError::Full(_) => NotKept::Full,
            TrySendError::Closed(_) => NotKept::Stopping,
        })?;
        Ok(answer)
    }
}

/// Writes what comes until it is told to stop.
pub fn run(store: &impl StateStore, board: &SourceBoard, mut queue: ReportQueue, cancel: &CancellationToken) {
    let (runtime, mut pacing) = (Handle::current(), Pacing::default());
    loop {
        let mut requests = Vec::new();
        let received = runtime.block_on(cancel.run_until_cancelled(queue.0.recv_many(&mut requests, BATCH)));
        if received.unwrap_or_default() == 0 {
            return;
        }
        let until = pacing.gathers_until(Instant::now());
        runtime.block_on(cancel.run_until_cancelled(gather(&mut queue, &mut requests, until)));
        pacing.handle_commit(Instant::now());
        write(store, board, requests);
    }
}

/// Takes what comes until a point in time, or until there is enough for one write.
async fn gather(queue: &mut ReportQueue, requests: &mut Vec<Request>, until: Instant) {
    let more = async {
        while requests.len() < BATCH {
            let room = BATCH - requests.len();
            if queue.0.recv_many(requests, room).await == 0 {
                return;
            }
        }
    };
    // Most often it is over: then what waits is taken, and no more.
    let _ = tokio::time::timeout_at(until.into(), more).await;
}

fn write(store: &impl StateStore, board: &SourceBoard, requests: Vec<Request>) {
    let batches: Vec<ReportBatch> = requests.iter().map(|request| request.batch.clone()).collect();
    let kept: Vec<Result<u64, StoreError>> = match store.keep_reports(batches) {
        Ok(acknowledged) => acknowledged.into_iter().map(Ok).collect(),
        // One site's damaged row must not stop the others.
        Err(error) => {
            error!(%error, help = error.help(), "cannot keep reports");
            requests.iter().map(|request| keep_one(store, request.batch.clone())).collect()
        }
    };
    let is_full = |kept: &Result<u64, StoreError>| matches!(kept, Err(StoreError::Failed(_)));
    let failure = kept.iter().find(|kept| is_full(kept)).and_then(|kept| kept.as_ref().err());
    board.set_store_error(Keeper::Reports, failure);
    for (request, kept) in requests.into_iter().zip(kept) {
        // The site may have hung up.
        request.reply.send(kept).ok();
    }
    step("core.report.answered");
}

fn keep_one(store: &impl StateStore, batch: ReportBatch) -> Result<u64, StoreError> {
    let acknowledged = store.keep_reports(vec![batch])?;
    Ok(acknowledged.first().copied().unwrap_or_default())
}

mod pacing;

#[cfg(test)]
mod tests;
