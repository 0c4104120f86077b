//! Looks now and then at when sites were last heard from: ends the streams of those that are silent for too long,
//! and stores the rest, all of them in one write.
//!
//! What a crash loses is at most one interval, and what is shown then is older than the truth, never newer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::presence::Presence;
use crate::store::StateStore;

/// How often: 10,000 sites that all said something are one write of 0.5 MB.
const INTERVAL: Duration = Duration::from_secs(60);

/// Stores what was seen until it is told to stop, and once more then.
pub async fn run<S: StateStore>(
    presence: Arc<Presence>,
    store: Arc<S>,
    cancel: CancellationToken,
) -> Result<()> {
    loop {
        let is_over = cancel.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none();
        presence.end_silent(INTERVAL);
        let (seen, store) = (presence.take_seen(), Arc::clone(&store));
        if !seen.is_empty() {
            let kept = tokio::task::spawn_blocking(move || store.keep_seen(&seen)).await?;
            if let Err(error) = kept {
                warn!(%error, help = error.help(), "cannot keep when sites were seen");
            }
        }
        if is_over {
            return Ok(());
        }
    }
}
