//! Waiting for something to become true, with a deadline instead of a pause.

use std::time::{Duration, Instant};

/// Longer than anything takes on a busy machine; a case that fails takes this long to say so.
const DEADLINE: Duration = Duration::from_secs(40);

/// Asks again and again until there is an answer. Panics when there is none in time.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
