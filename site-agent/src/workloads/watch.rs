//! Watching the workload folder: woken by the kernel where it can, by a timer where it cannot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::folder::identity;
use super::{Doubt, Loaded, Scan, fold, scan};
use crate::clock::Clock;
use crate::mailbox::{Mail, Sender};

/// Between two looks where the kernel does not tell: the folder is not there, or has no inotify.
const POLL: Duration = Duration::from_secs(1);

/// Between two looks where it does: a network file system changes without a word.
const RECHECK: Duration = Duration::from_secs(30);

/// What the watch begins with.
pub(crate) struct Start {
    /// The usable content of each file.
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
    /// What the folder held.
    pub(crate) seen: Scan,
    /// Whether that was believed.
    pub(crate) doubt: Doubt,
    /// Counts the time.
    pub(crate) clock: Clock,
}

/// Looks at the folder on a thread for that: it may be far away, and others have this one.
async fn read(folder: &Path) -> anyhow::Result<Scan> {
    let folder = folder.to_owned();
    Ok(tokio::task::spawn_blocking(move || scan(&folder)).await?)
}

/// Reads the folder whenever it changes, and sends what it says. `kept` is the usable content of
/// each file, `seen` what the folder held when the agent started, in `doubt` or not.
pub(crate) async fn run(
    folder: PathBuf,
    Start { mut kept, mut seen, mut doubt, clock }: Start,
    mailbox: Sender,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut watch: Option<Watch> = None;
    loop {
        // Watched first, read then: nothing falls between the two. Another folder may have been put in its place, by a
        // mount for one, without a word of the kernel.
        watch =
            watch.filter(|watch| identity(&folder) == Some(watch.identity)).or_else(|| self::watch(&folder));
        let scan = doubt.judge(clock.now(), read(&folder).await?, &kept);
        if scan != seen {
            seen.clone_from(&scan);
            let loaded: Loaded = fold(scan, &kept);
            kept.clone_from(&loaded.files);
            if mailbox.send(Mail::Workloads(loaded)).await.is_err() {
                return Ok(());
            }
        }
        let next = clock.now() + if watch.is_some() { RECHECK } else { POLL };
        let next = doubt.poll_timeout().filter(|at| *at > clock.now()).map_or(next, |at| at.min(next));
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            () = tokio::time::sleep_until(clock.instant(next)) => {}
            is_over = changed(watch.as_ref(), &folder) => if is_over { watch = None },
        }
    }
}

/// A watched folder. The kernel's queue is read as the byte stream that it is: what it says does not
/// matter, only that it says something.
struct Watch {
    queue: pipe::Receiver,
    /// Device and inode of the folder when the watch began.
    identity: (u64, u64),
}

fn watch(folder: &Path) -> Option<Watch> {
    let flags = WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ATTRIB
        | WatchFlags::ONLYDIR;
    let watch = || -> std::io::Result<Watch> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&queue, folder, flags)?;
        let identity = identity(folder).ok_or(std::io::ErrorKind::NotFound)?;
        Ok(Watch { queue: pipe::Receiver::from_owned_fd_unchecked(queue)?, identity })
    };
    watch().inspect_err(|error| tracing::debug!(?folder, "cannot watch: {error}")).ok()
}

/// Waits until something happened, and takes all that did; true when the watch is over: the folder
/// was moved or replaced, or the queue failed.
async fn changed(watch: Option<&Watch>, folder: &Path) -> bool {
    let Some(Watch { queue, identity: watched }) = watch else { return std::future::pending().await };
    if queue.readable().await.is_err() {
        return true;
    }
    let mut events = [0; 4096];
    loop {
        match queue.try_read(&mut events) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                return identity(folder) != Some(*watched);
            }
            Err(error) => {
                warn!("the workload folder is polled from now on: {error}");
                return true;
            }
        }
    }
}
