//! The one writer of reports: many requests become one write to the disk.
//!
//! A site's reports are acknowledged when they are on disk and not before. Must not look into them.

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::step::step;
use crate::store::{ReportBatch, StateStore, StoreError};

/// How many requests may wait. 256 × 64 reports of a few hundred bytes are some MiB; a request that
/// finds no room waits, and its site with it.
const QUEUE: usize = 256;

#[derive(Debug)]
struct Request {
    batch: ReportBatch,
    reply: oneshot::Sender<Result<u64, StoreError>>,
}

/// How requests reach the writer.
#[derive(Debug, Clone)]
pub struct ReportSender(mpsc::Sender<Request>);

/// The writer's end.
#[derive(Debug)]
pub struct ReportQueue(mpsc::Receiver<Request>);

/// Makes both ends.
pub fn channel() -> (ReportSender, ReportQueue) {
    let (send, receive) = mpsc::channel(QUEUE);
    (ReportSender(send), ReportQueue(receive))
}

impl ReportSender {
    /// Keeps reports; returns the highest number that is kept of the site, `None` when the core stops.
    ///
    /// # Errors
    /// The store cannot be written: nothing of it is kept.
    pub async fn keep(&self, batch: ReportBatch) -> Option<Result<u64, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Request { batch, reply }).await.ok()?;
        answer.await.ok()
    }
}

/// Writes what comes until it is told to stop.
pub fn run(store: &impl StateStore, mut queue: ReportQueue, cancel: &CancellationToken) {
    let runtime = Handle::current();
    loop {
        let mut requests = Vec::new();
        let received = runtime.block_on(cancel.run_until_cancelled(queue.0.recv_many(&mut requests, QUEUE)));
        if received.unwrap_or_default() == 0 {
            return;
        }
        write(store, requests);
    }
}

fn write(store: &impl StateStore, requests: Vec<Request>) {
    let (batches, replies): (Vec<_>, Vec<_>) =
        requests.into_iter().map(|request| (request.batch, request.reply)).unzip();
    let kept: Vec<Result<u64, StoreError>> = match store.keep_reports(batches.clone()) {
        Ok(acknowledged) => acknowledged.into_iter().map(Ok).collect(),
        // One site's damaged row must not stop the others.
        Err(error) => {
            error!(%error, help = error.help(), "cannot keep reports");
            batches.into_iter().map(|batch| keep_one(store, batch)).collect()
        }
    };
    for (reply, kept) in replies.into_iter().zip(kept) {
        // The site may have hung up.
        reply.send(kept).ok();
    }
    step("core.report.answered");
}

fn keep_one(store: &impl StateStore, batch: ReportBatch) -> Result<u64, StoreError> {
    let acknowledged = store.keep_reports(vec![batch])?;
    Ok(acknowledged.first().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
