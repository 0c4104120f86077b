//! Waiting for something to become true, with a deadline and a reason when it does not.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How often a probe is tried at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(30));

/// Tries a probe until it succeeds; after the deadline its last error tells what was missing.
///
/// A probe that hangs is cut off at the deadline.
pub async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut pause = PAUSES.0;
    let mut last = anyhow::anyhow!("nothing was seen");
    loop {
        match tokio::time::timeout_at(end.into(), probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => last = error,
            Err(_) => {}
        }
        if Instant::now() + pause >= end {
            return Err(last).with_context(|| format!("not within {deadline:.1?}: {what}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_what_was_missing() {
        let mut tries = 0;
        let error = eventually("the answer", Duration::from_millis(30), async || -> Result<()> {
            tries += 1;
            anyhow::bail!("it is not there yet")
        })
        .await
        .unwrap_err();
        assert_eq!(format!("{error:#}"), "not within 30.0ms: the answer: it is not there yet");
        assert!(tries > 1);
    }

    #[tokio::test]
    async fn returns_what_the_probe_found() {
        assert_eq!(eventually("seven", Duration::from_secs(1), async || Ok(7)).await.unwrap(), 7);
    }
}
