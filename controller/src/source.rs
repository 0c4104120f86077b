//! The policy source: a thread that follows one Git repository and says what changed.
//!
//! Blocking by nature (libgit2), so it has a thread of its own. It hands each change to the planner
//! and waits until that one takes it: what is pushed meanwhile is one change, the newest. Must not
//! know of sites.

use std::sync::Arc;

use skerry_core::id::Revision;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use skerry_gitops::poll::next_poll;

use crate::store::StateStore;

pub mod config;
pub mod event;
pub mod failure;
mod folder;
pub mod follower;
pub mod login;
mod objection;
mod signature;
pub mod status;

use event::SourceEvent;
use failure::Failure;
use follower::Follower;

/// How many confirmations may wait for the thread.
const CONFIRMATIONS: usize = 8;

/// Why a confirmation has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotConfirmed {
    /// No head waits.
    #[error("nothing waits for a confirmation")]
    NothingHeld,
    /// Another head waits.
    #[error("`{0}` waits for a confirmation, and that is not what was named")]
    OtherHeld(Revision),
    /// The head waits for a signature that is trusted.
    #[error("its signature is not trusted, and a confirmation does not change that: {reason} (help: {help})")]
    Untrusted {
        /// Why it is not.
        reason: String,
        /// What would help.
        help: String,
    },
    /// The head is confirmed, and could not be read.
    #[error("confirmed, but it cannot be read: {0}")]
    Unreadable(Failure),
    /// The core stops.
    #[error("the core is stopping")]
    Stopping,
}

#[derive(Debug)]
struct Confirmation {
    revision: String,
    reply: oneshot::Sender<Result<(), NotConfirmed>>,
}

/// How others reach the thread.
#[derive(Debug, Clone)]
pub struct SourceHandle {
    news: Arc<Notify>,
    confirmations: mpsc::Sender<Confirmation>,
}

/// The thread's end of a [`SourceHandle`].
#[derive(Debug)]
pub struct Inbox {
    news: Arc<Notify>,
    confirmations: mpsc::Receiver<Confirmation>,
}

/// Makes both ends.
pub fn channel() -> (SourceHandle, Inbox) {
    let news = Arc::new(Notify::new());
    let (send, receive) = mpsc::channel(CONFIRMATIONS);
    (SourceHandle { news: Arc::clone(&news), confirmations: send }, Inbox { news, confirmations: receive })
}

impl SourceHandle {
    /// Asks for a fetch now. Several before the next fetch are one.
    pub fn wake(&self) {
        self.news.notify_one();
    }

    /// Confirms a head that is held, by its revision or the first digits (at least 7) of its commit.
    ///
    /// # Errors
    /// Nothing, or another head, is held; or it cannot be read.
    pub async fn confirm(&self, revision: &str) -> Result<(), NotConfirmed> {
        let (reply, answer) = oneshot::channel();
        let confirmation = Confirmation { revision: revision.to_owned(), reply };
        self.confirmations.send(confirmation).await.map_err(|_| NotConfirmed::Stopping)?;
        answer.await.map_err(|_| NotConfirmed::Stopping)?
    }
}

/// What the thread does next.
enum Step {
    Poll,
    Confirm(Confirmation),
    Stop,
}

/// Follows the source until it is told to stop.
pub fn run<S: StateStore>(
    mut follower: Follower<S>,
    mut inbox: Inbox,
    events: &mpsc::Sender<SourceEvent>,
    cancel: &CancellationToken,
) {
    let runtime = Handle::current();
    // Nobody takes events any more when the core stops.
    let send = |event: SourceEvent| drop(runtime.block_on(cancel.run_until_cancelled(events.send(event))));
    follower.restore();
    follower.take_events().into_iter().for_each(send);
    let mut step = Step::Poll;
    loop {
        match step {
            Step::Stop => return,
            Step::Poll => {
                if let Err(failure) = follower.poll() {
                    warn!(error = %failure.error, help = failure.help, "the source is not read");
                }
                follower.take_events().into_iter().for_each(send);
            }
            Step::Confirm(Confirmation { revision, reply }) => {
                info!(%revision, "confirmation");
                let answer = follower.confirm(&revision);
                follower.take_events().into_iter().for_each(send);
                // The caller may have given up.
                reply.send(answer).ok();
            }
        }
        let wait = next_poll(follower.interval(), follower.failures(), rand::random());
        step = runtime.block_on(next(&mut inbox, wait, cancel));
    }
}

async fn next(inbox: &mut Inbox, wait: std::time::Duration, cancel: &CancellationToken) -> Step {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Step::Stop,
        Some(confirmation) = inbox.confirmations.recv() => Step::Confirm(confirmation),
        () = inbox.news.notified() => Step::Poll,
        () = tokio::time::sleep(wait) => Step::Poll,
    }
}
