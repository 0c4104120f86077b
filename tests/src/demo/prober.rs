//! A client that never stops asking, and counts the answers that it did not get.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::site::ask;

/// Time between two requests.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
}

/// A running client; it stops when it is dropped.
#[derive(Debug)]
pub(super) struct Prober {
    counts: Arc<Counts>,
    _task: JoinSet<()>,
}

impl Prober {
    /// Starts asking.
    pub(super) fn start(checkout: SocketAddr) -> Self {
        let counts = Arc::new(Counts::default());
        let mut task = JoinSet::new();
        task.spawn(probe(checkout, Arc::clone(&counts)));
        Self { counts, _task: task }
    }

    /// Stops; returns how many requests were answered, and fails if any was not, or if none was sent.
    pub(super) fn stop(self) -> anyhow::Result<u64> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (answered, failed) = (read(&self.counts.answered), read(&self.counts.failed));
        anyhow::ensure!(failed == 0, "{failed} of {} requests failed", answered + failed);
        anyhow::ensure!(answered > 0, "not one request was answered");
        Ok(answered)
    }
}

async fn probe(checkout: SocketAddr, counts: Arc<Counts>) {
    loop {
        let count = if ask(checkout, "/").await.is_ok() { &counts.answered } else { &counts.failed };
        count.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_who_has_asked_nothing_proves_nothing() {
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        // Nothing is sent before this test waits for something.
        let error = Prober::start(nobody).stop().unwrap_err().to_string();
        assert_eq!(error, "not one request was answered");
    }
}
