//! What an agent starts over for: something is there that was not when it was built.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::enrolment::{Enrolment, Found};
use crate::layout::Layout;
use crate::store::Store;

/// How often a disk that takes nothing is tried: a file of 64 KiB, written and removed.
const DISK_EVERY: Duration = Duration::from_secs(10);

/// Ends this agent when the disk can be written that could not be when it was built: the next one keeps what it does.
pub(super) async fn await_disk(store: Arc<Store>, life: CancellationToken) -> anyhow::Result<()> {
    while store.is_volatile() && life.run_until_cancelled(tokio::time::sleep(DISK_EVERY)).await.is_some() {
        let tried = Arc::clone(&store);
        if tokio::task::spawn_blocking(move || tried.takes_writes()).await? {
            info!("the disk can be written again");
            life.cancel();
        }
    }
    life.cancelled().await;
    Ok(())
}

/// How often it is looked whether a site is enrolled again whose identity is lost: somebody waits before the box.
const IDENTITY_EVERY: Duration = Duration::from_secs(5);

/// Ends this agent when the identity is there that was `lost` from its data folder when it was built: the next one has it.
pub(super) async fn await_identity(lost: Option<Layout>, life: CancellationToken) -> anyhow::Result<()> {
    if let Some(layout) = lost {
        while life.run_until_cancelled(tokio::time::sleep(IDENTITY_EVERY)).await.is_some() {
            if !matches!(Enrolment::find(&layout), Found::Nothing(_)) {
                info!("the site has an identity again");
                life.cancel();
            }
        }
    }
    life.cancelled().await;
    Ok(())
}
