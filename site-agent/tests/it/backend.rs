//! A backend that answers every request with its name.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A running backend; it ends when it is dropped.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    _task: JoinSet<()>,
}

impl Backend {
    /// Starts one on a free port.
    pub(crate) async fn start(name: &'static str) -> Self {
        Self::serve(move |stream| answer(stream, name)).await
    }

    /// Starts one that keeps the first answer of each connection back.
    pub(crate) async fn start_held(name: &'static str) -> (Self, Gate) {
        let gate = Gate { asked: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) };
        let held = gate.clone();
        (Self::serve(move |stream| answer_through(stream, name, held.clone())).await, gate)
    }

    async fn serve<F: Future<Output = ()> + Send + 'static>(
        mut answer: impl FnMut(TcpStream) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream));
            }
        });
        Self { address, _task: task }
    }
}

/// What holds a backend's answers back.
#[derive(Clone)]
pub(crate) struct Gate {
    asked: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    /// Waits until somebody has asked.
    pub(crate) async fn asked(&self) {
        self.asked.acquire().await.unwrap().forget();
    }

    /// Lets one answer out.
    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }
}

async fn answer_through(stream: TcpStream, name: &'static str, gate: Gate) {
    // A request is there as soon as its first byte is; the rest is read with the answer.
    if stream.peek(&mut [0]).await.is_ok_and(|length| length > 0) {
        gate.asked.add_permits(1);
        gate.open.acquire().await.unwrap().forget();
        answer(stream, name).await;
    }
}

async fn answer(mut stream: TcpStream, name: &'static str) {
    let mut request = Vec::new();
    while let Ok(length) = stream.read_buf(&mut request).await {
        if length == 0 {
            return;
        }
        if !request.windows(4).any(|window| window == b"\r\n\r\n") {
            continue;
        }
        request.clear();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
