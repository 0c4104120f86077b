//! A backend that answers every request with its name.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running backend; it ends when it is dropped.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    _task: JoinSet<()>,
}

impl Backend {
    /// Starts one on a free port.
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer(stream, name));
            }
        });
        Self { address, _task: task }
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
