//! Reports on their way to the writer: looked over here, kept there.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use skerry_core::id::{SiteId, Timestamp};
use skerry_proto::codec::reports::Context;
use skerry_proto::limits::BOOT_BYTES;
use skerry_proto::v1::{ReportRequest, Reports};

use super::Core;
use super::failure::Failure;
use crate::publish::Lookup;
use crate::report::{self, Arrival};
use crate::store::{ReportBatch, StateStore};
use crate::writer::NotKept;

/// When reports may come again that found no room: seconds. The queue of a whole fleet is written in one.
const FULL_RETRY: u32 = 2;

/// When reports may come again that the disk did not take: seconds. Somebody has to see to it.
const STORE_RETRY: u32 = 15;

impl<S: StateStore> Core<S> {
    /// Takes what keeps to the rules; reports of a site that nobody knows are not kept.
    pub(super) fn to_batch(&self, request: ReportRequest) -> Result<ReportBatch, Failure> {
        let site = SiteId::new(request.site)?;
        if request.boot.len() != BOOT_BYTES {
            return Err(Failure::Invalid(format!(
                "`boot` has {} bytes, not {BOOT_BYTES}",
                request.boot.len()
            )));
        }
        match self.published.lookup(&site) {
            Lookup::Unknown => return Err(Failure::UnknownSite(site.to_string())),
            Lookup::Starting(None) => return Err(Failure::Starting),
            Lookup::Starting(Some(_)) | Lookup::Known(_) => {}
        }
        let arrival = Arrival { received_at: self.clock.now(), sent_at: Timestamp(request.sent_at_ms) };
        Ok(ReportBatch { site, boot: request.boot, reports: report::admit(request.reports), arrival })
    }
}

/// What became of reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Those up to this one are kept; 0: none is newly.
    pub(super) acknowledged: u64,
    /// They are to come again after so many seconds; 0: they need not.
    pub(super) retry_seconds: u32,
}

/// The reports of one stream: one batch is kept after the other.
pub(super) struct Intake {
    boot: Vec<u8>,
    context: Context,
    keeping: Option<BoxFuture<'static, Result<u64, NotKept>>>,
}

impl Intake {
    /// Begins with the stream of this run of an agent.
    pub(super) fn new(boot: Vec<u8>) -> Self {
        Self { boot, context: Context::default(), keeping: None }
    }

    /// Takes a packed batch; `manifest` is what the same message says to run. One that comes while another is being
    /// kept is passed over: its site sends it again.
    pub(super) fn take<S: StateStore>(
        &mut self,
        core: &Arc<Core<S>>,
        site: &SiteId,
        packed: &[u8],
        manifest: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let Reports { sent_at_ms, reports } = self.context.unpack(packed, manifest)?;
        if self.keeping.is_some() {
            return Ok(());
        }
        let boot = self.boot.clone();
        let batch = core.to_batch(ReportRequest { site: site.to_string(), boot, reports, sent_at_ms })?;
        let sender = core.reports.clone();
        self.keeping = Some(async move { sender.keep(batch).await }.boxed());
        Ok(())
    }

    /// Waits for what becomes of the batch that is being kept; for ever if none is.
    pub(super) async fn news(&mut self) -> News {
        let Some(keeping) = &mut self.keeping else { return std::future::pending().await };
        let kept = keeping.await;
        self.keeping = None;
        match kept {
            Ok(acknowledged) => News { acknowledged, retry_seconds: 0 },
            Err(NotKept::Full) => News { acknowledged: 0, retry_seconds: FULL_RETRY },
            Err(NotKept::Store(_) | NotKept::Stopping) => {
                News { acknowledged: 0, retry_seconds: STORE_RETRY }
            }
        }
    }
}
