//! The outbox in calls, for links that are up for seconds: oldest first, forgotten once the core has them.

use std::sync::Arc;

use skerry_core::id::SiteId;
use skerry_proto::limits::BOOT_BYTES;
use skerry_proto::v1::ReportRequest;

use super::batch::{Batch, Refused, is_about_reports};
use super::{CALL_DEADLINE, Client, End, Link};
use crate::clock::Stamp;
use crate::report::dated;
use crate::step::step;
use crate::store::{Store, StoreError};

/// Sends the reports of one connection.
pub(super) struct Reports {
    site: SiteId,
    boot: [u8; BOOT_BYTES],
    store: Arc<Store>,
    client: Client,
    batch: Batch,
}

impl Reports {
    /// Begins with a connection.
    pub(super) fn new(link: &Link, client: Client) -> Self {
        let store = Arc::clone(&link.store);
        Self { site: link.site.clone(), boot: link.boot, store, client, batch: Batch::default() }
    }

    /// Sends until nothing waits.
    pub(super) async fn send_all(&mut self) -> Result<(), End> {
        while self.send_some().await? {}
        Ok(())
    }

    /// Sends one batch; false when there was none.
    async fn send_some(&mut self) -> Result<bool, End> {
        let size = self.batch.size();
        let reports = self.with_store(move |store| store.oldest(size)).await?;
        let Some(first) = reports.first().map(|report| report.seq) else { return Ok(false) };
        let (sent, now) = (reports.len(), Stamp::now());
        let request = ReportRequest {
            site: self.site.to_string(),
            boot: self.boot.to_vec(),
            reports: reports.into_iter().map(|report| dated(report, now)).collect(),
            sent_at_ms: now.wall_ms,
        };
        step("agent.spool.sending");
        let answer = tokio::time::timeout(CALL_DEADLINE, self.client.report(request)).await;
        let answer = answer.map_err(|_| End::Lost("the core did not take the reports in time".to_owned()))?;
        let acknowledged = match answer {
            Ok(answer) => answer.into_inner().acknowledged,
            Err(status) => return self.handle_refusal(sent, status).await,
        };
        self.batch.handle_kept();
        if acknowledged < first {
            return Err(End::Lost("the core did not keep the reports".to_owned()));
        }
        step("agent.spool.acknowledged");
        self.with_store(move |store| store.forget(acknowledged)).await?;
        step("agent.spool.trimmed");
        Ok(true)
    }

    /// Nothing was kept: finds the report that breaks a rule, if that is why, so that it does not keep back the others.
    async fn handle_refusal(&mut self, sent: usize, status: tonic::Status) -> Result<bool, End> {
        match self.batch.handle_refusal(is_about_reports(&status), sent) {
            Refused::Again => Ok(true),
            Refused::Whole => Err(status.into()),
            Refused::Report => {
                let reason = status.message().to_owned();
                self.with_store(move |store| store.give_up_oldest(&reason)).await?;
                // And not at once the next one: what is refused for another reason than itself is not lost in a moment.
                Err(status.into())
            }
        }
    }

    /// Uses the store on a thread for that: it may wait for another writer and for the disk, and others have this one.
    async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, End> {
        let store = Arc::clone(&self.store);
        let worked = tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| End::Closed)?;
        worked.map_err(|error| End::Lost(error.to_string()))
    }
}
