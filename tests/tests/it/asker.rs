//! A client that asks all the time, and whose every request must be answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skerry_tests::http::Request;
use tokio::task::JoinSet;

/// A running client; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Asker {
    stop: Arc<AtomicBool>,
    task: JoinSet<(u64, Vec<String>)>,
}

impl Asker {
    /// Starts asking a service that answers already.
    pub(crate) fn start(service: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut task = JoinSet::new();
        task.spawn(ask(service, Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Stops asking; no request may have failed.
    pub(crate) async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.task.join_next().await.expect("there is a task");
        let (answered, failures) = ended.expect("it does not panic");
        assert_eq!(failures, [] as [String; 0], "besides {answered} that were answered");
        assert!(answered > 0, "nobody was asked");
    }
}

async fn ask(service: SocketAddr, stop: Arc<AtomicBool>) -> (u64, Vec<String>) {
    let (mut answered, mut failures) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        match Request::get("/").deadline(Duration::from_secs(60)).send(service).await {
            Ok(reply) if reply.status.is_success() => answered += 1,
            Ok(reply) => failures.push(format!("{}: {}", reply.status, reply.text())),
            Err(error) => failures.push(format!("{error:#}")),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (answered, failures)
}
