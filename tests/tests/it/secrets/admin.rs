//! What an Envoy says over its admin socket.

use std::path::Path;

use anyhow::{Result, ensure};
use http_body_util::{BodyExt as _, Empty};
use hyper::Method;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Asks for one thing.
pub(super) async fn ask(socket: &Path, method: Method, target: &str) -> Result<Vec<u8>> {
    let stream = TokioIo::new(UnixStream::connect(socket).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let exchange = async move {
        let request = hyper::Request::builder().method(method).uri(target).header("host", "admin");
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{target}: {status} {}", String::from_utf8_lossy(&body));
        Ok(body.to_vec())
    };
    let (answer, _ended) = tokio::join!(exchange, connection);
    answer
}
