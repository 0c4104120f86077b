//! A request over TCP or a Unix socket, on a connection of its own.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A status and a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks `http://<address><path>`.
pub(crate) async fn get(address: &str, path: &str) -> std::io::Result<Answer> {
    within(async { exchange(TcpStream::connect(address).await?, "GET", path).await }).await
}

/// Asks, and waits for an answer that the backend keeps back.
pub(crate) async fn get_patiently(address: &str, path: &str) -> std::io::Result<Answer> {
    exchange(TcpStream::connect(address).await?, "GET", path).await
}

/// Asks an HTTP server behind a Unix socket.
pub(crate) async fn ask_socket(socket: &Path, method: &str, path: &str) -> std::io::Result<Answer> {
    within(async { exchange(UnixStream::connect(socket).await?, method, path).await }).await
}

async fn within(exchange: impl Future<Output = std::io::Result<Answer>>) -> std::io::Result<Answer> {
    tokio::time::timeout(DEADLINE, exchange)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
) -> std::io::Result<Answer> {
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let bytes = read_answer(&mut stream).await?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let broken = || std::io::Error::other(format!("not an answer: {text:?}"));
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    Ok(Answer { status, body: body.to_owned() })
}

/// Reads to the end of the body where the head tells its length, else to the end of the stream: Envoy
/// leaves a connection open for a second after it has said all.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while stream.read_buf(&mut bytes).await? > 0 {
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            break;
        }
    }
    Ok(bytes)
}
