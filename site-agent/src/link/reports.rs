//! Reports out of the outbox, oldest first; forgotten once the core has them.

use std::sync::Arc;
use std::time::Duration;

use skerry_core::id::SiteId;
use skerry_proto::limits::MAX_REPORTS;
use skerry_proto::v1::ReportRequest;
use tokio::sync::watch;
use tracing::warn;

use super::backoff::Backoff;
use super::{CALL_DEADLINE, Client, End, Link};
use crate::clock::{share, wall_ms};
use crate::step::step;
use crate::store::Store;

/// Sends the reports of one connection.
pub(super) struct Reports {
    site: SiteId,
    boot: [u8; 16],
    store: Arc<Store>,
    added: watch::Receiver<u64>,
    client: Client,
}

impl Reports {
    /// Begins with a connection.
    pub(super) fn new(link: &Link, client: Client) -> Self {
        let (store, added) = (Arc::clone(&link.store), link.outbox.clone());
        Self { site: link.site.clone(), boot: link.boot, store, added, client }
    }

    /// Sends what waits, then what is added, for as long as the connection lives. A core that takes
    /// no reports is asked again later; that does not end the stream.
    pub(super) async fn run(mut self) -> End {
        let mut backoff = Backoff::default();
        loop {
            self.added.mark_unchanged();
            match self.send_all().await {
                Ok(()) => {
                    backoff.handle_success();
                    if self.added.changed().await.is_err() {
                        return End::Closed;
                    }
                }
                Err(end) => {
                    warn!("reports wait: {end:?}");
                    tokio::time::sleep(backoff.next_pause(share()).max(Duration::from_secs(1))).await;
                }
            }
        }
    }

    /// Sends until nothing waits.
    pub(super) async fn send_all(&mut self) -> Result<(), End> {
        while self.send_some().await? {}
        Ok(())
    }

    /// Sends one batch; false when there was none.
    async fn send_some(&mut self) -> Result<bool, End> {
        let kept = |error: crate::store::StoreError| End::Lost(error.to_string());
        let reports = self.store.oldest(MAX_REPORTS).map_err(kept)?;
        let Some(first) = reports.first().map(|report| report.seq) else { return Ok(false) };
        let request = ReportRequest {
            site: self.site.to_string(),
            boot: self.boot.to_vec(),
            reports,
            sent_at_ms: wall_ms(),
        };
        step("agent.spool.sending");
        let answer = tokio::time::timeout(CALL_DEADLINE, self.client.report(request)).await;
        let answer = answer.map_err(|_| End::Lost("the core did not take the reports in time".to_owned()))?;
        let acknowledged = answer?.into_inner().acknowledged;
        if acknowledged < first {
            return Err(End::Lost("the core did not keep the reports".to_owned()));
        }
        step("agent.spool.acknowledged");
        self.store.forget(acknowledged).map_err(kept)?;
        step("agent.spool.trimmed");
        Ok(true)
    }
}
