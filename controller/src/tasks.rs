//! The tasks of a process in one set: the first that ends by itself ends all of them.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long tasks may take to end once they are told to: a peer that does not answer holds a
/// connection open for ever.
const GRACE: Duration = Duration::from_secs(5);

/// A set of named tasks.
#[derive(Debug)]
pub struct Tasks {
    set: JoinSet<(&'static str, Result<()>)>,
    cancel: CancellationToken,
}

impl Tasks {
    /// Makes an empty set; its tasks end when the token is cancelled.
    pub fn new(cancel: CancellationToken) -> Self {
        Self { set: JoinSet::new(), cancel }
    }

    /// Adds a future.
    pub fn spawn<E>(&mut self, name: &'static str, work: impl Future<Output = Result<(), E>> + Send + 'static)
    where
        E: Into<anyhow::Error> + Send + 'static,
    {
        self.set.spawn(async move { (name, work.await.map_err(Into::into)) });
    }

    /// Adds a thread for work that blocks.
    pub fn spawn_thread(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&CancellationToken) + Send + 'static,
    ) {
        let cancel = self.cancel.clone();
        self.set.spawn_blocking(move || {
            work(&cancel);
            (name, Ok(()))
        });
    }

    /// Waits until all have ended.
    ///
    /// # Errors
    /// A task ended before the token was cancelled; the others are told to end then.
    pub async fn run(mut self) -> Result<()> {
        let ended = self.cancel.clone().run_until_cancelled_owned(self.set.join_next()).await;
        // A task that ends because it was told to may be seen before the word itself.
        let ended = ended.filter(|_| !self.cancel.is_cancelled());
        self.cancel.cancel();
        let rest = async { while self.set.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, rest).await.is_err() {
            warn!("a connection or a fetch does not end; it is cut");
            self.set.abort_all();
        }
        let Some(ended) = ended.flatten() else { return Ok(()) };
        let (name, result) = ended.context("a task panicked")?;
        result.with_context(|| format!("{name} failed"))?;
        bail!("{name} ended by itself")
    }
}
