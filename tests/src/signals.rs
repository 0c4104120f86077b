//! The signals that ask a program to end.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGINT (Ctrl-C), SIGTERM or SIGHUP (the terminal is gone); returns its name.
pub async fn end() -> Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        _ = hang_up.recv() => "SIGHUP",
    })
}
