//! A sign of life during long work: on a terminal, and only after a moment.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use indicatif::ProgressBar;

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_millis(300);

const TICK: Duration = Duration::from_millis(100);

/// Whether to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// On standard error.
    Shown,
    /// Not at all.
    Hidden,
}

impl Progress {
    /// Does some work; shows `message` beside a spinner when it takes long.
    pub fn during<T>(self, message: &'static str, work: impl FnOnce() -> T) -> T {
        if self == Self::Hidden {
            return work();
        }
        let (done, waiting) = channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || show(message, &waiting));
            let result = work();
            drop(done);
            result
        })
    }
}

fn show(message: &'static str, done: &Receiver<()>) {
    if done.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let spinner = ProgressBar::new_spinner().with_message(message);
    spinner.enable_steady_tick(TICK);
    // Ends when the other half is dropped.
    let _ = done.recv();
    spinner.finish_and_clear();
}
